"""The paper's printed Table III as a metrics table, and what in it cannot be.

The printed cwECE is not Eq. 2 (see docs/readings.md), so it goes by the name of what it is,
`cwece_printed`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ils.paper import PRINTED
from ils.plan.metrics import metrics

HALF_DIGIT = 0.00501  # averages are printed with two decimals


def as_metrics(printed: pd.DataFrame) -> pd.DataFrame:
    """Return the printed cells as a run's metrics table, with one seed.

    printed: the columns metric, network, dataset, method, value.
    """
    cells = printed.assign(metric=printed["metric"].replace(PRINTED))
    order = list(dict.fromkeys(zip(cells["network"], cells["dataset"], cells["method"])))
    table = cells.pivot(
        index=["network", "dataset", "method"], columns="metric", values="value"
    ).loc[order]
    return table.assign(accuracy=table["accuracy"] / 100, seed=0).reset_index()


def possible_ranks(values: pd.Series, higher_is_better: bool) -> tuple[pd.Series, pd.Series]:
    """Return (lowest, highest) rank of each value of a row under any rule for ties.

    Rounding may hide an order, so equal printed values may have any rank from the first to the last
    of their places.
    """
    signed = -values if higher_is_better else values
    return signed.rank(method="min"), signed.rank(method="max")


def discrepancies(
    printed: pd.DataFrame,
    printed_averages: pd.DataFrame,
    ranks: pd.DataFrame,
    average_ranks: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row a contradiction: kind, metric, network, dataset, method, and what differs.

    That is what is `printed`, what is `recomputed`, and a `note`. The kinds:
    - subscript: a printed rank that no rule for ties can give the printed value among its row's.
    - average: a printed average rank that no rule for ties can give the row's printed values.
    - tie rule: one that some rule can give, but not the mid-ranks that Friedman's test supposes.
    - reversed: a method's printed ranks are counted from the worst instead of the best.
    printed, printed_averages: the paper's; ranks, average_ranks: rank_methods.py's on its cells.
    """
    printed = printed.assign(metric=printed["metric"].replace(PRINTED))
    printed_averages = printed_averages.replace({"metric": PRINTED})
    ranks, average_ranks = (table.query("pool == 'all'") for table in (ranks, average_ranks))
    rows = [
        *wrong_subscripts(printed),
        *wrong_averages(printed_averages, average_ranks, rank_bounds(printed)),
        *reversed_ranks(printed, ranks),
    ]
    columns = ["kind", "metric", "network", "dataset", "method", "printed", "recomputed", "note"]
    return pd.DataFrame(rows, columns=columns)


def printed_rows(printed: pd.DataFrame) -> Iterator[tuple]:
    """Yield ((metric, network, dataset), cells, their lowest, their highest rank) a printed row."""
    for block, cells in printed.groupby(["metric", "network", "dataset"], sort=False):
        yield block, cells, *possible_ranks(cells["value"], metrics()[block[0]].higher_is_better)


def rank_bounds(printed: pd.DataFrame) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return {(metric, method): the lowest and the highest rank in each printed row}."""
    bounds: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for (metric, *_), cells, lowest, highest in printed_rows(printed):
        for method, low, high in zip(cells["method"], lowest, highest):
            bounds.setdefault((metric, method), []).append((low, high))
    return bounds


def wrong_subscripts(printed: pd.DataFrame) -> Iterator[tuple]:
    """The printed ranks that no rule for ties can give."""
    for block, cells, lowest, highest in printed_rows(printed):
        wrong = (cells["printed_rank"] < lowest) | (cells["printed_rank"] > highest)
        for cell, low, high in zip(cells[wrong].itertuples(), lowest[wrong], highest[wrong]):
            texts = f"{cell.printed_rank:g}", f"{low:g}" if low == high else f"{low:g} to {high:g}"
            note = f"rank of {cell.value:g} among its row's values"
            yield "subscript", *block, cell.method, *texts, note


def wrong_averages(
    printed_averages: pd.DataFrame, average_ranks: pd.DataFrame, bounds: Mapping[Any, list]
) -> Iterator[tuple]:
    """The printed average ranks that are not those of mid-ranks; bounds: those of `rank_bounds`."""
    recomputed = average_ranks.set_index(["metric", "method"])["average_rank"]
    for cell in printed_averages.itertuples():
        average, ours = cell.printed_average_rank, recomputed[cell.metric, cell.method]
        low, high = np.mean(bounds[cell.metric, cell.method], 0) + (-HALF_DIGIT, HALF_DIGIT)
        if abs(ours - average) > HALF_DIGIT:
            kind = "tie rule" if low <= average <= high else "average"
            note = f"ties can give {low:.2f} to {high:.2f}; recomputed: "
            note += "mid-ranks of the printed values"
            yield kind, cell.metric, "", "", cell.method, f"{average:.2f}", f"{ours:.2f}", note


def reversed_ranks(printed: pd.DataFrame, ranks: pd.DataFrame) -> Iterator[tuple]:
    """The methods whose printed ranks are counted from the worst in more than half of the rows."""
    both = printed.merge(ranks, on=["metric", "network", "dataset", "method"])
    methods = both.groupby(["metric", "network", "dataset"])["rank"].transform("size")
    from_worst = (both["printed_rank"] - (methods + 1 - both["rank"])).abs() < 1
    from_best = (both["printed_rank"] - both["rank"]).abs() < 1
    both = both.assign(reversed=from_worst & ~from_best)
    for (metric, method), cells in both.groupby(["metric", "method"], sort=False):
        if cells["reversed"].sum() > len(cells) / 2:
            note = f"counted from the worst in {cells['reversed'].sum()} of {len(cells)} rows"
            texts = f"{cells['printed_rank'].mean():.2f}", f"{cells['rank'].mean():.2f}"
            yield "reversed", metric, "", "", method, *texts, note
