"""One shard of a round's students in one cell: from the files that they learn from to the arrays
that they leave."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ils.files import crc32, load_arrays, load_json
from ils.job import tell
from ils.networks.build import build
from ils.networks.layers import Network
from ils.plan.grids import RESTART, grid_points, race_of, shares
from ils.plan.plugins import load
from ils.plan.records import Cell, CellPlan, Method, Recipe, Training
from ils.targets.inputs import inputs_of
from ils.training.cell import CellData, predict
from ils.training.checkpoints import Checkpoints, digest
from ils.training.devices import choose_device
from ils.training.step import Group
from ils.training.students import left_before, shard_arrays
from ils.training.trainer import INITIALISATION, Students, stream, train, train_chunks

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Inputs:
    """The files of one cell.

    splits: of its batch; soft_targets: of its teachers, one, several or none; fits: what is known
    of other methods' selected students, and their temperatures.
    """

    data: str
    splits: str
    soft_targets: list[str] = field(default_factory=list)
    fits: list[str] = field(default_factory=list)

    @classmethod
    def of_cells(
        cls, data: Sequence[str], splits: str, soft_targets: Sequence[str], fits: Sequence[str]
    ) -> "list[Inputs]":
        """The files of each cell of a batch, which has one of `data` for each.

        soft_targets: one file for all cells, or so many for each, cell by cell.
        """
        each = len(soft_targets) // len(data)
        shared = [
            soft_targets[each * number : each * (number + 1)] if each else soft_targets
            for number in range(len(data))
        ]
        pairs = zip(data, shared, strict=True)
        return [cls(path, splits, list(taught), list(fits)) for path, taught in pairs]

    def fit(self, cell: Cell, method: str) -> Mapping[str, Any]:
        """The point and temperature of the selected student of a method that a cell's students must
        know; UserError unless one of the files has it."""
        cells = [load_json(path) for path in self.fits]
        name = cell.teachers.name
        methods = [fits[name] for fits in cells if name in fits] or [cells[0][name]]
        return next((fits for fits in methods if method in fits), methods[0])[method]

    def load(self, plan: CellPlan, training: Training) -> tuple[CellData, list]:
        """Return the cell's data on its device, with what its teachers say, and what identifies
        all that."""
        cell, teacher = plan.cell, plan.cell.teachers.name
        data, split = load_arrays(self.data)[0], load_arrays(self.splits, under=f"{cell.split}/")[0]
        names = "logits", "ids"
        soft_targets = [load_arrays(path, names, f"{teacher}/")[0] for path in self.soft_targets]
        looked_at = {
            name for m in training.methods for name in inputs_of(load("method", m.targets))
        }
        temperature = None
        if "teacher_temperature" in looked_at:
            temperature = self.fit(cell, training.teacher)["temperature"]
        device = choose_device(plan.device)
        on_device = CellData(data, split, plan.augmentation, device, soft_targets, temperature)
        said = [arrays[name] for arrays in soft_targets for name in names]
        return on_device, [temperature, *map(crc32, (*data.values(), *split.values(), *said))]

    def groups(self, cell: Cell, methods: Sequence[Method], share: Sequence) -> list[Group]:
        """Return the `Group` of each method that has students among a shard's `share`, which are
        (method, grid point), those with a transform last; other methods' selected students set what
        is inherited."""
        groups = []
        for method in methods:
            inherited = method.inherited.items()
            fixed = {name: self.fit(cell, source)["point"][name] for name, source in inherited}
            points = [{**point, **fixed} for name, point in share if name == method.name]
            if points:
                function = load("method", method.targets)
                transform = load("transform", method.transform) if method.transform else None
                groups.append(Group(method.name, function, points, method.inputs, transform))
        return sorted(groups, key=lambda group: group.transform is not None)


@dataclass(frozen=True)
class Outputs:
    """The two files that a job writes, and what it keeps while it runs.

    A checkpoint is kept every so many `minutes`. code: the files of the code that trains.
    """

    students: str
    test_logits: str
    code: list[str]
    minutes: float
    cells: int

    def checkpoints(self, identity: list, cell: Cell) -> Checkpoints:
        """Those of a cell: trusted while neither what it is told and reads changes nor its code."""
        key = digest(identity, self.code)
        return Checkpoints(self.students, key, self.minutes, self.cells > 1, cell.name)


def train_shard(
    plan: CellPlan,
    recipe: Recipe,
    training: Training,
    shard: int,
    at_once: Mapping[str, int],
    inputs: Inputs,
    outputs: Outputs,
) -> tuple[Arrays, Arrays, dict, str]:
    """Train the students of a shard in the cell of `plan`; a teacher is a student, too.

    at_once: how many train in one network, by kind of device. Returns their arrays, those of the
    test split, metadata and digest; see `ils.training.students`. A cell that another batch has
    trained in the same way is taken over from there.
    """
    cell, network = plan.cell, plan.architecture
    data, read = inputs.load(plan, training)
    students = [(m.name, point) for m in training.methods for point in grid_points(m.grid)]
    groups = inputs.groups(cell, training.methods, shares(students, training.shards)[shard])
    entrants = Counter(race_of(*student) for student in students)
    spared = sorted(race for race, count in entrants.items() if recipe.spares(count))
    told = asdict(replace(plan, device=data.device.type))  # `auto` is what it comes to
    methods = {m.name: [m.name, m.targets, m.inputs, m.code] for m in training.methods}
    learnt = [[*methods[group.method], list(group.points)] for group in groups]
    checkpoints = outputs.checkpoints([told, asdict(recipe), learnt, spared, read], cell)
    key = checkpoints.digest
    if before := left_before(outputs.students, outputs.test_logits, cell.name, key):
        return *before, key
    checkpoints.listen()
    kind = data.device.type
    about: dict = {"device": kind, "precision": network.precision[kind]}
    about |= {"cuda_graphs": network.cuda_graphs if kind == "cuda" else 0}

    def make(students, restart=0):
        shape, initial = (data.shape, data.classes), stream(cell.seed, INITIALISATION, restart)
        entry = network.family, network.options
        return build(*entry, *shape, students, initial, about["precision"])

    def train_group(network, groups, **told):
        start_anew(network, groups, make)
        graphs = bool(about["cuda_graphs"])
        return train(network, data, groups, recipe, cell.seed, cuda_graphs=graphs, **told)

    together = at_once[kind], make, train_group, cell.title, checkpoints
    results = train_chunks(groups, *together, races=recipe.races, spared=spared)
    named = [(group.method, point) for group in groups for point in group.points]
    epochs = [epoch for result in results for epoch in result.failed_epoch]
    for (method, point), epoch in zip(named, epochs, strict=True):
        if epoch:
            problem = f"diverged in epoch {epoch} (its loss is not a finite number)"
            tell(logging.ERROR, f"{cell.title}: {method} student {point} {problem}; left out")
    about |= {"methods": [name for name, _ in named], "points": [point for _, point in named]}
    labels = data.validation_labels.cpu().numpy()
    arrays = shard_arrays(results, about["methods"], labels)
    return arrays, test_arrays(results, make, data), about, key


def start_anew(network: Network, groups: Sequence[Group], make: Callable) -> None:
    """Give the students of restarts above 0 their initial weights; `network` has those of 0.

    make(1, restart): the network of one student that starts so.
    """
    restarts = np.array([point.get(RESTART, 0) for group in groups for point in group.points])
    for restart in np.unique(restarts[restarts > 0]).tolist():
        rows, initial = np.flatnonzero(restarts == restart), make(1, restart).state_dict()
        for name, tensor in network.state_dict().items():
            tensor[rows] = initial[name]


def test_arrays(results: Sequence[Students], make: Callable, data: CellData) -> Arrays:
    """Return what all students say of the test split: the one place that reads it."""
    samples, logits = data.samples("test"), []
    for students in results:
        network = make(len(students.best_epoch)).to(data.device, data.dtype)
        network.load_state_dict(students.weights)
        logits.append(predict(network, samples).cpu().numpy())
    labels, ids = data.labels("test").cpu().numpy(), data.ids("test")
    return {"logits": np.concatenate(logits), "labels": labels, "ids": ids}
