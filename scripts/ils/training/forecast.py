"""What a study will cost before it is trained: a few measured training steps of each network, times the study's plan.

Counted are the training steps, validation after every epoch, the teacher's soft targets and the test predictions. Left
out is what costs little beside them: the targets themselves (Beta's needs one more forward pass a step), reading and
writing, the start of jobs, and the synthetic study. `patience` is not foreseen: every student trains all its epochs.
"""

import contextlib
import math
import time
from typing import NamedTuple

import numpy as np
import torch
from ils.data.samples import view_count
from ils.data.splits import count
from ils.errors import UserError
from ils.files import load_arrays
from ils.job import log
from ils.networks.build import build
from ils.plan import checks as study
from ils.plan.plugins import load
from ils.plan.records import Recipe
from ils.training.cell import CellData
from ils.training.step import WARM_UP
from ils.training.trainer import train
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

STEPS, ENOUGH = (
    50,
    2,
)  # so many steps are measured at most, and no more of them after so many seconds
AT_ONCE = (
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    13,
    16,
    20,
    25,
    32,
    42,
    63,
    125,
)  # students; many divide grids and shards evenly


class Sizes(NamedTuple):
    """Samples in the splits of a dataset, the shape of an input, the number of classes, and bytes a number of an input."""

    train: int
    validation: int
    test: int
    shape: tuple
    classes: int
    itemsize: int


def sizes(entry, samples, test, shape, classes, itemsize=None):
    """Return the `Sizes` of a dataset's config entry, as `splits.split` will make them.

    `samples` are there in all, `test` of them in an official test split (0: there is none). `itemsize` is by default
    that of images as bytes and of tables as float32.
    """
    test = test or count(entry["test"], samples)
    validation = count(entry["validation"], samples - test)
    training = samples - test - validation
    if "train" in entry:
        training = count(entry["train"], training)
    return Sizes(
        training, validation, test, tuple(shape), classes, itemsize or (1 if len(shape) == 3 else 4)
    )


def known_sizes(config, data):
    """Return {dataset: its `Sizes`}, from what its entry expects or from its prepared file in `data` {dataset: path}."""
    known, entries = {}, study.by_name(config, "datasets")
    for name, entry in entries.items():
        if "expect" in entry:
            known[name] = sizes(entry, **entry["expect"])
    for name, path in data.items():
        arrays, metadata = load_arrays(path)
        samples, *shape = arrays["inputs"].shape
        official = int(arrays["official_test"].sum())
        known[name] = sizes(
            entries[name],
            samples,
            official,
            shape,
            len(metadata["classes"]),
            arrays["inputs"].itemsize,
        )
    return known


def forward_flops(network, shape):
    """Floating-point operations of an image's forward pass, a multiply-add being two: (in evaluation, in training).

    They differ by the blocks that stochastic depth is expected to skip; its blocks cost about the same each. On the
    meta device nothing is computed.
    """

    def count():
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, *shape, device=next(network.parameters()).device))
        return counter.get_total_flops()

    network.eval()
    evaluation = count()
    if not network.survival:
        return evaluation, evaluation
    network.train()
    network.coins = [False] * len(network.survival)
    skipped = count()
    return evaluation, skipped + (evaluation - skipped) * sum(network.survival) / len(
        network.survival
    )


class Enough(Exception):
    """Ends a training that has been timed for long enough."""


class TimedCell(CellData):
    """A cell that notes the time when it hands out a mini-batch, after some, and ends the training after `enough` seconds.

    On the CPU it is the process's own time, so that a busy machine looks no slower than an idle one.
    """

    enough = ENOUGH

    def batches(self, *arguments):
        cuda, self.times = self.device.type == "cuda", []
        for number, batch in enumerate(super().batches(*arguments)):
            if number >= (WARM_UP + 3 if cuda else 1):
                if cuda:
                    torch.cuda.synchronize(self.device)
                self.times.append(time.perf_counter() if cuda else time.process_time())
                if len(self.times) > 1 and self.times[-1] - self.times[0] > self.enough:
                    raise Enough
            yield batch


def made_up_cell(sizes, augmentation, samples, device):
    """A timed cell of `samples` random training samples in the shape, classes and views of a dataset."""
    rng = np.random.default_rng(0)
    shape = (samples, *sizes.shape)
    inputs = (
        rng.integers(0, 256, shape, np.uint8)
        if len(shape) == 4
        else rng.normal(size=shape).astype(np.float32)
    )
    labels = rng.integers(0, sizes.classes, samples)
    labels[-1] = sizes.classes - 1
    data = {"inputs": inputs, "labels": labels}
    split = {
        "train": np.arange(samples),
        "validation": np.arange(2),
        "mean": inputs.mean(),
        "std": inputs.std(),
    }
    return TimedCell(data, split, augmentation, device)


def time_steps(cell, network, targets, grid, recipe, students):
    """Train so many students of a network's entry in a timed cell; returns the mean seconds of a step after the first ones.

    It is `training.train` itself that runs. A torch.OutOfMemoryError is the caller's.
    """
    as_config, kind = study.trained_as(network), cell.device.type
    built = build(
        network["family"],
        network["options"],
        cell.shape,
        cell.classes,
        students,
        0,
        as_config["precision"][kind],
    )
    graphs = kind == "cuda" and as_config["cuda_graphs"]
    with contextlib.suppress(Enough):
        train(
            built,
            cell,
            load("method", targets),
            grid,
            recipe._replace(epochs=1),
            0,
            "measuring",
            cuda_graphs=graphs,
        )
    return (cell.times[-1] - cell.times[0]) / (len(cell.times) - 1)


def step_seconds(network, sizes, augmentation, recipe, students, device):
    """Measure one training step of so many students in one network, on made-up data and hard labels, in seconds."""
    cell = made_up_cell(sizes, augmentation, min(recipe.batch_size, sizes.train) * STEPS, device)
    return time_steps(cell, network, "no_ls", {}, recipe, students)


class Costs(NamedTuple):
    """What one dataset x network pair costs: measured seconds of a training step of one student `alone` and of
    `at_once` of them `together`, and what follows from the sizes of its dataset and network."""

    sizes: Sizes
    recipe: Recipe
    views: int
    at_once: int
    alone: float
    together: float
    flops: tuple
    weights: int

    def step(self, students):
        """Seconds of a training step of up to `at_once` students in one network, between the two measured ones."""
        share = (students - 1) / (self.at_once - 1) if students > 1 else 0
        return self.alone + (self.together - self.alone) * share

    def steps(self, samples):
        """Predicting `samples`, in training steps: a step is three forward passes of its batch."""
        return samples / self.recipe.batch_size * self.flops[0] / (3 * self.flops[1])

    def epoch(self, students):
        """Seconds of an epoch of up to `at_once` students, validation included."""
        batches = math.ceil(self.sizes.train / self.recipe.batch_size)
        return (batches + self.steps(self.sizes.validation)) * self.step(students)

    def training(self, students):
        """Seconds of a job that trains so many students, `at_once` of them after another."""
        full, rest = divmod(students, self.at_once)
        return self.recipe.epochs * (
            full * self.epoch(self.at_once) + (self.epoch(rest) if rest else 0)
        )

    def predictions(self, teachers, columns):
        """Samples that are predicted once: training views by so many teachers, test samples for so many columns."""
        return self.sizes.train * self.views * teachers + self.sizes.test * columns

    def training_flops(self):
        """Floating-point operations of training one student."""
        evaluation, training = self.flops
        return self.recipe.epochs * (
            3 * training * self.sizes.train + evaluation * self.sizes.validation
        )

    def predictions_bytes(self, teachers, columns, cells):
        """Bytes of the soft targets of so many teachers and of the predictions of so many columns in so many cells."""
        s = self.sizes
        return teachers * s.train * (self.views * s.classes * 4 + 8) + s.test * (
            columns * s.classes * 4 + cells * 16
        )

    def shard_bytes(self, students, kept):
        """Bytes of the file of so many students, the weights of `kept` of them included."""
        of_one = self.sizes.validation * self.sizes.classes * 4 + self.recipe.epochs * 16 + 16
        return students * of_one + min(students, kept) * self.weights


def parts_of(config, experiment, device):
    """Return a pair's dataset and network entries, its `Recipe`, and the device that it trains on where `device` is there."""
    dataset, network, recipe = (
        study.by_name(config, f"{kind}s")[experiment[kind]]
        for kind in ("dataset", "network", "recipe")
    )
    own = device if study.device_of(config, network) != "cpu" else torch.device("cpu")
    return (
        dataset,
        network,
        Recipe(**{key: value for key, value in recipe.items() if key != "name"}),
        own,
    )


def costs(config, experiment, sizes, jobs, device, measure):
    """Return the `Costs` of a pair; `jobs` are its training jobs, `measure` is `step_seconds` or stands for it."""
    entry, network, recipe, device = parts_of(config, experiment, device)
    at_once = min(network["students_at_once"][device.type], max(job["students"] for job in jobs))
    try:
        alone = measure(network, sizes, entry["augmentation"], recipe, 1, device)
        together = (
            measure(network, sizes, entry["augmentation"], recipe, at_once, device)
            if at_once > 1
            else alone
        )
    except torch.OutOfMemoryError:
        raise UserError(
            f"network {network['name']}: {at_once} students do not fit into the memory of the device together; lower "
            "students_at_once.cuda"
        ) from None
    with torch.device("meta"):
        built = build(network["family"], network["options"], sizes.shape, sizes.classes, 1, 0)
    weights = sum(tensor.numel() * tensor.itemsize for tensor in built.state_dict().values())
    views = view_count(entry["augmentation"])
    return Costs(
        sizes, recipe, views, at_once, alone, together, forward_flops(built, sizes.shape), weights
    )


def speeds(config, sizes, device, measure=step_seconds):
    """Measure how fast each network trains by the number of students at once; returns one mapping a measurement.

    network, with the dataset and recipe of its first pair; students; step_seconds; samples_per_second, of all students
    together; configured, and suggested: the fewest students within 3 % of the fastest. More are tried up to the largest
    shard, until three numbers in a row were slower than the fastest or the device's memory ends.
    """
    planned, jobs = plan(config)
    rows, done = [], set()
    for key, (entry, *_) in planned.items():
        if key[1] in done:
            continue
        done.add(key[1])
        dataset, network, recipe, own = parts_of(config, entry, device)
        most = max(
            job["students"] for job in jobs for cell in job["cells"] if cell["network"] == key[1]
        )
        found = []
        for students in [number for number in AT_ONCE if number < most] + [most]:
            try:
                seconds = measure(
                    network, sizes[key[0]], dataset["augmentation"], recipe, students, own
                )
            except torch.OutOfMemoryError:
                break
            found.append(min(recipe.batch_size, sizes[key[0]].train) * students / seconds)
            row = dict(zip(("dataset", "network", "recipe"), key)) | {
                "device": own.type,
                "students": students,
            }
            rows.append(row | {"step_seconds": seconds, "samples_per_second": found[-1]})
            rows[-1]["configured"] = students == min(most, network["students_at_once"][own.type])
            if found.index(max(found)) < len(found) - 3:
                break
        if not found:
            raise UserError(
                f"network {key[1]}: one student does not fit into the memory of the device; use a smaller network or batch"
            )
        suggested = next(i for i, speed in enumerate(found) if speed >= 0.97 * max(found))
        for i, row in enumerate(rows[-len(found) :]):
            row["suggested"] = i == suggested
    return rows


def key_of(entry):
    """What is measured once: a dataset, a network and a recipe."""
    return entry["dataset"], entry["network"], entry["recipe"]


def plan(config):
    """Return (pairs, jobs): {key: (entry, teachers, columns, cells)} and the jobs that train, whose cells name their recipe.

    So many teachers predict the training views of a pair and so many columns its test samples, in all seeds; the
    distillation's students are pairs as well.
    """
    recipes = {pair: entry["recipe"] for pair, entry in study.trained(config).items()}
    jobs = study.training_jobs(config) + study.distillation_jobs(config)
    jobs = [
        job
        | {
            "cells": [
                {"recipe": recipes.get((c["dataset"], c["network"]))} | c for c in job["cells"]
            ]
        }
        for job in jobs
    ]
    pairs, seeds, columns = {}, len(config["seeds"]), len(study.columns(config))

    def add(entry, teachers, columns, cells):
        _, *before = pairs.get(key_of(entry), (entry, 0, 0, 0))
        pairs[key_of(entry)] = entry, *(a + b for a, b in zip(before, (teachers, columns, cells)))

    for entry in config["experiments"]:
        add(entry, seeds, seeds * columns, seeds)
    section = config["distillation"] or {"pairs": []}
    for entry in section["pairs"]:
        seeds, teachers = len(section["seeds"]), len(section["teachers"])
        add(entry, seeds * teachers, 0, 0)
        student = {
            "dataset": entry["dataset"],
            "network": entry["student"],
            "recipe": entry["student_recipe"],
        }
        add(student, 0, seeds * teachers, seeds)
    return pairs, jobs


def forecast(config, sizes, device, measure=step_seconds):
    """Forecast a study from its config and the `Sizes` of each dataset; returns one mapping a pair, and one in total.

    dataset, network, recipe; trainings; jobs that train; device_hours; longest_job_hours; hours, of one student among others,
    and seconds_per_student_epoch; eflop, 10^18 floating-point operations; disk_gb, in 10^9 bytes, to which the total
    adds the prepared data and its splits. A job of several pairs counts for each of them, and once in the total.
    Pairs whose steps differ in the number of classes alone are measured once.
    """
    measured = {}

    def measure_once(network, sizes, augmentation, recipe, students, device):
        samples = min(recipe.batch_size, sizes.train)
        key = (
            network["name"],
            sizes.shape,
            *augmentation.values(),
            samples,
            recipe.optimizer,
            students,
        )
        if key not in measured:
            measured[key] = measure(network, sizes, augmentation, recipe, students, device)
        return measured[key]

    planned, jobs = plan(config)
    kept = {
        method["name"]: 1 if method["temperature_scaling"] == "none" else 2
        for method in config["methods"]
    }
    if config["distillation"]:
        kept["distilled"] = len(config["distillation"]["teachers"])
    own = {
        key: [
            (number, job)
            for number, job in enumerate(jobs)
            for cell in job["cells"]
            if key_of(cell) == key
        ]
        for key in planned
    }
    pairs = {}
    for key, (entry, *_) in tqdm(
        planned.items(), desc="measuring", unit="pair", leave=False, disable=None
    ):
        pairs[key] = costs(
            config, entry, sizes[key[0]], [job for _, job in own[key]], device, measure_once
        )
        log.info(
            "%s %s %s: %d students together take %.4f s a step",
            *key,
            pairs[key].at_once,
            pairs[key].together,
        )

    rows = []
    for key, pair in pairs.items():
        students = [job["students"] for _, job in own[key]]
        _, *predicted, cells = planned[key]
        samples = pair.predictions(*predicted)
        seconds = sum(map(pair.training, students)) + pair.steps(samples) * pair.alone
        flops = sum(students) * pair.training_flops() + samples * pair.flops[0]
        stored = pair.predictions_bytes(*predicted, cells) + sum(
            pair.shard_bytes(job["students"], kept[job["method"]]) for _, job in own[key]
        )
        longest = max(
            sum(pairs[key_of(cell)].training(job["students"]) for cell in job["cells"])
            for _, job in own[key]
        )
        per_epoch = pair.epoch(pair.at_once) / pair.at_once
        rows.append(
            {
                "dataset": key[0],
                "network": key[1],
                "recipe": key[2],
                "trainings": sum(students),
                "jobs": len({number for number, _ in own[key]}),
                "device_hours": seconds / 3600,
                "longest_job_hours": longest / 3600,
                "hours": per_epoch * pair.recipe.epochs / 3600,
                "seconds_per_student_epoch": per_epoch,
                "eflop": flops / 1e18,
                "disk_gb": stored / 1e9,
            }
        )
    total = {
        key: sum(row[key] for row in rows)
        for key in ("trainings", "device_hours", "eflop", "disk_gb")
    }
    seeds = len({cell["seed"] for job in jobs for cell in job["cells"]})
    for dataset in {dataset for dataset, *_ in pairs}:
        s = sizes[dataset]
        of_sample = (
            math.prod(s.shape) * s.itemsize + 17 + 8 * seeds
        )  # the input, its label, id and mark; the splits
        total["disk_gb"] += (s.train + s.validation + s.test) * of_sample / 1e9
    total |= {
        "dataset": "all",
        "jobs": len(jobs),
        "longest_job_hours": max(row["longest_job_hours"] for row in rows),
    }
    return [*rows, total]
