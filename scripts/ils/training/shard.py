"""One shard of a method's grid in one cell: from the files that it learns from to the arrays that
it leaves."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from ils.files import crc32, load_arrays, load_json
from ils.job import tell
from ils.networks.build import build
from ils.plan.plugins import load
from ils.plan.records import Cell, CellPlan, Recipe, Targets
from ils.training.cell import CellData, predict
from ils.training.checkpoints import Checkpoints, digest
from ils.training.devices import choose_device
from ils.training.students import left_before, shard_arrays
from ils.training.trainer import INITIALISATION, Students, stream, train, train_chunks

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Inputs:
    """The files of one cell.

    soft_targets: of its teachers, one, several or none; temperatures: fitted to them;
    inherited: {hyperparameter: file of the method whose best student sets it}.
    """

    data: str
    split: str
    soft_targets: list[str] = field(default_factory=list)
    temperatures: list[str] = field(default_factory=list)
    inherited: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_cells(
        cls,
        data: Sequence[str],
        splits: Sequence[str],
        soft_targets: Sequence[str],
        temperatures: Sequence[str],
        inherited: dict[str, str],
    ) -> "list[Inputs]":
        """The files of each cell of a batch, which has one of `data` and `splits` for each.

        soft_targets, temperatures: one file for all cells, or so many for each, cell by cell.
        """

        def share(files, number):
            each = len(files) // len(data)
            return list(files[each * number : each * (number + 1)] if each else files)

        return [
            cls(*own, share(soft_targets, number), share(temperatures, number), inherited)
            for number, own in enumerate(zip(data, splits, strict=True))
        ]

    def load(self, plan: CellPlan) -> tuple[CellData, list]:
        """Return the cell's data on its device, with what its teachers say, and checksums of it."""
        teacher = plan.cell.teachers.name
        data, split = load_arrays(self.data)[0], load_arrays(self.split)[0]
        names = "logits", "ids"
        soft_targets = [load_arrays(path, names, f"{teacher}/")[0] for path in self.soft_targets]
        fitted = [load_json(path)[teacher]["temperature"] for path in self.temperatures]
        temperature = fitted[0] if fitted else None
        device = choose_device(plan.device)
        cell = CellData(data, split, plan.augmentation, device, soft_targets, temperature)
        said = [crc32(arrays[name]) for arrays in soft_targets for name in names]
        return cell, [temperature, *said]

    def inherit(self, cell: Cell, points: Sequence[Mapping]) -> list[dict]:
        """Return the grid points with the hyperparameters that other methods' best students set."""
        sources = self.inherited.items()
        fixed = {name: load_json(path)[cell.name]["point"][name] for name, path in sources}
        return [{**point, **fixed} for point in points]


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

    def checkpoints(self, identity: list, files: list[str], cell: Cell) -> Checkpoints:
        """Those of a cell: trusted while neither what it is told changes nor its files or code."""
        key = digest(identity, [*files, *self.code])
        return Checkpoints(self.students, key, self.minutes, self.cells > 1, cell.name)


def train_shard(
    plan: CellPlan,
    recipe: Recipe,
    targets: Targets,
    points: Sequence[Mapping[str, float]],
    inputs: Inputs,
    outputs: Outputs,
) -> tuple[Arrays, Arrays, dict, str]:
    """Train the students of the grid `points`; a teacher is a student, too.

    Returns their arrays, those of the test split, metadata and digest; see `ils.training.students`.
    A cell that another batch has trained in the same way is taken over from there.
    """
    cell, network, (data, taught) = plan.cell, plan.architecture, inputs.load(plan)
    points = inputs.inherit(cell, points)
    told = asdict(replace(plan, device=data.device.type))  # `auto` is what it comes to
    identity = [told, asdict(recipe), asdict(targets), points, taught]
    checkpoints = outputs.checkpoints(identity, [inputs.data, inputs.split], cell)
    key = checkpoints.digest
    if before := left_before(outputs.students, outputs.test_logits, cell.name, key):
        return *before, key
    checkpoints.listen()
    kind = data.device.type
    precision, at_once = network.precision[kind], network.students_at_once[kind]
    about: dict = {"device": kind, "precision": precision, "students_at_once": at_once}
    about |= {"cuda_graphs": network.cuda_graphs if kind == "cuda" else 0}

    def make(students):
        shape, initial = (data.shape, data.classes), stream(cell.seed, INITIALISATION)
        return build(network.family, network.options, *shape, students, initial, precision)

    learn = functools.partial(
        train,
        cell=data,
        method=load("method", targets.function),
        recipe=recipe,
        seed=cell.seed,
        options=targets.inputs,
        cuda_graphs=bool(about["cuda_graphs"]),
    )
    results = train_chunks(points, at_once, make, learn, cell.title, checkpoints)
    epochs = [epoch for result in results for epoch in result.failed_epoch]
    for point, epoch in zip(points, epochs, strict=True):
        if epoch:
            problem = f"diverged in epoch {epoch} (its loss is not a finite number)"
            tell(logging.ERROR, f"{cell.title}: student {point} {problem}; left out")
    students = shard_arrays(results, data.validation_labels.cpu().numpy())
    about |= {"points": points}
    return students, test_arrays(results, make, data), about, key


def test_arrays(results: Sequence[Students], make: Callable, data: CellData) -> Arrays:
    """Return what all students say of the test split: the one place that reads it."""
    samples, logits = data.samples("test"), []
    for students in results:
        network = make(len(students.best_epoch)).to(data.device, data.dtype)
        network.load_state_dict(students.weights)
        logits.append(predict(network, samples).cpu().numpy())
    labels, ids = data.labels("test").cpu().numpy(), data.ids("test")
    return {"logits": np.concatenate(logits), "labels": labels, "ids": ids}
