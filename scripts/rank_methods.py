"""Rank the methods by every metric over complete blocks, and test whether they differ.

The tests are Friedman's and Nemenyi's.
"""

from collections.abc import Sequence
from itertools import product

import pandas as pd

from ils.errors import UserError
from ils.files import read_csv, write_csv
from ils.job import run
from ils.plan.metrics import Metric
from ils.statistics.ranks import CELL, analysis, pools, scores

COLUMNS = {  # of each table, behind the pool of methods and the metric
    "ranks": ["dataset", "network", "method", "value", "rank"],
    "average_ranks": ["method", "average_rank"],
    "friedman": ["statistic", "p", "k", "n", "alpha", "critical_difference"],
    "pairwise": ["method_1", "method_2", "rank_difference", "nemenyi_p"],
}


def rank_methods(
    metrics: str,
    ranked: Sequence[Metric],
    alpha: float,
    ranks: str,
    average_ranks: str,
    friedman_tests: str,
    pairwise_tests: str,
) -> None:
    """Read the metrics table `metrics` and write four csv files with the columns of COLUMNS.

    ranked: by which metrics, as far as the table has them.
    ranks: the value (mean over seeds) and the rank within the block. friedman_tests: of k methods
    on n blocks, with Nemenyi's critical_difference at `alpha`. pairwise_tests: each pair of methods
    with average_rank_2 - average_rank_1 as rank_difference, and Nemenyi's p.
    """
    table = read_csv(metrics, CELL)
    known = [metric for metric in ranked if metric.name in table]
    if table.empty or not known:
        raise UserError(
            f"{metrics}: has no rows, or none of the columns {', '.join(m.name for m in ranked)}; "
            "delete the file and run again"
        )
    rows: dict[str, list] = {name: [] for name in COLUMNS}
    for metric, (pool, methods) in product(known, pools(table["method"].unique()).items()):
        try:
            values = scores(table, metric.name)[methods]
        except UserError as error:
            raise UserError(f"{metrics}: {error}") from None
        for name, of_metric in analysis(values, metric, alpha).items():
            rows[name] += [(pool, metric.name, *row) for row in of_metric]
    for name, path in zip(COLUMNS, (ranks, average_ranks, friedman_tests, pairwise_tests)):
        write_csv(path, pd.DataFrame(rows[name], columns=["pool", "metric", *COLUMNS[name]]))


if __name__ == "__main__":
    run(
        rank_methods,
        snakemake,
        metrics=snakemake.input.metrics,
        ranked=snakemake.params.metrics,
        alpha=snakemake.params.alpha,
        ranks=snakemake.output.ranks,
        average_ranks=snakemake.output.average_ranks,
        friedman_tests=snakemake.output.friedman,
        pairwise_tests=snakemake.output.pairwise,
    )
