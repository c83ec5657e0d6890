"""Pairs of columns of a run as tables: compared over datasets, and what the study can find of them.

A study is about its headline pairs; every other two columns are compared, too.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product

import pandas as pd

from ils.job import log
from ils.statistics.datasets import SOURCES, Datasets, variances
from ils.statistics.decision import (
    Comparison,
    compare,
    direction,
    predict_new,
    smallest_found,
)

DRAWS = 1000  # of the datasets, for the smallest difference that a study finds
KEY = ["metric", "better", "worse", "trainings"]
COMPARED = [*KEY, "headline", *Comparison._fields, "verdict"]
PREDICTED = ["mean", "new_low", "new_high", "between", "within"]
POWERED = ["metric", "better", "worse", "datasets", "rope", "smallest_found", "datasets_for_rope"]
Pairs = Mapping[tuple[str, str], bool]  # (better, worse): whether it is a headline


def pairs_of(columns: Sequence[str], headline: Sequence[Sequence[str]]) -> Pairs:
    """The headline pairs as they are written, and all others in the order of the columns.

    Headlines of which the study lacks a column are left out, and the log says so.
    """
    pairs = {(a, b): True for a, b in headline if {a, b} <= set(columns)}
    if absent := [f"{a} against {b}" for a, b in headline if (a, b) not in pairs]:
        log.warning("headline pairs that this study has no columns for: %s", "; ".join(absent))
    for a, b in combinations(columns, 2):
        if (b, a) not in pairs:
            pairs.setdefault((a, b), False)
    return pairs


def comparisons(datasets: Datasets, pairs: Pairs, equal_budget: pd.DataFrame) -> pd.DataFrame:
    """A row a metric and pair: gains of `better`, their tests, where one on a new dataset lies.

    With so many `trainings` both had an equal budget (equal_budget: those gains by dataset), also
    against controls; that is without means over classes, whose gains are not there as sums.
    """
    rows = []
    for metric, ((a, b), is_headline) in product(datasets.metrics, pairs.items()):
        gains = datasets.gains(metric, a, b).to_numpy()
        c = compare(gains, datasets.metrics[metric].rope)
        new = predict_new(gains, datasets.errors(metric, a, b).to_numpy())
        rows.append((metric, a, b, math.nan, is_headline, *c, direction(c), *new))
    known = {name for pair in pairs for name in pair}
    headlines = {better for (better, _), is_headline in pairs.items() if is_headline}
    plain = [name for name, metric in datasets.metrics.items() if not metric.mean_over_classes]
    groups = equal_budget[equal_budget["metric"].isin(plain)].groupby(KEY, sort=False)["gain"]
    for (metric, a, b, trainings), of_pair in groups:
        c = compare(of_pair, datasets.metrics[metric].rope)
        is_headline = pairs.get((a, b), False) or (b not in known and a in headlines)
        unknown = [math.nan] * len(PREDICTED)
        rows.append((metric, a, b, trainings, is_headline, *c, direction(c), *unknown))
    return pd.DataFrame(rows, columns=[*COMPARED, *PREDICTED])


def power(datasets: Datasets, pairs: Pairs) -> pd.DataFrame:
    """The smallest difference found in 80 % of the cases, of each headline pair by each metric, and
    about how many datasets would find one of the size of the ROPE."""
    rows = []
    headlines = [pair for pair, is_headline in pairs.items() if is_headline]
    for metric, (a, b) in product(datasets.metrics, headlines):
        gains, rope = datasets.gains(metric, a, b).to_numpy(), datasets.metrics[metric].rope
        size = smallest_found(gains, DRAWS)
        rows.append((metric, a, b, len(gains), rope, size, len(gains) * (size / rope) ** 2))
    return pd.DataFrame(rows, columns=POWERED)


def variance(datasets: Datasets) -> pd.DataFrame:
    """What each source adds to the variance of each metric."""
    rows = [
        (metric, source, value)
        for metric in datasets.metrics
        for source, value in zip(SOURCES, variances(datasets.by_seed[metric]))
    ]
    return pd.DataFrame(rows, columns=["metric", "source", "variance"])
