"""Compare each two columns of a run over its datasets, and say what the study can find.

The rules are those of ils.statistics.decision.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product

import pandas as pd

from ils.files import read_csv, write_csv
from ils.job import log, run
from ils.statistics.datasets import SOURCES, SUMMED, Datasets, variances
from ils.statistics.decision import (
    ROPE,
    Comparison,
    compare,
    direction,
    predict_new,
    smallest_found,
)

DRAWS = 1000  # of the datasets, for the smallest difference that a study finds
COMPARED = ["metric", "better", "worse", "trainings", "headline", *Comparison._fields, "verdict"]
PREDICTED = ["mean", "new_low", "new_high", "between", "within"]
KEY = ["metric", "better", "worse", "trainings"]
POWERED = ["metric", "better", "worse", "datasets", "rope", "smallest_found", "datasets_for_rope"]


def decide(
    metrics: str,
    equal_budget: str,
    headline: Sequence[Sequence[str]],
    comparisons: str,
    power: str,
    variance: str,
) -> None:
    """Read the tables of metrics and of gains at equal budgets, and write three csv files.

    headline: the pairs of columns [better, worse] that the study is about. comparisons: a row a
    metric and pair, the headline pairs as they are written and all others in the order of the
    columns; gains of `better`, their tests, and where the gain on a new dataset lies. With so many
    `trainings`, both the same pairs at an equal budget, also with controls. power: of the
    headline pairs the smallest difference found in 80 % of the cases, and about how many datasets
    would find one of the size of the ROPE. variance: what each source adds to a metric's variance.
    """
    datasets = Datasets(read_csv(metrics))
    pairs = {(a, b): True for a, b in headline if {a, b} <= set(datasets.columns)}
    if absent := [f"{a} against {b}" for a, b in headline if (a, b) not in pairs]:
        log.warning("headline pairs that this study has no columns for: %s", "; ".join(absent))
    for a, b in combinations(datasets.columns, 2):
        if (b, a) not in pairs:
            pairs.setdefault((a, b), False)
    compared, powered = [], []
    for metric, ((a, b), is_headline) in product(datasets.metrics, pairs.items()):
        gains = datasets.gains(metric, a, b).to_numpy()
        c = compare(gains, ROPE[metric])
        new = predict_new(gains, datasets.errors(metric, a, b).to_numpy())
        compared.append((metric, a, b, math.nan, is_headline, *c, direction(c), *new))
        if is_headline:
            size = smallest_found(gains, DRAWS)
            needed = c.n * (size / c.rope) ** 2
            powered.append((metric, a, b, c.n, c.rope, size, needed))
    compared += at_equal_budget(read_csv(equal_budget), pairs)
    parts = [
        (metric, source, value)
        for metric in datasets.metrics
        for source, value in zip(SOURCES, variances(datasets.by_seed[metric]))
    ]
    table = pd.DataFrame(compared, columns=[*COMPARED, *PREDICTED])
    log.info("%s", table.groupby(["metric", "verdict"]).size().to_dict())
    write_csv(comparisons, table)
    write_csv(power, pd.DataFrame(powered, columns=POWERED))
    write_csv(variance, pd.DataFrame(parts, columns=["metric", "source", "variance"]))


def at_equal_budget(gains: pd.DataFrame, pairs: Mapping[tuple[str, str], bool]) -> list[tuple]:
    """The rows of both columns of a pair with as many trainings; of controls those of headlines.

    Without cwECE, whose gains are not there as sums over classes.
    """
    known, rows = {name for pair in pairs for name in pair}, []
    headlines = {better for (better, _), is_headline in pairs.items() if is_headline}
    groups = gains[gains["metric"] != SUMMED].groupby(KEY, sort=False)["gain"]
    for (metric, a, b, trainings), of_pair in groups:
        c = compare(of_pair, ROPE[metric])
        is_headline = pairs.get((a, b), False) or (b not in known and a in headlines)
        unknown = [math.nan] * len(PREDICTED)
        rows.append((metric, a, b, trainings, is_headline, *c, direction(c), *unknown))
    return rows


if __name__ == "__main__":
    run(
        decide,
        snakemake,
        metrics=snakemake.input.metrics,
        equal_budget=snakemake.input.equal_budget,
        headline=snakemake.params.headline,
        comparisons=snakemake.output.comparisons,
        power=snakemake.output.power,
        variance=snakemake.output.variance,
    )
