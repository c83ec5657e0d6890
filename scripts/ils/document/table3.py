"""Table III as blocks of LaTeX, one a metric, and as a table of every digit."""

import math
from collections.abc import Sequence

import pandas as pd

from ils.document.latex import escape, number

# metric: title of its block, factor, decimals
BLOCKS: dict[str, tuple[str, int, int]] = {
    "cross_entropy": ("Cross-Entropy", 1, 3),
    "accuracy": (r"Accuracy \%", 100, 2),
    "ece": ("ECE", 1, 3),
    "cwece": ("cwECE", 1, 3),
    "cwece_printed": ("cwECE*", 1, 3),
}
ROW = ["network", "dataset"]


def warranted(decimals: int, intervals: pd.DataFrame, metric: str, factor: float) -> int:
    """The decimals of a block: down to the first digit of its cells' typical standard error.

    They are not more than `decimals`. Seeds may share their test samples, so an average over seeds
    counts as no surer than one of them.
    """
    error = factor * intervals.loc[intervals["metric"] == metric, "standard_error"].median()
    return decimals if not error > 0 else min(decimals, max(0, -math.floor(math.log10(error))))


def block(
    metric: str, ranked: pd.DataFrame, averages: pd.Series, intervals: pd.DataFrame | None
) -> tuple[str, list[list[str]]]:
    """A metric's title and rows, as LaTeX: one a network and dataset, then the average ranks.

    ranked: network, dataset, value and rank of each method; intervals: the bootstrap's standard
    errors, which limit the digits; None for printed numbers.
    """
    title, factor, decimals = BLOCKS[metric]
    if intervals is not None:
        decimals = warranted(decimals, intervals, metric, factor)
    rows = []
    for (network, dataset), cells in ranked.groupby(ROW, sort=False):
        best = cells["rank"].min()
        numbers = [
            number(factor * cell.value, decimals, cell.rank == best, cell.rank)
            for cell in cells.itertuples()
        ]
        rows.append([escape(network), escape(dataset), *numbers])
    numbers = [number(rank, 2, rank == averages.min()) for rank in averages]
    return title, [*rows, [r"\textit{Average Rank}", "", *numbers]]


def as_columns(ranked: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """One row a metric, network and dataset; each method's value and rank in columns."""
    wide = ranked.pivot(index=["metric", *ROW], columns="method", values=["value", "rank"])
    wide = wide.reindex(
        columns=[(kind, method) for method in methods for kind in ("value", "rank")]
    )
    wide.columns = [
        method if kind == "value" else f"{method} rank" for kind, method in wide.columns
    ]
    return wide.reset_index()
