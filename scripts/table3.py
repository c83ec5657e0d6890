"""Typeset Table III: cross-entropy, accuracy, ECE and cwECE of every method on every dataset and network, ranked."""

import math

from ils.document.latex import escape, number, wide_table
from ils.errors import UserError
from ils.files import read_csv, write_csv, write_text
from ils.job import run

# metric: title of its block, factor, decimals
BLOCKS = {
    "cross_entropy": ("Cross-Entropy", 1, 3),
    "accuracy": (r"Accuracy \%", 100, 2),
    "ece": ("ECE", 1, 3),
    "cwece": ("cwECE", 1, 3),
    "cwece_printed": ("cwECE*", 1, 3),
}

CAPTION = (
    r"Cross-entropy, accuracy, ECE and cwECE on the test data: {source}. Best results are in bold. Subscripts are the ranks "
    r"of the methods in their row, before rounding; equal values share a rank. TempS: temperature scaling. Lower average "
    r"ranks are better. Digits end where the standard errors begin. cwECE is the class-wise ECE of Eq.~2; cwECE* what the paper prints, the ECE within each true class."
)


def warranted(decimals, intervals, metric, factor):
    """The decimals of a block: down to the first digit of its cells' typical standard error, and not more than `decimals`.

    Seeds may share their test samples, so an average over seeds counts as no surer than one of
    them.
    """
    error = factor * intervals.loc[intervals["metric"] == metric, "standard_error"].median()
    return decimals if not error > 0 else min(decimals, max(0, -math.floor(math.log10(error))))


def table3(ranks, average_ranks, intervals, metrics, source, tex, csv):
    """Read the ranks and average ranks of rank_methods.py and write a table with a block for each of `metrics`.

    intervals: the bootstrap's standard errors, which limit the digits; None for printed numbers.
    tex: as the paper sets it; csv: one row a block's row, one column a method, every digit. The
    caption says the `source`.
    """
    errors = read_csv(intervals, ["metric", "standard_error"]) if intervals else None
    given = (ranks, ["network", "dataset", "value", "rank"]), (average_ranks, ["average_rank"])
    ranks, average_ranks = (
        read_csv(file, ["pool", "metric", "method", *more]).query("pool == 'all'")
        for file, more in given
    )
    if lacking := set(metrics) - set(ranks["metric"]):
        raise UserError(
            f"Table III needs ranks by {', '.join(sorted(lacking))}; add the column to the metrics table"
        )
    methods = ranks["method"].unique()
    blocks = []
    for metric in metrics:
        title, factor, decimals = BLOCKS[metric]
        if errors is not None:
            decimals = warranted(decimals, errors, metric, factor)
        rows = []
        for (network, dataset), cells in ranks[ranks["metric"] == metric].groupby(
            ["network", "dataset"], sort=False
        ):
            best = cells["rank"].min()
            numbers = [
                number(factor * c.value, decimals, c.rank == best, c.rank)
                for c in cells.itertuples()
            ]
            rows.append([escape(network), escape(dataset), *numbers])
        averages = average_ranks.loc[average_ranks["metric"] == metric, "average_rank"]
        rows.append(
            [
                r"\textit{Average Rank}",
                "",
                *(number(rank, 2, rank == averages.min()) for rank in averages),
            ]
        )
        blocks.append((title, rows))
    header = ["Model", "Dataset", *map(escape, methods)]
    write_text(tex, wide_table(CAPTION.format(source=escape(source)), "tab:real", header, blocks))
    keys = ["metric", "network", "dataset"]
    wide = ranks[ranks["metric"].isin(metrics)].pivot(
        index=keys, columns="method", values=["value", "rank"]
    )
    wide = wide.reindex(
        columns=[(kind, method) for method in methods for kind in ("value", "rank")]
    )
    wide.columns = [
        method if kind == "value" else f"{method} rank" for kind, method in wide.columns
    ]
    write_csv(csv, wide.reset_index())


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
