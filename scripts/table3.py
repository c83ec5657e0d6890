"""Typeset Table III: every method's metrics on every dataset and network, ranked."""

from collections.abc import Sequence

import pandas as pd

from ils.document.table3 import as_columns, typeset
from ils.errors import UserError
from ils.files import read_csv, write_csv, write_text
from ils.job import run
from ils.plan.metrics import Metric


def table3(
    ranks: str,
    average_ranks: str,
    intervals: str | None,
    metrics: Sequence[Metric],
    source: str,
    tex: str,
    long: str,
    csv: str,
) -> None:
    """Write a table with a block for each of `metrics` of the ranks of rank_methods.py.

    intervals: the metrics' standard errors, which limit the digits; None for printed numbers.
    tex: as the paper sets it, or a summary where that takes more than a page; long: then every row.
    csv: one row a block's row, one column a method, every digit. The captions say the `source`.
    UserError for a metric that was not ranked.
    """
    errors = read_csv(intervals, ["metric", "standard_error"]) if intervals else None
    ranked = read_all(ranks, ["network", "dataset", "value", "rank"])
    averages = read_all(average_ranks, ["average_rank"])
    names = [metric.name for metric in metrics]
    if lacking := set(names) - set(ranked["metric"]):
        raise UserError(
            f"Table III needs ranks by {', '.join(sorted(lacking))}; add the column to the metrics "
            "table"
        )
    parts = [
        (
            metric,
            ranked[ranked["metric"] == metric.name],
            averages.loc[averages["metric"] == metric.name, "average_rank"],
            errors,
        )
        for metric in metrics
    ]
    table, behind = typeset(parts, source)
    write_text(tex, table)
    write_text(long, behind)
    write_csv(csv, as_columns(parts))


def read_all(path: str, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of a table of rank_methods.py on all methods."""
    return read_csv(path, ["pool", "metric", "method", *columns]).query("pool == 'all'")


if __name__ == "__main__":
    run(
        table3,
        snakemake,
        ranks=snakemake.input.ranks,
        average_ranks=snakemake.input.average_ranks,
        intervals=snakemake.input.intervals or None,
        metrics=snakemake.params.metrics,
        source=snakemake.params.source,
        tex=snakemake.output.tex,
        long=snakemake.output.long,
        csv=snakemake.output.csv,
    )
