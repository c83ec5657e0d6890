"""What a study will cost before it is trained: a few measured training steps of each network, times the study's plan.

Counted are the training steps, validation after every epoch, the teacher's soft targets and the test predictions. Left
out is what costs little beside them: the targets themselves (Beta's needs one more forward pass a step), reading and
writing, the start of jobs, and the synthetic study. `patience` is not foreseen: every student trains all its epochs.
"""

import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from ils import config as study
from ils.errors import UserError
from ils.job import log
from ils.networks import build
from ils.samples import view_count
from ils.splits import count
from ils.training import Cell, Recipe, train

STEPS, ENOUGH = 50, 2  # so many steps are measured at most, and no more of them after so many seconds


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
    return Sizes(training, validation, test, tuple(shape), classes, itemsize or (1 if len(shape) == 3 else 4))


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
    return evaluation, skipped + (evaluation - skipped) * sum(network.survival) / len(network.survival)


def made_up_cell(sizes, augmentation, samples, device):
    """A cell of `samples` random training samples in the shape, classes and views of a dataset."""
    rng = np.random.default_rng(0)
    shape = (samples, *sizes.shape)
    inputs = rng.integers(0, 256, shape, np.uint8) if len(shape) == 4 else rng.normal(size=shape).astype(np.float32)
    labels = rng.integers(0, sizes.classes, samples)
    labels[-1] = sizes.classes - 1
    data = {"inputs": inputs, "labels": labels}
    split = {"train": np.arange(samples), "validation": np.arange(2), "mean": inputs.mean(), "std": inputs.std()}
    return Cell(data, split, augmentation, device)


class Enough(Exception):
    """Ends a training that has been timed for long enough."""


def step_seconds(network, sizes, augmentation, recipe, students, device):
    """Measure one training step of so many students in one network: the mean of some steps after the first, in seconds.

    It is `training.train` itself that runs, on made-up data. It asks for targets once a step, so they keep the time. On
    the CPU it is the process's own time, so that a busy machine looks no slower than an idle one.
    """
    cell = made_up_cell(sizes, augmentation, min(recipe.batch_size, sizes.train) * STEPS, device)
    times = []

    def timed(onehot):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() if device.type == "cuda" else time.process_time())
        if len(times) > 2 and times[-1] - times[1] > ENOUGH:
            raise Enough
        return onehot

    try:
        built = build(network["family"], network["options"], sizes.shape, sizes.classes, students, 0)
        train(built, cell, timed, {}, recipe._replace(epochs=1), 0, "forecast")
    except Enough:
        pass
    except torch.OutOfMemoryError:
        raise UserError(
            f"network {network['name']}: {students} students do not fit into the memory of the device together; lower "
            "students_at_once.cuda"
        ) from None
    return (times[-1] - times[1]) / (len(times) - 2)


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
        return self.recipe.epochs * (full * self.epoch(self.at_once) + (self.epoch(rest) if rest else 0))

    def predictions(self, teachers, columns):
        """Samples that are predicted once: training views by so many teachers, test samples for so many columns."""
        return self.sizes.train * self.views * teachers + self.sizes.test * columns

    def training_flops(self):
        """Floating-point operations of training one student."""
        evaluation, training = self.flops
        return self.recipe.epochs * (3 * training * self.sizes.train + evaluation * self.sizes.validation)

    def predictions_bytes(self, teachers, columns, cells):
        """Bytes of the soft targets of so many teachers and of the predictions of so many columns in so many cells."""
        s = self.sizes
        return teachers * s.train * (self.views * s.classes * 4 + 8) + s.test * (columns * s.classes * 4 + cells * 16)

    def shard_bytes(self, students, kept):
        """Bytes of the file of so many students, the weights of `kept` of them included."""
        of_one = self.sizes.validation * self.sizes.classes * 4 + self.recipe.epochs * 16 + 16
        return students * of_one + min(students, kept) * self.weights


def costs(config, experiment, sizes, jobs, device, measure):
    """Return the `Costs` of a pair; `jobs` are its training jobs, `measure` is `step_seconds` or stands for it."""
    entry, network, recipe = (study.by_name(config, f"{kind}s")[experiment[kind]] for kind in ("dataset", "network", "recipe"))
    recipe = Recipe(**{key: value for key, value in recipe.items() if key != "name"})
    device = device if study.device_of(config, network) != "cpu" else torch.device("cpu")
    at_once = min(network["students_at_once"][device.type], max(job["students"] for job in jobs))
    alone = measure(network, sizes, entry["augmentation"], recipe, 1, device)
    together = measure(network, sizes, entry["augmentation"], recipe, at_once, device) if at_once > 1 else alone
    with torch.device("meta"):
        built = build(network["family"], network["options"], sizes.shape, sizes.classes, 1, 0)
    weights = sum(tensor.numel() * tensor.itemsize for tensor in built.state_dict().values())
    views = view_count(entry["augmentation"])
    return Costs(sizes, recipe, views, at_once, alone, together, forward_flops(built, sizes.shape), weights)


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
    jobs = [job | {"cells": [{"recipe": recipes.get((c["dataset"], c["network"]))} | c for c in job["cells"]]} for job in jobs]
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
        student = {"dataset": entry["dataset"], "network": entry["student"], "recipe": entry["student_recipe"]}
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
        key = network["name"], sizes.shape, *augmentation.values(), samples, recipe.optimizer, students
        if key not in measured:
            measured[key] = measure(network, sizes, augmentation, recipe, students, device)
        return measured[key]

    planned, jobs = plan(config)
    kept = {method["name"]: 1 if method["temperature_scaling"] == "none" else 2 for method in config["methods"]}
    if config["distillation"]:
        kept["distilled"] = len(config["distillation"]["teachers"])
    own = {key: [(number, job) for number, job in enumerate(jobs) for cell in job["cells"] if key_of(cell) == key] for key in planned}
    pairs = {}
    for key, (entry, *_) in tqdm(planned.items(), desc="measuring", unit="pair", leave=False, disable=None):
        pairs[key] = costs(config, entry, sizes[key[0]], [job for _, job in own[key]], device, measure_once)
        log.info("%s %s %s: %d students together take %.4f s a step", *key, pairs[key].at_once, pairs[key].together)

    rows = []
    for key, pair in pairs.items():
        students = [job["students"] for _, job in own[key]]
        _, *predicted, cells = planned[key]
        samples = pair.predictions(*predicted)
        seconds = sum(map(pair.training, students)) + pair.steps(samples) * pair.alone
        flops = sum(students) * pair.training_flops() + samples * pair.flops[0]
        stored = pair.predictions_bytes(*predicted, cells) + sum(pair.shard_bytes(job["students"], kept[job["method"]]) for _, job in own[key])
        longest = max(sum(pairs[key_of(cell)].training(job["students"]) for cell in job["cells"]) for _, job in own[key])
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
    total = {key: sum(row[key] for row in rows) for key in ("trainings", "device_hours", "eflop", "disk_gb")}
    seeds = len({cell["seed"] for job in jobs for cell in job["cells"]})
    for dataset in {dataset for dataset, *_ in pairs}:
        s = sizes[dataset]
        of_sample = math.prod(s.shape) * s.itemsize + 17 + 8 * seeds  # the input, its label, id and mark; the splits
        total["disk_gb"] += (s.train + s.validation + s.test) * of_sample / 1e9
    total |= {"dataset": "all", "jobs": len(jobs), "longest_job_hours": max(row["longest_job_hours"] for row in rows)}
    return [*rows, total]
