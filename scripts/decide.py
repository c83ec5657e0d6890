"""Compare each two columns of a run over its datasets, and say what the study can find."""

from collections.abc import Sequence

from ils.files import read_csv, write_csv
from ils.job import log, run
from ils.plan.metrics import Metric
from ils.statistics import pairs
from ils.statistics.datasets import Datasets


def decide(
    metrics: str,
    equal_budget: str,
    compared: Sequence[Metric],
    headline: Sequence[Sequence[str]],
    comparisons: str,
    power: str,
    variance: str,
) -> None:
    """Read the tables of metrics and of gains at equal budgets, and write the three tables of
    `ils.statistics.pairs`.

    compared: by which metrics; headline: the pairs of columns [better, worse] that the study is
    about.
    """
    datasets = Datasets(read_csv(metrics), compared)
    of_columns = pairs.pairs_of(datasets.columns, headline)
    table = pairs.comparisons(datasets, of_columns, read_csv(equal_budget))
    log.info("%s", table.groupby(["metric", "verdict"]).size().to_dict())
    write_csv(comparisons, table)
    write_csv(power, pairs.power(datasets, of_columns))
    write_csv(variance, pairs.variance(datasets))


if __name__ == "__main__":
    run(
        decide,
        snakemake,
        metrics=snakemake.input.metrics,
        equal_budget=snakemake.input.equal_budget,
        compared=snakemake.params.metrics,
        headline=snakemake.params.headline,
        comparisons=snakemake.output.comparisons,
        power=snakemake.output.power,
        variance=snakemake.output.variance,
    )
