"""A cell's predictions, all that the analysis needs of its students: made of both files of their
shards, and the only place that reads the test logits."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ils.errors import UserError
from ils.evaluation.calibrators import Calibrator, uncalibrated
from ils.evaluation.grids import Fits, on_test, on_validation
from ils.evaluation.selection import Selected, select
from ils.job import log
from ils.plan.plugins import load
from ils.plan.records import UNCALIBRATED, Cell, Column, Evaluation
from ils.training.students import Grid, test_arrays


def choose(
    grid: Grid, column: Column, title: str, fit: Calibrator = uncalibrated
) -> tuple[Selected, dict]:
    """Return the `Selected` student of a column's grid, calibrated by `fit`, and as metadata how
    it was selected."""
    excluded = grid.failed | grid.dropped | ~grid.matching(column.among or {})
    try:
        logits, labels = grid.validation_logits, grid.validation_labels
        chosen = select(logits, labels, excluded, fit, column.reading)
    except UserError as error:
        raise UserError(f"{title} {column.method}: {error}") from None
    return chosen, {
        "method": column.column,
        "index": chosen.index,
        "point": grid.points[chosen.index],
        "temperature": chosen.fitted.temperature,
        "parameters": json.dumps(dict(chosen.fitted.parameters)),
        "best_epoch": int(grid.best_epoch[chosen.index]),
        "validation_ce": chosen.validation_ce,
        "students": len(grid.points),
        "diverged": int(grid.failed.sum()),
    }


def calibrators_of(evaluation: Evaluation) -> dict[str, Calibrator]:
    """The functions that fit, by the names that columns give the calibrators."""
    fits: dict[str, Calibrator] = {UNCALIBRATED: uncalibrated}
    for entry in evaluation.calibrators:
        fits[entry.name] = functools.partial(load("calibrator", entry.fit), **entry.options)
    return fits


class Predictions:
    """A cell's arrays by name, and `about`: how each column was selected, and the grid points."""

    def __init__(
        self,
        cell: Cell,
        evaluation: Evaluation,
        students: Mapping[str, Sequence[str]],
        test_logits: Mapping[str, Sequence[str]],
    ):
        rounds = evaluation.rounds.items()
        grids = {method: Grid(students[name], cell.name, method) for method, name in rounds}
        calibrators = calibrators_of(evaluation)
        self.arrays: dict[str, np.ndarray] = {}
        self.chosen: list[tuple[Column, Selected]] = []
        selected: list[dict[str, Any]] = []
        for column in evaluation.columns:
            fit = calibrators[column.calibrator]
            student, how = choose(grids[column.method], column, cell.title, fit)
            self.chosen.append((column, student))
            selected.append(how)
            log.info("%s %s", cell.title, how)
        budgeted = [calibrators[name] for name in evaluation.scalings]
        self._fits = {m: self._validate(m, grid, budgeted) for m, grid in grids.items()}
        for name, paths in test_logits.items():
            of_round = {method: grids[method] for method, of in rounds if of == name}
            for shard, path in enumerate(paths):
                self._test(path, shard, cell, of_round, evaluation.metrics)
        points = {method: grid.points for method, grid in grids.items()}
        self.about = {"selected": selected, "grids": points}

    def _validate(self, method: str, grid: Grid, calibrators: Sequence[Calibrator]) -> Fits:
        """Add what is known of a method's students without the test split."""
        labels, failed = grid.validation_labels, grid.failed
        fits, fitted = on_validation(grid.validation_logits, labels, failed, calibrators)
        known = {"best_epoch": grid.best_epoch, "dropped_epoch": grid.dropped_epoch, **fitted}
        self.arrays |= grid.curves(method)
        self.arrays |= {f"grid/{method}/{name}": array for name, array in known.items()}
        return fits

    def _test(
        self, path: str, shard: int, cell: Cell, grids: Mapping[str, Grid], metrics: Sequence[str]
    ) -> None:
        """Add what the students of a shard, of some methods, say of the test split: of all their
        metrics, of the chosen ones the logits."""
        tests = test_arrays(path, cell.name, next(iter(grids.values())).about[shard])
        self.arrays |= {name: tests[name] for name in ("labels", "ids")}
        for method, grid in grids.items():
            students, rows = grid.in_shard(shard)
            if students.start == students.stop:
                continue
            logits, fits = tests["logits"][rows], [of[students] for of in self._fits[method]]
            try:
                measured = on_test(metrics, logits, tests["labels"], grid.failed[students], fits)
            except UserError as error:
                raise UserError(f"{cell.title} {method}: {error}") from None
            for name, values in measured.items():
                of_grid = self.arrays.setdefault(
                    f"grid/{method}/{name}", np.full((len(fits), len(grid.points)), np.nan)
                )
                of_grid[:, students] = values
            for column, student in self.chosen:
                if column.method == method and students.start <= student.index < students.stop:
                    own = student.fitted.map(logits[student.index - students.start])
                    self.arrays[f"logits/{column.column}"] = own.astype(logits.dtype)
