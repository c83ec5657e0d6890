"""Draw the critical-difference diagrams: Figures 12 to 15, and those of a study's own metrics."""

from collections.abc import Sequence

from ils.errors import UserError
from ils.figures.diagram import draw, layout
from ils.figures.style import save
from ils.files import read_csv
from ils.job import run
from ils.plan.metrics import Metric


def critical_difference(
    average_ranks: str,
    friedman_tests: str,
    diagrams: Sequence[tuple[Metric, str]],
    outputs: Sequence[str],
) -> None:
    """Draw average ranks and critical difference, as rank_methods.py wrote them.

    To each of `outputs` goes the (metric, pool) at its place in `diagrams`.
    """
    averages = read_csv(average_ranks, ["metric", "pool", "method", "average_rank"])
    tests = read_csv(friedman_tests, ["metric", "pool", "n", "critical_difference"])
    for (metric, pool), output in zip(diagrams, outputs, strict=True):
        name = metric.name
        chosen = tests[(tests["metric"] == name) & (tests["pool"] == pool)]
        if chosen.empty:
            known = ", ".join(tests["metric"].unique())
            raise UserError(
                f"{friedman_tests}: has no metric {name} of pool {pool}; it has {known}"
            )
        test = chosen.iloc[0]
        ranks = averages[(averages["metric"] == name) & (averages["pool"] == pool)]
        by_method = ranks.set_index("method")["average_rank"]
        blocks = f"{test['n']:g} dataset-network pair{'s' if test['n'] > 1 else ''}"
        title = f"{metric.title}, {blocks}"
        save(draw(layout(by_method, test["critical_difference"], title)), output)


if __name__ == "__main__":
    run(
        critical_difference,
        snakemake,
        average_ranks=snakemake.input.average_ranks,
        friedman_tests=snakemake.input.friedman,
        diagrams=snakemake.params.diagrams,
        outputs=list(snakemake.output),
    )
