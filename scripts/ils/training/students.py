"""The two files of a shard of students: what a training job leaves for every later stage.

Logits are the border between training and analysis; to read these files needs no torch. In
students/.../shard<n>.safetensors, under the name of each cell:

    validation_logits (G, N, K) float32 at each student's best epoch, validation_labels (N,)
    best_epoch, failed_epoch (G,) int64; train_loss, validation_ce (G, epochs)
    best (1,) int64: the student of the lowest cross-entropy on the validation data, (0,) if all
    diverged; weights/<name> (1, ...): its weights
    metadata "cells": by cell the G grid points and what decided the numbers' rounding

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

PER_STUDENT = ("validation_logits", "best_epoch", "failed_epoch", "train_loss", "validation_ce")
TESTED = ("logits", "labels", "ids")
Arrays = Mapping[str, np.ndarray]


def shard_arrays(results: Sequence[Any], labels: np.ndarray) -> Arrays:
    """Return the arrays of a cell in the file of its students.

    results: the `trainer.Students` of consecutive chunks; labels: of the validation data, (N,).
    """
    arrays = {name: np.concatenate([getattr(r, name) for r in results]) for name in PER_STUDENT}
    arrays["validation_labels"] = labels
    ce = raw_cross_entropy(arrays)
    arrays["best"] = np.array([ce.argmin()] if np.isfinite(ce).any() else [], np.int64)
    rows = [(result, row) for result in results for row in range(len(result.best_epoch))]
    for result, row in (rows[index] for index in arrays["best"]):
        for name, tensor in result.weights.items():
            arrays[f"weights/{name}"] = tensor[row : row + 1].cpu().numpy()
    return arrays


def raw_cross_entropy(arrays: Arrays) -> np.ndarray:
    """The cross-entropy (G,) of undivided logits on the validation data; infinite if diverged."""
    logits = np.nan_to_num(arrays["validation_logits"])
    ce = cross_entropy(logits, arrays["validation_labels"])
    return np.where(arrays["failed_epoch"] > 0, np.inf, ce)


class Best(NamedTuple):
    """The student with which a method teaches: the best of all its shards by validation data."""

    point: dict[str, Any]
    validation_logits: np.ndarray  # (N, K)
    validation_labels: np.ndarray  # (N,)
    weights: dict[str, np.ndarray]  # (1, ...)


def best_student(paths: Sequence[str], cell: Cell) -> Best:
    """Return a cell's `Best` among the files of a method's shards; UserError when all diverged."""
    chosen, lowest = None, np.inf
    for path in paths:
        arrays, metadata = load_arrays(path, under=f"{cell.name}/")
        ce = raw_cross_entropy(arrays)
        for index in arrays["best"]:
            if ce[index] < lowest:
                lowest, point = ce[index], metadata["cells"][cell.name]["points"][index]
                logits, labels = arrays["validation_logits"][index], arrays["validation_labels"]
                names = [name for name in arrays if name.startswith("weights/")]
                weights = {name.removeprefix("weights/"): arrays[name] for name in names}
                chosen = Best(point, logits, labels, weights)
    if chosen is None:
        raise UserError(
            f"{cell.title}: every student of the grid diverged; lower the learning rate or "
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
    """All students of a method in a cell, from the files of its shards, without their weights.

    Arrays are those of the file, of all shards: validation_logits (G, N, K), best_epoch (G,) ...
    """

    def __init__(self, paths: Sequence[str], cell: str):
        self.cell = cell
        names = [*PER_STUDENT, "validation_labels"]
        shards = [load_arrays(path, names, f"{cell}/") for path in paths]
        self.points = [point for _, about in shards for point in about["cells"][cell]["points"]]
        self.sizes = [len(arrays["best_epoch"]) for arrays, _ in shards]
        self.validation_labels = shards[0][0]["validation_labels"]
        joined = {name: np.concatenate([a[name] for a, _ in shards]) for name in PER_STUDENT}
        self.validation_logits, self.best_epoch = joined["validation_logits"], joined["best_epoch"]
        self.failed_epoch = joined["failed_epoch"]
        self.train_loss, self.validation_ce = joined["train_loss"], joined["validation_ce"]
        self.failed = self.failed_epoch > 0

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

    def test_arrays(self, paths: Sequence[str], index: int) -> Arrays:
        """Return labels, ids (N,) and the student's logits (N, K) from the files of test logits."""
        first = 0
        for path, size in zip(paths, self.sizes, strict=True):
            if index < first + size:
                arrays, metadata = load_arrays(path, TESTED, f"{self.cell}/")
                own = self.points[first : first + size]
                if metadata["cells"][self.cell]["points"] != own:
                    raise UserError(
                        f"{path}: the test logits are of other students; delete it and run again"
                    )
                return {**arrays, "logits": arrays["logits"][index - first]}
            first += size
        raise IndexError(index)
