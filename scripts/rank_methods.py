"""Rank the methods by every metric over complete blocks, and test whether they differ: Friedman, then Nemenyi."""

from itertools import combinations, product

import pandas as pd

from ils.files import read_csv, write_csv
from ils.job import run
from ils.statistics import METRICS, critical_difference, friedman, mid_ranks, nemenyi, scores


def rank_methods(metrics, alpha, ranks, average_ranks, friedman_tests, nemenyi_tests):
    """Read the metrics table `metrics` and write four csv files, each with a column `metric`.

    ranks: dataset, network, method, value (mean over seeds), rank within the block. average_ranks: method,
    average_rank. friedman_tests: statistic, p, k methods, n blocks, and Nemenyi's critical_difference at `alpha`.
    nemenyi_tests: each pair of methods with average_rank_2 - average_rank_1 as rank_difference, and p.
    """
    table = read_csv(metrics)
    ranked, averages, tests, pairs = [], [], [], []
    for metric in (name for name in METRICS if name in table):
        values = scores(table, metric)
        block_ranks = mid_ranks(values, METRICS[metric].higher_is_better)
        average = block_ranks.mean()
        n, k = values.shape
        cd = critical_difference(k, n, alpha)
        statistic, p = friedman(block_ranks)
        p_values = nemenyi(block_ranks)

        for (network, dataset), method in product(values.index, values):
            cell = (network, dataset), method
            ranked.append((metric, dataset, network, method, values.loc[cell], block_ranks.loc[cell]))
        averages += [(metric, method, rank) for method, rank in average.items()]
        tests.append((metric, statistic, p, k, n, alpha, cd))
        pairs += [(metric, a, b, average[b] - average[a], p_values.loc[a, b]) for a, b in combinations(values, 2)]

    columns = ["metric", "dataset", "network", "method", "value", "rank"]
    write_csv(ranks, pd.DataFrame(ranked, columns=columns))
    write_csv(average_ranks, pd.DataFrame(averages, columns=["metric", "method", "average_rank"]))
    columns = ["metric", "statistic", "p", "k", "n", "alpha", "critical_difference"]
    write_csv(friedman_tests, pd.DataFrame(tests, columns=columns))
    columns = ["metric", "method_1", "method_2", "rank_difference", "p"]
    write_csv(nemenyi_tests, pd.DataFrame(pairs, columns=columns))


if __name__ == "__main__":
    run(
        rank_methods,
        snakemake,
        metrics=snakemake.input.metrics,
        alpha=snakemake.params.alpha,
        ranks=snakemake.output.ranks,
        average_ranks=snakemake.output.average_ranks,
        friedman_tests=snakemake.output.friedman,
        nemenyi_tests=snakemake.output.nemenyi,
    )
