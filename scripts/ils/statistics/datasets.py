"""A run's metrics by dataset, the unit that decides: gains of one column over another, how far the
seeds leave them open, and where the variance of a metric comes from.

Networks on one dataset share its samples, and rank methods alike: they are averaged first. A metric
that is a mean over classes, cwECE (Eq. 2), is taken times their number, its sum over them: an error
of one size in every class counts the same on 2 classes and on 26.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ils.errors import UserError
from ils.plan.metrics import Metric
from ils.statistics.ranks import scores


class Datasets:
    """The metrics of a run, {metric: (dataset, seed) x columns} and their means by dataset.

    metrics: those of `known` that the `table` has, {name: Metric}.
    """

    def __init__(self, table: pd.DataFrame, known: Iterable[Metric]):
        if "classes" not in table:
            raise UserError("the metrics table lacks the column classes; delete it and run again")
        self.metrics = {metric.name: metric for metric in known if metric.name in table}
        classes = table.groupby("dataset", sort=False)["classes"].first()
        self.means, self.by_seed = {}, {}
        for metric in self.metrics:
            means = scores(table, metric).groupby("dataset", sort=False).mean()
            seeds = table.pivot_table(metric, ["dataset", "seed"], "method", sort=False)
            if self.metrics[metric].mean_over_classes:
                means = means.mul(classes, axis=0)
                seeds = seeds.mul(classes, axis=0, level="dataset")
            self.means[metric], self.by_seed[metric] = means, seeds[means.columns]

    @property
    def columns(self) -> list[str]:
        """The columns that are compared."""
        return list(next(iter(self.means.values()), []))

    def gains(self, metric: str, better: str, worse: str) -> pd.Series:
        """By how much `better` is better than `worse` on each dataset, in the metric's unit."""
        means = self.means[metric]
        return self.metrics[metric].sign * (means[better] - means[worse])

    def errors(self, metric: str, better: str, worse: str) -> pd.Series:
        """The standard error of each dataset's gain over its seeds, 0 where it has one."""
        seeds = self.by_seed[metric]
        groups = (seeds[better] - seeds[worse]).groupby("dataset", sort=False)
        return groups.std(ddof=1).fillna(0) / np.sqrt(groups.size())


SOURCES = ["dataset", "seed", "method", "dataset x method", "method x seed"]


def variances(by_seed: pd.DataFrame) -> Sequence[float]:
    """The variance that each of SOURCES adds to a metric, (dataset, seed) rows x methods.

    Estimated by moments in y = dataset + seed within it + method + dataset x method + rest, the
    rest being method x seed: what another split and initialisation change for one method and not
    for all. What comes out negative is 0; nan where one method or dataset, or single seeds, leave
    nothing to see. Datasets may have different numbers of seeds.
    """
    k, groups = by_seed.shape[1], by_seed.groupby("dataset", sort=False)
    means, counts = groups.mean(), groups.size()
    n, open_share = len(means), float((1 / counts).mean())
    within = by_seed - means.reindex(by_seed.index, level="dataset")
    seed_effects = within.mean(axis=1)
    freedom = float((counts - 1).sum())
    if k < 2 or n < 2 or not freedom:
        return [np.nan] * len(SOURCES)
    rest = (within.sub(seed_effects, axis=0) ** 2).sum().sum() / (freedom * (k - 1))
    seed = (seed_effects**2).sum() / freedom - rest / k
    rows, columns, centre = means.mean(axis=1), means.mean(), means.mean().mean()
    double_centred = means.sub(rows, axis=0).sub(columns, axis=1) + centre
    crossed = (double_centred**2).sum().sum() / ((n - 1) * (k - 1)) - rest * open_share
    crossed = max(0.0, crossed)
    method = columns.var(ddof=1) - (crossed + rest * open_share) / n
    dataset = rows.var(ddof=1) - seed * open_share - (crossed + rest * open_share) / k
    return [max(0.0, float(value)) for value in (dataset, seed, method, crossed, rest)]
