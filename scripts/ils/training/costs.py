"""What training a network costs: a few measured steps, and what follows from its sizes."""

import contextlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ils.data.samples import view_count
from ils.data.splits import count
from ils.files import load_arrays
from ils.networks.build import build
from ils.plan.grids import share_sizes
from ils.plan.plan import Plan
from ils.plan.plugins import load
from ils.plan.records import Architecture, Recipe
from ils.training.cell import CellData
from ils.training.step import WARM_UP, Group
from ils.training.trainer import train

STEPS, ENOUGH = 50, 2  # so many steps are measured at most, none after so many seconds


class Sizes(NamedTuple):
    """Samples in the splits of a dataset, the shape of an input, classes, bytes a number of an
    input."""

    train: int
    validation: int
    test: int
    shape: tuple[int, ...]
    classes: int
    itemsize: int


def sizes(entry: Mapping, samples, test, shape, classes, itemsize=None) -> Sizes:
    """Return the `Sizes` of a dataset's config entry, as `splits.split` will make them.

    `samples` are there in all, `test` of them in an official test split (0: there is none).
    `itemsize` is by default that of images as bytes and of tables as float32.
    """
    test = test or count(entry["test"], samples)
    validation = count(entry["validation"], samples - test)
    training = samples - test - validation
    if "train" in entry:
        training = count(entry["train"], training)
    itemsize = itemsize or (1 if len(shape) == 3 else 4)
    return Sizes(training, validation, test, tuple(shape), classes, itemsize)


def known_sizes(plan: Plan, data: Mapping[str, str]) -> dict[str, Sizes]:
    """Return {dataset: its `Sizes`}, as its entry expects or from its prepared file in `data`."""
    entries = plan.datasets.items()
    known = {name: sizes(entry, **entry["expect"]) for name, entry in entries if "expect" in entry}
    for name, path in data.items():
        arrays, metadata = load_arrays(path)
        (samples, *shape), itemsize = arrays["inputs"].shape, arrays["inputs"].itemsize
        official, classes = int(arrays["official_test"].sum()), len(metadata["classes"])
        known[name] = sizes(plan.datasets[name], samples, official, shape, classes, itemsize)
    return known


class Pair(NamedTuple):
    """A dataset and a network, trained by a recipe on a device, so many students at once: what is
    measured once."""

    dataset: str
    network: str
    recipe_name: str
    sizes: Sizes
    augmentation: Mapping[str, Any]
    architecture: Architecture
    recipe: Recipe
    device: torch.device
    students_at_once: int

    @property
    def batch(self) -> int:
        """The samples of a mini-batch."""
        return min(self.recipe.batch_size, self.sizes.train)


def forward_flops(network, shape) -> tuple[float, float]:
    """Floating-point operations of an image's forward pass: (in evaluation, in training).

    A multiply-add is two. They differ by the blocks that stochastic depth is expected to skip; its
    blocks cost about the same each. On the meta device nothing is computed.
    """

    def operations():
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, *shape, device=next(network.parameters()).device))
        return counter.get_total_flops()

    network.eval()
    evaluation = operations()
    if not network.survival:
        return evaluation, evaluation
    network.train()
    network.coins = [False] * len(network.survival)
    skipped = operations()
    share = sum(network.survival) / len(network.survival)
    return evaluation, skipped + (evaluation - skipped) * share


def kept_bytes(network, shape) -> int:
    """Bytes of activations that the backward pass of an image needs; on the meta device."""
    own = {tensor.untyped_storage()._cdata for tensor in network.state_dict().values()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        kept[storage._cdata] = 0 if storage._cdata in own else storage.nbytes()
        return tensor

    network.eval()  # batch norm keeps as much, and no coins are drawn
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(torch.empty(1, *shape, device="meta"))
    return sum(kept.values())


class EnoughError(Exception):
    """Ends a training that has been timed for long enough."""


class TimedCell(CellData):
    """A cell that notes the time when it hands out a mini-batch, and ends the training in time.

    On the CPU it is the process's own time, so that a busy machine looks no slower than an idle
    one.
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
                    raise EnoughError
            yield batch


def made_up_cell(sizes: Sizes, augmentation, samples: int, device: torch.device) -> TimedCell:
    """A timed cell of random training samples in the shape, classes and views of a dataset."""
    rng, shape = np.random.default_rng(0), (samples, *sizes.shape)
    if len(shape) == 4:
        inputs = rng.integers(0, 256, shape, np.uint8)
    else:
        inputs = rng.normal(size=shape).astype(np.float32)
    labels = rng.integers(0, sizes.classes, samples)
    labels[-1] = sizes.classes - 1
    split = {"train": np.arange(samples), "validation": np.arange(2)}
    split |= {"mean": inputs.mean(), "std": inputs.std()}
    return TimedCell({"inputs": inputs, "labels": labels}, split, augmentation, device)


def time_steps(cell, architecture: Architecture, groups: Sequence[Group], recipe) -> float:
    """Train students in a timed cell; returns the mean seconds of a step after the first.

    It is `trainer.train` itself that runs. A torch.OutOfMemoryError is the caller's.
    """
    kind, entry = cell.device.type, (architecture.family, architecture.options)
    precision = architecture.precision[kind]
    students = sum(len(group.points) for group in groups)
    network = build(*entry, cell.shape, cell.classes, students, 0, precision)
    once = Recipe(**(vars(recipe) | {"epochs": 1}))
    graphs = kind == "cuda" and bool(architecture.cuda_graphs)
    with contextlib.suppress(EnoughError):
        train(network, cell, groups, once, 0, "measuring", cuda_graphs=graphs)
    return (cell.times[-1] - cell.times[0]) / (len(cell.times) - 1)


def step_seconds(pair: Pair, students: int) -> float:
    """Measure one training step of so many students on made-up data and hard labels, in seconds.

    Of a mini-batch whose activations would take more than half of the machine's memory a part is
    measured, on the CPU, as if time went by its samples: the system kills who takes too much.
    """
    batch = pair.batch
    if pair.device.type == "cpu":
        batch = min(batch, max(2, memory() // (2 * students * activations(pair))))
    cell = made_up_cell(pair.sizes, pair.augmentation, batch * STEPS, pair.device)
    group = Group("no_ls", load("method", "no_ls"), [{}] * students)
    recipe = replace(pair.recipe, batch_size=batch)
    return pair.batch / batch * time_steps(cell, pair.architecture, [group], recipe)


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def on_meta(pair: Pair):
    """A pair's network of one student, of which nothing is computed."""
    entry, s = (pair.architecture.family, pair.architecture.options), pair.sizes
    with torch.device("meta"):
        return build(*entry, s.shape, s.classes, 1, 0)


def activations(pair: Pair) -> int:
    """Bytes that a student of a pair keeps of a sample for the backward pass."""
    return kept_bytes(on_meta(pair), pair.sizes.shape)


class Costs(NamedTuple):
    """What one pair costs: measured seconds of a training step of one student `alone` and of
    `at_once` of them `together`, and what follows from the sizes of its dataset and network, in
    bytes: a student's `weights`, the `activations` that it keeps of a sample, the `inputs`."""

    sizes: Sizes
    recipe: Recipe
    views: int
    at_once: int
    alone: float
    together: float
    flops: tuple[float, float]
    weights: int
    activations: int
    inputs: int

    def step(self, students: int) -> float:
        """Seconds of a training step of up to `at_once` students, between the measured ones."""
        share = (students - 1) / (self.at_once - 1) if students > 1 else 0
        return self.alone + (self.together - self.alone) * share

    def steps(self, samples: int) -> float:
        """Predicting `samples`, in training steps: a step is three forward passes of its batch."""
        return samples / self.recipe.batch_size * self.flops[0] / (3 * self.flops[1])

    def epoch(self, students: int) -> float:
        """Seconds of an epoch of up to `at_once` students, validation included."""
        batches = math.ceil(self.sizes.train / self.recipe.batch_size)
        return (batches + self.steps(self.sizes.validation)) * self.step(students)

    def networks(self, students: int) -> list[int]:
        """How many of so many students each network has, up to `at_once`."""
        return share_sizes(students, math.ceil(students / self.at_once))

    def training(self, students: int, stages: Sequence[tuple[int, int]] = ()) -> float:
        """Seconds of a job that trains so many students and predicts the test data by them.

        stages: those of `Recipe.stages`; without them all students are trained to the end.
        """
        trained = (
            epochs * self.epoch(size)
            for epochs, left in stages or [(self.recipe.epochs, students)]
            for size in self.networks(left)
        )
        tested = (self.steps(self.sizes.test) * self.step(n) for n in self.networks(students))
        return sum(trained) + sum(tested)

    def training_flops(self, students: int, epochs: int) -> float:
        """Floating-point operations of training students for so many epochs, added up, and of their
        test predictions."""
        (evaluation, training), s = self.flops, self.sizes
        per_epoch = 3 * training * s.train + evaluation * s.validation
        return epochs * per_epoch + students * evaluation * s.test

    def soft_targets_bytes(self, of_logit: int) -> int:
        """Bytes of a teacher's soft targets: its logits on every view, of so many each, and the
        samples' ids."""
        return self.sizes.train * (self.views * self.sizes.classes * of_logit + 8)

    def device_bytes(self, teachers: int, of_logit: int) -> int:
        """Bytes that training `at_once` students needs on the device: modelled, not measured.

        Counted are inputs, labels and what so many teachers said, in so many bytes a logit, and of
        each student the weights, their best, gradients, the optimizer's memory, and a mini-batch's
        activations in float32.
        """
        s, r = self.sizes, self.recipe
        data = self.inputs + s.train * s.classes * (4 + teachers * self.views * of_logit)
        copies = 5 if r.optimizer == "adam" else 3 + bool(r.momentum)
        batch = min(r.batch_size, s.train)
        return data + self.at_once * (copies * self.weights + batch * self.activations)

    def shard_bytes(self, students: int, methods: int) -> int:
        """Bytes of what so many students leave: logits, labels, history, the weights of each
        method's best one."""
        s = self.sizes
        logits = (s.validation + s.test) * s.classes * 4
        history = self.recipe.epochs * 16 + 24
        return (
            students * (logits + history) + s.validation * 8 + s.test * 16 + methods * self.weights
        )

    def predictions_bytes(self, columns: int) -> int:
        """Bytes of a cell's predictions, without the curves of its students."""
        return self.sizes.test * (columns * self.sizes.classes * 4 + 16)


def costs(pair: Pair, alone: float, together: float, at_once: int) -> Costs:
    """Return the `Costs` of a pair whose steps were measured."""
    sizes, network = pair.sizes, on_meta(pair)
    weights = sum(tensor.numel() * tensor.itemsize for tensor in network.state_dict().values())
    flops, views = forward_flops(network, sizes.shape), view_count(pair.augmentation)
    inputs, pad = math.prod(sizes.shape) * sizes.itemsize, pair.augmentation["pad"]
    padded = math.prod(n + 2 * pad for n in sizes.shape[1:]) * sizes.shape[0] * sizes.itemsize
    stored = (sizes.train + sizes.validation) * (inputs + (padded if pad else 0))
    kept = kept_bytes(network, sizes.shape)
    measured = at_once, alone, together
    return Costs(sizes, pair.recipe, views, *measured, flops, weights, kept, stored)
