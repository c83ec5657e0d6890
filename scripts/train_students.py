"""Train one shard of a method's grid of students on one dataset, network and seed; the teacher is a grid of one."""

import functools
import logging

import torch
from ils.files import load_arrays
from ils.job import run, tell
from ils.networks.build import build
from ils.plan.grids import shard_points
from ils.plan.plugins import load
from ils.plan.records import Recipe
from ils.training.cell import CellData
from ils.training.checkpoints import Checkpoints, digest, forget
from ils.training.devices import choose_device
from ils.training.students import Shards, save_shard
from ils.training.trainer import INITIALISATION, stream, train_chunks


def train_students(
    data, split, soft_targets, inherited, output, job, seed, shard, device, augmentation, network, recipe, method, bounds,
    *, code, minutes, of_many=False,
):  # fmt: skip
    """Train the grid points of `shard`, `students_at_once` of them in one network, and write them to `output`.

    soft_targets: the files of the teachers, one, several or none. inherited: {hyperparameter: files of the method whose
    selected student sets it}. method: its config entry with the number of `shards`, and the hyperparameter by which its
    students are selected `apart`, if any; `bounds` of the temperature. A checkpoint is kept every so many `minutes`, and
    a killed job goes on from it unless its arguments, files or `code` (files, too) changed. of_many: one of several cells.
    """
    torch.set_num_threads(1)  # several processes use the cores better than several threads
    device = choose_device(device)
    teachers = [load_arrays(path) for path in soft_targets]
    cell = CellData(load_arrays(data)[0], load_arrays(split)[0], augmentation, device, teachers)
    labels = cell.validation_labels.cpu().numpy()
    fixed = {}
    for name, files in inherited.items():
        students = Shards(files, job)
        fixed[name] = students.points[students.select(labels, "none", bounds).index][name]
    points = [point | fixed for point in shard_points(method["grid"], shard, method["shards"])]

    identity = [points, seed, device.type, augmentation, network, recipe, method]
    checkpoints = Checkpoints(
        output, digest(identity, [data, split, *soft_targets, *code]), minutes, of_many
    )
    checkpoints.listen()
    at_once, targets, initial = (
        network["students_at_once"][device.type],
        load("method", method["targets"]),
        stream(seed, INITIALISATION),
    )
    made = {
        "device": device.type,
        "precision": network["precision"][device.type],
        "students_at_once": at_once,
    }
    made["cuda_graphs"] = network["cuda_graphs"] if device.type == "cuda" else 0
    shape = cell.shape, cell.classes
    make = functools.partial(
        build,
        network["family"],
        network["options"],
        *shape,
        seed=initial,
        precision=made["precision"],
    )
    given = make, cell, targets, Recipe(**recipe), seed, job, method["inputs"]
    results = train_chunks(points, at_once, *given, checkpoints, made["cuda_graphs"])
    for point, epoch in zip(points, (epoch for result in results for epoch in result.failed_epoch)):
        if epoch:
            tell(
                logging.ERROR,
                f"{job}: student {point} diverged in epoch {epoch} (its loss is not a finite number); left out",
            )
    scaling, apart = method["temperature_scaling"], method.get("apart")
    save_shard(output, results, points, labels, scaling, bounds, made, apart)


def train_cells(jobs, **common):
    """Train cell after cell."""
    for job in jobs:
        train_students(**job, **common, of_many=len(jobs) > 1)
    forget(job["output"] for job in jobs)


if __name__ == "__main__":
    kept = {"code": list(snakemake.input.code), "minutes": snakemake.config["checkpoint_minutes"]}
    run(train_cells, snakemake, jobs=snakemake.params.jobs, **kept)
