"""Typeset Table III: every method's metrics on every dataset and network, ranked."""

from collections.abc import Sequence

import pandas as pd

from ils.document.latex import escape, wide_table
from ils.document.table3 import as_columns, block
from ils.errors import UserError
from ils.files import read_csv, write_csv, write_text
from ils.job import run

CAPTION = (
    r"Cross-entropy, accuracy, ECE and cwECE on the test data: {source}. Best results are in bold. "
    r"Subscripts are the ranks of the methods in their row, before rounding; equal values share a "
    r"rank. TempS: temperature scaling. Lower average ranks are better. Digits end where the "
    r"standard errors begin. cwECE is the class-wise ECE of Eq.~2; cwECE* what the paper prints, "
    r"the ECE within each true class."
)


def table3(
    ranks: str,
    average_ranks: str,
    intervals: str | None,
    metrics: Sequence[str],
    source: str,
    tex: str,
    csv: str,
) -> None:
    """Write a table with a block for each of `metrics` of the ranks of rank_methods.py.

    intervals: the bootstrap's standard errors, which limit the digits; None for printed numbers.
    tex: as the paper sets it; csv: one row a block's row, one column a method, every digit. The
    caption says the `source`. UserError for a metric that was not ranked.
    """
    errors = read_csv(intervals, ["metric", "standard_error"]) if intervals else None
    ranked = read_all(ranks, ["network", "dataset", "value", "rank"])
    averages = read_all(average_ranks, ["average_rank"])
    if lacking := set(metrics) - set(ranked["metric"]):
        names = ", ".join(sorted(lacking))
        raise UserError(f"Table III needs ranks by {names}; add the column to the metrics table")
    methods = ranked["method"].unique()
    blocks = [
        block(
            metric,
            ranked[ranked["metric"] == metric],
            averages.loc[averages["metric"] == metric, "average_rank"],
            errors,
        )
        for metric in metrics
    ]
    header = ["Model", "Dataset", *map(escape, methods)]
    caption = CAPTION.format(source=escape(source))
    write_text(tex, wide_table(caption, "tab:real", header, blocks))
    write_csv(csv, as_columns(ranked[ranked["metric"].isin(metrics)], methods))


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
        csv=snakemake.output.csv,
    )
