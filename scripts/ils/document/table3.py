"""Table III as blocks of LaTeX, one a metric, and as a table of every digit."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from ils.document.latex import escape, long_table, number, percent, wide_table
from ils.document.words import listed
from ils.plan.metrics import Metric

MOST_DIGITS = 3  # as the paper prints
ROW = ["network", "dataset"]
MOST_PAIRS = 12  # of network and dataset that a page shows as the paper does
MOST_METHODS = 16  # that a page shows side by side

NOTE = (
    "Behind a plus: the calibrator; TempS: temperature scaling. Lower average ranks are better. "
    "Digits end where the standard errors begin. cwECE is the class-wise ECE of Eq.~2; cwECE* what "
    "the paper prints, the ECE within each true class."
)
LABEL = "tab:real"
CAPTION = (  # behind the names of the metrics
    " on the test data: {source}. Best results are in bold. "
    "Subscripts are the ranks of the methods in their row, before rounding; equal values share a "
    f"rank. {NOTE}"
)
SUMMARY = (
    " on the test data over {pairs} pairs of network and dataset, {datasets} datasets: {source}. "
    "Best results are in bold. Ranks are those of the methods on a pair; equal values share a "
    "rank. Wins: the pairs on which no other method is as good; shared wins: those on which the "
    "best value is that of several. Median and mean are over the pairs, each of which counts once. "
    f"{NOTE} The full table has every pair."
)
# a metric, its ranked values, average ranks and standard errors: the arguments of `block`
Part = tuple[Metric, pd.DataFrame, pd.Series, pd.DataFrame | None]


def typeset(parts: Sequence[Part], source: str) -> tuple[str, str]:
    """Table III, a block for each of `parts`, and the full table behind it, as LaTeX.

    Up to MOST_PAIRS pairs stand in the table itself, which is the paper's, with nothing behind it.
    More are summed up there, a row a method where they are too many for columns, and the full table
    takes the pages that it needs. The captions say the `source` of the numbers.
    """
    _, ranked, *_ = parts[0]
    names = escape(listed(metric.plain for metric, *_ in parts))
    names = names[0].upper() + names[1:]
    pairs, heads = len(ranked.groupby(ROW)), [escape(name) for name in ranked["method"].unique()]
    words = {"source": escape(source), "pairs": pairs, "datasets": ranked["dataset"].nunique()}
    caption, header = CAPTION.format(**words), ["Model", "Dataset", *heads]
    blocks = [block(*part) for part in parts]
    if pairs <= MOST_PAIRS:
        behind = "% Nothing is here: the table itself has every pair.\n"
        return wide_table(names + caption, LABEL, header, blocks), behind
    summary = [summary_block(*part) for part in parts]
    about, behind = (names + SUMMARY.format(**words), LABEL), long_table(caption, header, blocks)
    if len(heads) <= MOST_METHODS:
        return wide_table(*about, ["", *heads], summary), behind
    columns = [row for _, rows in summary for row in rows]
    turned = list(zip(heads, *(values for _, *values in columns)))
    above = [(title, len(rows)) for title, rows in summary]
    names_of_columns = ["", *(name for name, *_ in columns)]
    return wide_table(*about, names_of_columns, [("", turned)], above=above), behind


def heading(metric: Metric) -> str:
    r"""The title of a metric's block, as LaTeX: "Cross-Entropy", r"Accuracy \%", "cwECE"."""
    name = metric.title.title() if metric.title.islower() else metric.short
    return escape(name) + percent(metric)


def warranted(intervals: pd.DataFrame | None, metric: Metric, pairs: int = 1) -> int:
    """The decimals of a block: down to the first digit of its cells' typical standard error.

    They are not more than the metric's digits, and the paper's, which printed numbers, without
    intervals, have. Seeds may share their test samples, so an average over seeds counts as no surer
    than one of them; one over `pairs` is surer by their square root.
    """
    decimals = min(metric.digits, MOST_DIGITS)
    if intervals is None:
        return decimals
    errors = intervals.loc[intervals["metric"] == metric.name, "standard_error"]
    error = metric.factor * errors.median() / pairs**0.5
    return decimals if not error > 0 else min(decimals, max(0, -math.floor(math.log10(error))))


def block(
    metric: Metric, ranked: pd.DataFrame, averages: pd.Series, intervals: pd.DataFrame | None
) -> tuple[str, list[list[str]]]:
    """A metric's title and rows, as LaTeX: one a network and dataset, then the average ranks.

    ranked: network, dataset, value and rank of each method; intervals: the metrics' standard
    errors, which limit the digits; None for printed numbers.
    """
    decimals = warranted(intervals, metric)
    rows = []
    for (network, dataset), cells in ranked.groupby(ROW, sort=False):
        best = cells["rank"].min()
        numbers = [
            number(metric.factor * cell.value, decimals, cell.rank == best, cell.rank)
            for cell in cells.itertuples()
        ]
        rows.append([escape(network), escape(dataset), *numbers])
    numbers = [number(rank, 2, rank == averages.min()) for rank in averages]
    return heading(metric), [*rows, [r"\textit{Average Rank}", "", *numbers]]


def summary_block(
    metric: Metric, ranked: pd.DataFrame, averages: pd.Series, intervals: pd.DataFrame | None
) -> tuple[str, list[list[str]]]:
    """A metric's title and rows, as LaTeX: what each method reaches over all pairs.

    The arguments are those of `block`. Rows: the average rank, wins, shared wins, median and mean.
    """
    factor = metric.factor
    wide = ranked.pivot(index=ROW, columns="method", values=["value", "rank"])
    values, ranks = (wide[name][ranked["method"].unique()] for name in ("value", "rank"))
    decimals = warranted(intervals, metric, len(values))
    best = ranks.eq(ranks.min(axis=1), axis=0)
    wins = best[best.sum(axis=1) == 1].sum()
    better = max if metric.higher_is_better else min
    rows = [
        line("Average rank", averages, 2, min),
        line("Wins", wins, 0, max),
        line("Shared wins", best.sum() - wins, 0),
        line("Median", factor * values.median(), decimals, better),
        line("Mean", factor * values.mean(), decimals, better),
    ]
    return heading(metric), rows


def line(
    name: str,
    values: pd.Series,
    decimals: int,
    better: Callable[[Iterable[float]], float] | None = None,
) -> list[str]:
    """A row of numbers as LaTeX, the best of them bold if one is `better`, min or max."""
    rounded = values.round(12)  # as in ranking, a last bit makes no winner
    best = better(rounded) if better else None
    return [name, *(number(value, decimals, value == best) for value in rounded)]


def as_columns(parts: Iterable[Part]) -> pd.DataFrame:
    """One row a metric, network and dataset as configured, behind each metric's its average ranks.

    Each method's value and rank stand in columns; average ranks have no rank.
    """
    return pd.concat([metric_rows(*part) for part in parts], ignore_index=True)


def metric_rows(metric: Metric, ranked: pd.DataFrame, averages: pd.Series, _: Any) -> pd.DataFrame:
    """The rows of one metric; the arguments are those of `block`."""
    methods, kinds = ranked["method"].unique(), ("value", "rank")
    wide = ranked.pivot(index=ROW, columns="method", values=list(kinds))
    rows = pd.MultiIndex.from_frame(ranked[ROW].drop_duplicates())
    wide = wide.reindex(index=rows, columns=[(kind, m) for m in methods for kind in kinds])
    wide.columns = [f"{m} rank" if kind == "rank" else m for kind, m in wide.columns]
    last = {"network": "Average rank", **dict(zip(methods, averages))}
    table = pd.concat([wide.reset_index(), pd.DataFrame([last])], ignore_index=True)
    table.insert(0, "metric", metric.name)
    return table
