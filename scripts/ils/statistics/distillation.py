"""Distilled students compared by the method that trained their teachers, within pair and seed."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ils.plan.metrics import metrics
from ils.statistics.comparison import mean_and_error

PAIR = ["network", "dataset"]
COLUMNS = "cross_entropy", "accuracy"  # of Table IV, metrics


class Difference(NamedTuple):
    """A mean difference over pairs, its standard error and degrees of freedom.

    `pairs` has the mean of each, {name: mean}.
    """

    mean: float
    error: float
    freedom: float
    pairs: dict[str, float]

    @property
    def p(self) -> float:
        """The p-value of Student's t test, two-sided.

        nan without a degree of freedom; without spread 1 where nothing differs, else 0.
        """
        if not self.freedom:
            return math.nan
        if not self.error:
            return float(self.mean == 0)
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))


def difference(table: pd.DataFrame, column: str, a: str, b: str) -> Difference:
    """Return the `Difference` a - b of a column between students of teachers `a` and `b`.

    `a` and `b` are values of the column `method`.
    Each pair of network and dataset counts the same. Its standard error comes from its own seeds,
    as pairs differ more than seeds do: the variance of the mean is the sum of the pairs' var / n
    over the squared number of pairs. The degrees of freedom are Welch and Satterthwaite's, as the
    variances of pairs differ: pooled ones would find differences that are not there.
    """
    wide = table.pivot(index=[*PAIR, "seed"], columns="method", values=column)
    by_pair = (wide[a] - wide[b]).groupby(PAIR, sort=False)
    groups = {" ".join(pair): values.to_numpy() for pair, values in by_pair}
    means = {name: float(values.mean()) for name, values in groups.items()}
    many = [values for values in groups.values() if len(values) > 1]
    variances = [values.var(ddof=1) / len(values) for values in many]
    spread = sum(v**2 / (len(values) - 1) for v, values in zip(variances, many))
    freedom = sum(variances) ** 2 / spread if spread else float(bool(many))
    error = math.sqrt(sum(variances)) / len(groups)
    return Difference(float(np.mean(list(means.values()))), error, freedom, means)


def compared(
    table: pd.DataFrame,
    printed: Mapping[str, Mapping[str, Mapping[str, float]]],
    teachers: Sequence[str],
) -> pd.DataFrame:
    """Return one row a pair, teacher and column: mean and standard_error over seeds, and the print.

    table: metrics of the students, one row a network, dataset, seed and teacher (`method`);
    printed: those of `comparison.printed_distillation`, nan where there is none. The paper's pairs
    come first; its student is AlexNet. The standard error of one seed is nan.
    """
    ours = dict(iter(table.groupby(PAIR, sort=False)))
    pairs = dict.fromkeys([*(tuple(name.split(" ")) for name in printed), *ours])
    rows = []
    for pair, column, teacher in product(pairs, COLUMNS, teachers):
        students = ours.get(pair, table[:0])
        values = metrics()[column].factor * students.loc[
            students["method"] == teacher, column
        ].to_numpy(float)
        mean = error = np.nan
        if len(values) > 1:
            mean, error = mean_and_error(values)
        elif len(values):
            mean = values.mean()
        value = printed.get(" ".join(pair), {}).get(teacher, {}).get(column, np.nan)
        student = students["student"].iloc[0] if len(students) else "AlexNet"
        rows.append((*pair, student, teacher, column, mean, error, len(values), value))
    names = [*PAIR, "student", "teacher", "column", "mean", "standard_error", "seeds", "printed"]
    return pd.DataFrame(rows, columns=names)
