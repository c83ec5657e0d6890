"""Ranks of methods over blocks and their tests, after Demsar 2006.

The tests are Friedman's, and Nemenyi's post-hoc test with its critical difference.
A block is a (network, dataset) pair with its values averaged over seeds: k methods on n blocks.
Rank 1 is the best. Nothing here knows whether the numbers come from a run's metrics or from a
published table.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ils.columns import parts
from ils.errors import UserError
from ils.plan.metrics import Metric

CELL = ["network", "dataset", "method", "seed"]  # one row of the metrics table


def scores(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a DataFrame of `metric`, (network, dataset) blocks x methods, averaged over seeds.

    `metrics` has the columns of CELL and one column a metric; blocks and methods keep the order of
    their first appearance. A block has the seeds that any of its rows has. Raises UserError, naming
    the cells, when one is missing, repeated or not a finite number: a rank over fewer methods than
    its neighbours would be silently wrong.
    """
    if lacking := [column for column in [*CELL, metric] if column not in metrics]:
        raise UserError(f"the metrics table lacks the column(s) {', '.join(lacking)}")
    repeated = metrics.loc[metrics.duplicated(CELL), CELL].values
    if len(repeated):
        raise UserError(f"the metrics table repeats {listing(repeated)}")
    numbers = pd.to_numeric(metrics[metric], errors="coerce").astype(float)
    values = dict(zip(metrics[CELL].itertuples(index=False, name=None), numbers))
    blocks: dict[tuple, dict] = {}
    for *block, seed in zip(metrics["network"], metrics["dataset"], metrics["seed"]):
        blocks.setdefault(tuple(block), {})[seed] = None
    methods = metrics["method"].unique()
    wanted = [(*b, m, s) for b, seeds in blocks.items() for m in methods for s in seeds]
    if missing := [cell for cell in wanted if not math.isfinite(values.get(cell, math.nan))]:
        raise UserError(f"the metrics table is incomplete: no {metric} for {listing(missing)}")
    # fsum: the mean of the same numbers is the same whatever their order, so equal methods tie
    means = [
        [math.fsum(values[*block, m, s] for s in seeds) / len(seeds) for m in methods]
        for block, seeds in blocks.items()
    ]
    index = pd.MultiIndex.from_tuples(blocks, names=["network", "dataset"])
    return pd.DataFrame(means, index=index, columns=pd.Index(methods, name="method"), dtype=float)


def listing(cells: Sequence[Iterable[Any]], limit: int = 5) -> str:
    """Return "network=..., dataset=..., method=..., seed=..." for the first cells.

    Behind them stands how many more there are.
    """
    shown = "; ".join(
        ", ".join(f"{key}={value}" for key, value in zip(CELL, cell)) for cell in cells[:limit]
    )
    return shown + (f"; and {len(cells) - limit} more" if len(cells) > limit else "")


def pools(methods: Iterable[str]) -> dict[str, list[str]]:
    """Return {name: methods}: all columns, and those without a calibrator.

    A +TempS column has its method's accuracy by construction, and what Nemenyi's test joins depends
    on the pool.
    """
    alone = [method for method in methods if not parts(method)[1]]
    return {"all": list(methods), "alone": alone}


def mid_ranks(values: pd.DataFrame, higher_is_better: bool) -> pd.DataFrame:
    """Rank the methods (columns) within each block (row), 1 = best.

    Equal values share the mean of their ranks. Nothing is rounded to what a table would print.
    Values equal to 12 decimals count as equal: the mean of two seeds' hit rates may differ in its
    last bit though the hits are equally many.
    """
    signed = -values if higher_is_better else values
    return pd.DataFrame(
        stats.rankdata(signed.round(12), axis=1), index=values.index, columns=values.columns
    )


class Friedman(NamedTuple):
    """Friedman's chi-square, corrected for ties, and its p-value.

    That is from the chi-square law with k - 1 degrees of freedom.
    """

    statistic: float
    p: float


def friedman(ranks: pd.DataFrame) -> Friedman:
    """Test that all methods rank alike: (k-1) sum_j (R_j - n(k+1)/2)^2 / sum_ij (r_ij - (k+1)/2)^2.

    ranks (n, k) mid-ranks, R_j their column sums. Without ties it is Demsar's chi2_F. When every
    block is one big tie nothing speaks against the hypothesis: statistic 0, p 1. The chi-square law
    is rough for few blocks.
    """
    deviations = np.asarray(ranks, float) - (ranks.shape[1] + 1) / 2
    spread = (deviations**2).sum()
    if spread == 0:
        return Friedman(0.0, 1.0)
    degrees = ranks.shape[1] - 1
    statistic = degrees * (deviations.sum(0) ** 2).sum() / spread
    return Friedman(float(statistic), float(stats.chi2.sf(statistic, degrees)))


def critical_difference(k: int, n: int, alpha: float) -> float:
    """Nemenyi's CD = q_alpha sqrt(k(k+1) / 6n) of k methods on n blocks.

    q_alpha is the studentized range quantile (k, infinity) over sqrt 2. Holds from two methods and
    one block on, UserError for fewer methods; with one or two blocks it exceeds every possible
    difference.
    """
    if k < 2:
        count = "one" if k else "none"
        raise UserError(f"ranks need two methods or more, there is {count}: add some to the config")
    q_alpha = stats.studentized_range.ppf(1 - alpha, k, np.inf) / math.sqrt(2)
    return float(q_alpha * math.sqrt(k * (k + 1) / (6 * n)))


def nemenyi(ranks: pd.DataFrame) -> pd.DataFrame:
    """Return the k x k DataFrame of Nemenyi's two-sided p-values; ranks (n, k) are mid-ranks.

    The library ranks ascending. Given ranks it finds the same ranks again, so the metric's
    direction is settled here.
    """
    from scikit_posthocs import posthoc_nemenyi_friedman

    p_values = posthoc_nemenyi_friedman(ranks.to_numpy())
    return pd.DataFrame(p_values.to_numpy(), index=ranks.columns, columns=ranks.columns)


def cliques(average_ranks: pd.Series, cd: float) -> list[list[str]]:
    """Return the maximal groups of two or more methods that do not differ significantly.

    Their extreme average ranks differ by at most `cd`. average_ranks: Series by method. Groups and
    their members come best rank first; groups may overlap.
    """
    ordered = average_ranks.sort_values(kind="stable")
    groups, reached = [], 0
    for start in range(len(ordered)):
        stop = int((ordered - ordered.iloc[start] <= cd).sum())
        if stop > max(reached, start + 1):
            groups.append(list(ordered.index[start:stop]))
            reached = stop
    return groups


def analysis(values: pd.DataFrame, metric: Metric, alpha: float) -> dict[str, list]:
    """Return the rows of a metric's ranks and tests, {table: tuples}; values: blocks x methods.

    ranks: dataset, network, method, value, rank; average_ranks: method, average rank; friedman: its
    statistic and p, k, n, alpha, critical difference; pairwise: those of `pairwise`.
    """
    ranks = mid_ranks(values, metric.higher_is_better)
    average = ranks.mean()
    n, k = values.shape
    test = (*friedman(ranks), k, n, alpha, critical_difference(k, n, alpha))
    by_block = [
        (dataset, network, method, values.loc[block, method], ranks.loc[block, method])
        for block, method in itertools.product(values.index, values)
        for network, dataset in [block]
    ]
    return {
        "ranks": by_block,
        "average_ranks": list(average.items()),
        "friedman": [test],
        "pairwise": pairwise(ranks),
    }


def pairwise(ranks: pd.DataFrame) -> list[tuple]:
    """Return the tests of each two methods; mid-ranks: blocks x methods.

    A row is the two methods, the difference of their average ranks, and Nemenyi's p.
    """
    average, p_values = ranks.mean(), nemenyi(ranks)
    return [
        (a, b, average[b] - average[a], p_values.loc[a, b])
        for a, b in itertools.combinations(ranks, 2)
    ]
