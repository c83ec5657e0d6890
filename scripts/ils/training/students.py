"""The two files of a shard of students: what a training job leaves for every later stage.

Logits are the border between training and analysis; to read these files needs no torch. In
students/.../shard<n>.safetensors, under the name of each cell:

    validation_logits (G, N, K) float32 at each student's best epoch, validation_labels (N,)
    best_epoch, failed_epoch, dropped_epoch (G,) int64, epochs counting from 1, the latter two 0 for
    never: the best so far of a student that a race dropped; train_loss, validation_ce (G, epochs)
    best (M,) int64: of each method the student of the lowest cross-entropy on the validation data,
    of those that were neither dropped nor diverged; weights/<name> (M, ...): their weights
    metadata "cells": by cell the G methods and grid points, and what decided the numbers' rounding

In test_logits/.../shard<n>.safetensors likewise logits (G, N_test, K), labels and ids (N_test,),
with the same metadata and "digests" of all that decided a cell's results, test split included. No
selection sees these.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ils.errors import UserError
from ils.files import load_arrays, load_metadata
from ils.job import log
from ils.plan.records import Cell
from ils.probabilities import cross_entropy

PER_STUDENT = (
    *("validation_logits", "best_epoch", "failed_epoch", "dropped_epoch"),
    *("train_loss", "validation_ce"),
)
TESTED = ("logits", "labels", "ids")
Arrays = Mapping[str, np.ndarray]


def shard_arrays(results: Sequence[Any], methods: Sequence[str], labels: np.ndarray) -> Arrays:
    """Return the arrays of a cell in the file of its students.

    results: the `trainer.Students` of consecutive chunks; methods: of each student, (G,); labels:
    of the validation data, (N,).
    """
    arrays = {name: np.concatenate([getattr(r, name) for r in results]) for name in PER_STUDENT}
    arrays["validation_labels"] = labels
    ce = raw_cross_entropy(arrays)
    best: dict[str, int] = {}
    for index, method in enumerate(methods):
        if ce[index] < ce[best[method]] if method in best else np.isfinite(ce[index]):
            best[method] = index
    arrays["best"] = np.array(list(best.values()), np.int64)
    rows = [(result, row) for result in results for row in range(len(result.best_epoch))]
    kept = [rows[index] for index in arrays["best"]]
    for name in results[0].weights if kept else ():
        weights = [result.weights[name][row].cpu().numpy() for result, row in kept]
        arrays[f"weights/{name}"] = np.stack(weights)
    return arrays


def raw_cross_entropy(arrays: Arrays) -> np.ndarray:
    """The cross-entropy (G,) of undivided logits on the validation data; infinite for students that
    diverged or were dropped, which are not selected."""
    logits = np.nan_to_num(arrays["validation_logits"])
    ce = cross_entropy(logits, arrays["validation_labels"])
    out = (arrays["failed_epoch"] > 0) | (arrays["dropped_epoch"] > 0)
    return np.where(out, np.inf, ce)


class Best(NamedTuple):
    """A method's best student by validation data, of all its shards."""

    point: dict[str, Any]
    validation_logits: np.ndarray  # (N, K)
    validation_labels: np.ndarray  # (N,)
    weights: dict[str, np.ndarray]  # (1, ...)


def best_student(paths: Sequence[str], cell: Cell, method: str) -> Best:
    """Return the `Best` of a method in a cell, among the files of the shards that trained it;
    UserError when all its students diverged."""
    chosen, lowest = None, np.inf
    for path in paths:
        arrays, metadata = load_arrays(path, under=f"{cell.name}/")
        about, ce = metadata["cells"][cell.name], raw_cross_entropy(arrays)
        for row, index in enumerate(arrays["best"]):
            if about["methods"][index] == method and ce[index] < lowest:
                lowest, point = ce[index], about["points"][index]
                logits, labels = arrays["validation_logits"][index], arrays["validation_labels"]
                names = [name for name in arrays if name.startswith("weights/")]
                weights = {n.removeprefix("weights/"): arrays[n][row : row + 1] for n in names}
                chosen = Best(point, logits, labels, weights)
    if chosen is None:
        raise UserError(
            f"{cell.title}: every student of {method} diverged; lower the learning rate or "
            "change the grid"
        )
    return chosen


def left_before(
    students: str, test_logits: str, cell: str, digest: str
) -> tuple[Arrays, Arrays, dict] | None:
    """Return what another batch's job left of a cell that it trained by the same `digest`.

    A cell changes its batch when others join or leave the study. students, test_logits: the files
    of the present job; those of other batches lie beside them. Returns the cell's arrays in both
    and its metadata, or None.
    """
    folder, tested = (Path(file).parent.parent.parent for file in (students, test_logits))
    for other in sorted(tested.glob("/".join(["*", *Path(test_logits).parts[-2:]]))):
        path = folder / other.relative_to(tested)
        try:
            if path == Path(students) or load_metadata(other)["digests"].get(cell) != digest:
                continue
            tests, _ = load_arrays(other, under=f"{cell}/")
            arrays, metadata = load_arrays(path, under=f"{cell}/")
        except UserError as error:
            log.info("not taken over: %s", error)
            continue
        log.info("%s: taken over from %s, where it was trained in the same way", cell, path)
        return arrays, tests, metadata["cells"][cell]
    return None


class Grid:
    """All students of a method in a cell, without their weights, from the files of the shards that
    trained it.

    Arrays are those of the file, of all shards: validation_logits (G, N, K), best_epoch (G,) ...
    """

    def __init__(self, paths: Sequence[str], cell: str, method: str):
        self.cell = cell
        shards = [load_arrays(p, [*PER_STUDENT, "validation_labels"], f"{cell}/") for p in paths]
        self.about = [metadata["cells"][cell] for _, metadata in shards]
        self.rows = [  # the students as (shard, number in it)
            (shard, row)
            for shard, about in enumerate(self.about)
            for row, name in enumerate(about["methods"])
            if name == method
        ]
        self.points = [self.about[shard]["points"][row] for shard, row in self.rows]
        self.validation_labels = shards[0][0]["validation_labels"]
        of = {
            name: np.stack([shards[shard][0][name][row] for shard, row in self.rows])
            for name in PER_STUDENT
        }
        self.validation_logits, self.best_epoch = of["validation_logits"], of["best_epoch"]
        self.failed_epoch, self.dropped_epoch = of["failed_epoch"], of["dropped_epoch"]
        self.train_loss, self.validation_ce = of["train_loss"], of["validation_ce"]
        self.failed, self.dropped = self.failed_epoch > 0, self.dropped_epoch > 0

    def matching(self, among: Mapping[str, Any]) -> np.ndarray:
        """Which students (G,) have all the hyperparameters of `among`."""
        wanted = among.items()
        return np.array([all(p[name] == value for name, value in wanted) for p in self.points])

    def curves(self, method: str) -> Arrays:
        """The history of all students under the names that a file of predictions gives it."""
        arrays = {f"curves/{method}/failed_epoch": self.failed_epoch}
        for name in ("train_loss", "validation_ce"):
            arrays[f"curves/{method}/{name}"] = getattr(self, name).astype(np.float32)
        return arrays

    def in_shard(self, shard: int) -> tuple[slice, slice]:
        """Which of the G students a shard has, neighbours in the grid, and where in its arrays."""
        own = [index for index, (of, _) in enumerate(self.rows) if of == shard]
        if not own:
            return slice(0, 0), slice(0, 0)
        row = self.rows[own[0]][1]
        return slice(own[0], own[-1] + 1), slice(row, row + len(own))


def test_arrays(path: str, cell: str, about: Mapping[str, Any]) -> Arrays:
    """Return the logits (G, N, K) of a shard's students of a cell on test data, its labels and ids
    (N,); UserError unless they are the students that the other file tells `about`."""
    arrays, metadata = load_arrays(path, TESTED, f"{cell}/")
    if metadata["cells"][cell] != about:
        raise UserError(f"{path}: the test logits are of other students; delete it and run again")
    return arrays
