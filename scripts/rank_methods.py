"""Rank the methods by every metric over complete blocks, and test whether they differ: Friedman, Nemenyi, Wilcoxon."""

from itertools import combinations, product

import pandas as pd

from ils.errors import UserError
from ils.files import read_csv, write_csv
from ils.job import run
from ils.statistics.ranks import (
    CELL,
    METRICS,
    critical_difference,
    friedman,
    holm,
    mid_ranks,
    nemenyi,
    pools,
    scores,
    wilcoxon,
)


def rank_methods(metrics, alpha, ranks, average_ranks, friedman_tests, pairwise_tests):
    """Read the metrics table `metrics` and write four csv files, each with the columns `pool` (of methods) and `metric`.

    ranks: dataset, network, method, value (mean over seeds), rank within the block. average_ranks:
    method, average_rank. friedman_tests: statistic, p, k methods, n blocks, and Nemenyi's
    critical_difference at `alpha`. pairwise_tests: each pair of methods with average_rank_2 -
    average_rank_1 as rank_difference, Nemenyi's p, and that of Wilcoxon's signed-rank test as it is
    and by Holm for all pairs of the pool.
    """
    table = read_csv(metrics, CELL)
    ranked, averages, tests, pairs = [], [], [], []
    known = [name for name in METRICS if name in table]
    if table.empty or not known:
        raise UserError(
            f"{metrics}: has no rows, or none of the columns {', '.join(METRICS)}; delete the file and run again"
        )
    for metric, (pool, methods) in product(known, pools(table["method"].unique()).items()):
        try:
            values = scores(table, metric)[methods]
        except UserError as error:
            raise UserError(f"{metrics}: {error}") from None
        block_ranks = mid_ranks(values, METRICS[metric].higher_is_better)
        average = block_ranks.mean()
        n, k = values.shape
        cd = critical_difference(k, n, alpha)
        statistic, p = friedman(block_ranks)
        by_ranks, by_values = nemenyi(block_ranks), wilcoxon(values)
        compared = list(combinations(values, 2))
        adjusted = holm([by_values.loc[pair] for pair in compared])

        for (network, dataset), method in product(values.index, values):
            cell = (network, dataset), method
            ranked.append(
                (pool, metric, dataset, network, method, values.loc[cell], block_ranks.loc[cell])
            )
        averages += [(pool, metric, method, rank) for method, rank in average.items()]
        tests.append((pool, metric, statistic, p, k, n, alpha, cd))
        for (a, b), p_holm in zip(compared, adjusted):
            difference = average[b] - average[a]
            pairs.append(
                (pool, metric, a, b, difference, by_ranks.loc[a, b], by_values.loc[a, b], p_holm)
            )

    columns = ["pool", "metric", "dataset", "network", "method", "value", "rank"]
    write_csv(ranks, pd.DataFrame(ranked, columns=columns))
    write_csv(
        average_ranks, pd.DataFrame(averages, columns=["pool", "metric", "method", "average_rank"])
    )
    columns = ["pool", "metric", "statistic", "p", "k", "n", "alpha", "critical_difference"]
    write_csv(friedman_tests, pd.DataFrame(tests, columns=columns))
    columns = [
        "pool",
        "metric",
        "method_1",
        "method_2",
        "rank_difference",
        "nemenyi_p",
        "wilcoxon_p",
        "wilcoxon_holm_p",
    ]
    write_csv(pairwise_tests, pd.DataFrame(pairs, columns=columns))


if __name__ == "__main__":
    run(
        rank_methods,
        snakemake,
        metrics=snakemake.input.metrics,
        alpha=snakemake.params.alpha,
        ranks=snakemake.output.ranks,
        average_ranks=snakemake.output.average_ranks,
        friedman_tests=snakemake.output.friedman,
        pairwise_tests=snakemake.output.pairwise,
    )
