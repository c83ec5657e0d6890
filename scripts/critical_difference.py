"""Draw one critical-difference diagram: Fig. 12 (accuracy), 13 (cross-entropy), 14 (ECE) or 15 (cwECE)."""

from ils.diagram import draw, layout
from ils.errors import UserError
from ils.files import read_csv
from ils.job import run
from ils.statistics import METRICS
from ils.style import save


def critical_difference(average_ranks, friedman_tests, metric, pool, outputs):
    """Draw the average ranks by `metric` and the critical difference of a `pool` of methods to each of `outputs`."""
    tests = read_csv(friedman_tests).query("pool == @pool").set_index("metric")
    if metric not in tests.index:
        raise UserError(f"{friedman_tests}: has no metric {metric} of pool {pool}; it has {', '.join(tests.index)}")
    test = tests.loc[metric]
    averages = read_csv(average_ranks).query("metric == @metric and pool == @pool").set_index("method")["average_rank"]
    blocks = f"{test['n']:g} dataset-network pair{'s' if test['n'] > 1 else ''}"
    figure = draw(layout(averages, test["critical_difference"], f"{METRICS[metric].name}, {blocks}"))
    for output in outputs:
        save(figure, output)


if __name__ == "__main__":
    run(
        critical_difference,
        snakemake,
        average_ranks=snakemake.input.average_ranks,
        friedman_tests=snakemake.input.friedman,
        metric=snakemake.params.metric,
        pool=snakemake.params.pool,
        outputs=list(snakemake.output),
    )
