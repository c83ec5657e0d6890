"""Draw the critical-difference diagrams: Fig. 12 (accuracy), 13 (cross-entropy), 14 (ECE) and 15 (cwECE)."""

from ils.errors import UserError
from ils.figures.diagram import draw, layout
from ils.figures.style import save
from ils.files import read_csv
from ils.job import run
from ils.statistics.ranks import METRICS


def critical_difference(average_ranks, friedman_tests, diagrams, outputs):
    """Draw average ranks and critical difference, as rank_methods.py wrote them: to each of `outputs` the (metric, pool)
    at its place in `diagrams`."""
    averages = read_csv(average_ranks, ["metric", "pool", "method", "average_rank"])
    tests = read_csv(friedman_tests, ["metric", "pool", "n", "critical_difference"])
    for (metric, pool), output in zip(diagrams, outputs, strict=True):
        chosen = tests[(tests["metric"] == metric) & (tests["pool"] == pool)]
        if chosen.empty:
            raise UserError(
                f"{friedman_tests}: has no metric {metric} of pool {pool}; it has {', '.join(tests['metric'].unique())}"
            )
        test = chosen.iloc[0]
        ranks = averages[(averages["metric"] == metric) & (averages["pool"] == pool)].set_index(
            "method"
        )["average_rank"]
        blocks = f"{test['n']:g} dataset-network pair{'s' if test['n'] > 1 else ''}"
        save(
            draw(layout(ranks, test["critical_difference"], f"{METRICS[metric].name}, {blocks}")),
            output,
        )


if __name__ == "__main__":
    run(
        critical_difference,
        snakemake,
        average_ranks=snakemake.input.average_ranks,
        friedman_tests=snakemake.input.friedman,
        diagrams=snakemake.params.diagrams,
        outputs=list(snakemake.output),
    )
