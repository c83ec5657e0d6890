"""Distilled students compared: by the method that trained their teachers, within the same pair and seed."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ils.statistics.comparison import mean_and_error

PAIR = ["network", "dataset"]
COLUMNS = {
    "cross_entropy": ("cross-entropy", 1, 4),
    "accuracy": (r"accuracy \%", 100, 2),
}  # head, factor, most decimals


class Difference(NamedTuple):
    """A mean difference over pairs, its standard error and degrees of freedom, and each pair's own {name: mean}."""

    mean: float
    error: float
    freedom: int
    pairs: dict

    @property
    def p(self):
        """Of Student's t test, two-sided; nan without a degree of freedom, 1 where nothing differs."""
        if not self.freedom:
            return math.nan
        return (
            float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))
            if self.error
            else float(self.mean == 0)
        )


def difference(table, column, a, b):
    """Compare students of teachers `a` and `b` (values of the column `method`) by the `Difference` a - b of a column.

    Each pair of network and dataset counts the same. Its standard error comes from its own seeds,
    as pairs differ more than seeds do: the variance of the mean is the sum of the pairs' var / n
    over the squared number of pairs.
    """
    wide = table.pivot(index=[*PAIR, "seed"], columns="method", values=column)
    groups = {
        " ".join(pair): d.to_numpy() for pair, d in (wide[a] - wide[b]).groupby(PAIR, sort=False)
    }
    means = {name: float(values.mean()) for name, values in groups.items()}
    freedom = sum(len(values) - 1 for values in groups.values())
    variances = [
        values.var(ddof=1) / len(values) if len(values) > 1 else 0.0 for values in groups.values()
    ]
    return Difference(
        float(np.mean(list(means.values()))),
        math.sqrt(sum(variances)) / len(groups),
        freedom,
        means,
    )


def compared(table, printed, teachers):
    """Return one row a pair, teacher and column: mean and standard_error over seeds, and the printed value, nan if none.

    table: metrics of the students, one row a network, dataset, seed and teacher (`method`);
    printed: those of `comparison.printed_distillation`. The paper's pairs come first; its student
    is AlexNet. The standard error of one seed is nan.
    """
    ours = {pair: rows for pair, rows in table.groupby(PAIR, sort=False)}
    students = {pair: rows["student"].iloc[0] for pair, rows in ours.items()}
    pairs = [*(tuple(name.split(" ")) for name in printed), *ours]
    found = []
    for pair in dict.fromkeys(pairs):
        for column, (_, factor, _) in COLUMNS.items():
            for teacher in teachers:
                rows = ours.get(pair, table[:0])
                values = factor * rows.loc[rows["method"] == teacher, column].to_numpy(float)
                mean, error = (
                    mean_and_error(values)
                    if len(values) > 1
                    else (values.mean() if len(values) else np.nan, np.nan)
                )
                value = printed.get(" ".join(pair), {}).get(teacher, {}).get(column, np.nan)
                found.append(
                    (
                        *pair,
                        students.get(pair, "AlexNet"),
                        teacher,
                        column,
                        mean,
                        error,
                        len(values),
                        value,
                    )
                )
    names = [*PAIR, "student", "teacher", "column", "mean", "standard_error", "seeds", "printed"]
    return pd.DataFrame(found, columns=names)
