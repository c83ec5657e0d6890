"""Columns compared at equal budgets: what a search of so many trainings reaches on each dataset.

A column is a `records.Searched`. A search costs the points that it draws and what its method must
train first, its teacher for example. Where students race only the whole search is known: what those
that were dropped would have come to is not.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ils.errors import UserError
from ils.evaluation.budget import expected, steps
from ils.plan.metrics import Metric
from ils.plan.records import UNCALIBRATED, Matched, Searched
from ils.statistics.decision import compare

BLOCK = ["dataset", "network"]
KEY = [*BLOCK, "seed", "method", "scaling", "validation_ce", "dropped"]
TABLE = ["metric", "column", "trainings", "difference", "estimate", "low", "high", "datasets"]
MATCHED = ["better", "worse", "trainings", "metric", "dataset", "gain"]


def reached(
    table: pd.DataFrame, column: Searched, metric: str, drawn: Sequence[int]
) -> pd.DataFrame:
    """The expected metric, dataset x number of `drawn` points: seeds, then networks are averaged.

    table: results/grid_metrics.csv. A `joint` column judges students as calibrated, others as
    trained; each tests them as calibrated. Who was dropped is never the best. Raises UserError
    where the table lacks a student, or all of a cell diverged.
    """
    own = table[table["method"] == column.method]
    tested = own[own["scaling"] == column.calibrator]
    judged = tested if column.reading == "joint" else own[own["scaling"] == UNCALIBRATED]
    cells = judged.groupby([*BLOCK, "seed"], sort=False)
    if not len(judged) or len(judged) != len(tested) or (cells.size() != column.points).any():
        raise UserError(
            f"the table has not {column.points} students of {column.method} in every cell; "
            "delete it and run again"
        )
    of_cells = (-1, column.points)
    ce = judged["validation_ce"].mask(judged["dropped"]).to_numpy().reshape(of_cells)
    values = expected(ce, tested[metric].to_numpy().reshape(of_cells), drawn)
    index = pd.MultiIndex.from_frame(judged[[*BLOCK, "seed"]].iloc[:: column.points])
    if (diverged := np.isnan(values).any(1)).any():
        cell = " ".join(map(str, index[diverged.argmax()]))
        raise UserError(
            f"{cell}: every student of {column.method} diverged; lower the learning rate or "
            "change the grid"
        )
    means = pd.DataFrame(values, index=index, columns=list(drawn))
    return means.groupby(BLOCK, sort=False).mean().groupby("dataset", sort=False).mean()


def budgets(
    table: pd.DataFrame,
    metrics: Sequence[Metric],
    columns: Sequence[Searched],
    reference: Searched,
) -> pd.DataFrame:
    """What each column reaches less what the `reference` does with its whole grid, by trainings.

    A row has the mean of the datasets' differences, and Hodges and Lehmann's estimate with its 95 %
    interval over datasets, infinite where they are too few.
    """
    rows = []
    for metric in (metric.name for metric in metrics):
        base = reached(table, reference, metric, [reference.points])[reference.points]
        for column in columns:
            numbers = steps(column.points) if column.halved is None else [column.points]
            differences = reached(table, column, metric, numbers).sub(base, axis=0)
            for drawn, own in differences.items():
                found = compare(own.to_numpy())
                interval = found.estimate, found.low, found.high, found.n
                rows.append((metric, column.column, column.cost(drawn), own.mean(), *interval))
    return pd.DataFrame(rows, columns=TABLE)


def equal_budgets(
    table: pd.DataFrame, metrics: Sequence[Metric], pairs: Sequence[Matched]
) -> pd.DataFrame:
    """By how much `better` is better than `worse` on each dataset, both with so many trainings."""
    rows = []
    for metric in metrics:
        for better, worse, trainings in pairs:
            of_both = []
            for column in (better, worse):
                drawn = column.drawn(trainings)
                assert drawn, f"{column.column} cannot cost {trainings} trainings"
                of_both.append(reached(table, column, metric.name, [drawn])[drawn])
            gains = metric.sign * (of_both[0] - of_both[1])
            names = better.column, worse.column, trainings, metric.name
            rows += [(*names, dataset, gain) for dataset, gain in gains.items()]
    return pd.DataFrame(rows, columns=MATCHED)
