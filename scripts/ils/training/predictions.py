"""A cell's predictions, all that the analysis needs of its students: made of both files of their
shards, and the only place that reads the test logits."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ils.errors import UserError
from ils.evaluation.grids import on_test, on_validation
from ils.evaluation.selection import Selected, select
from ils.job import log
from ils.plan.records import Cell, Column, Evaluation
from ils.training.students import Grid, test_arrays

Bounds = tuple[float, float]


def choose(grid: Grid, column: Column, bounds: Bounds, title: str) -> tuple[Selected, dict]:
    """Return the `Selected` student of a column's grid, and as metadata how it was selected."""
    excluded = grid.failed | ~grid.matching(column.among or {})
    try:
        logits, labels = grid.validation_logits, grid.validation_labels
        chosen = select(logits, labels, excluded, column.scaling, bounds)
    except UserError as error:
        raise UserError(f"{title} {column.method}: {error}") from None
    return chosen, {
        "method": column.column,
        "index": chosen.index,
        "point": grid.points[chosen.index],
        "temperature": chosen.temperature,
        "best_epoch": int(grid.best_epoch[chosen.index]),
        "validation_ce": chosen.validation_ce,
        "students": len(grid.points),
        "diverged": int(grid.failed.sum()),
    }


class Predictions:
    """A cell's arrays by name, and `about`: how each column was selected, and the grid points."""

    def __init__(
        self,
        cell: Cell,
        evaluation: Evaluation,
        students: Mapping[str, Sequence[str]],
        test_logits: Mapping[str, Sequence[str]],
        bounds: Bounds,
    ):
        rounds = evaluation.rounds.items()
        grids = {method: Grid(students[name], cell.name, method) for method, name in rounds}
        self.arrays: dict[str, np.ndarray] = {}
        self.chosen: list[tuple[Column, Selected]] = []
        selected: list[dict[str, Any]] = []
        for column in evaluation.columns:
            student, how = choose(grids[column.method], column, bounds, cell.title)
            self.chosen.append((column, student))
            selected.append(how)
            log.info("%s %s", cell.title, how)
        for method, grid in grids.items():
            self._validate(method, grid, bounds)
        for name, paths in test_logits.items():
            of_round = {method: grids[method] for method, of in rounds if of == name}
            for shard, path in enumerate(paths):
                self._test(path, shard, cell, of_round, evaluation.metrics)
        points = {method: grid.points for method, grid in grids.items()}
        self.about = {"selected": selected, "grids": points}

    def _validate(self, method: str, grid: Grid, bounds: Bounds) -> None:
        """Add what is known of a method's students without the test split."""
        fitted = on_validation(grid.validation_logits, grid.validation_labels, grid.failed, bounds)
        known = {"best_epoch": grid.best_epoch, **fitted}
        self.arrays |= grid.curves(method)
        self.arrays |= {f"grid/{method}/{name}": array for name, array in known.items()}

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
            logits = tests["logits"][rows]
            temperature = self.arrays[f"grid/{method}/temperature"][students]
            try:
                measured = on_test(metrics, logits, tests["labels"], temperature)
            except UserError as error:
                raise UserError(f"{cell.title} {method}: {error}") from None
            for name, values in measured.items():
                of_grid = self.arrays.setdefault(
                    f"grid/{method}/{name}", np.full((2, len(grid.points)), np.nan)
                )
                of_grid[:, students] = values
            for column, student in self.chosen:
                if column.method == method and students.start <= student.index < students.stop:
                    own = logits[student.index - students.start]
                    self.arrays[f"logits/{column.column}"] = own / student.temperature
