"""Typeset Table III: cross-entropy, accuracy, ECE and cwECE of every method on every dataset and network, ranked."""

from ils.errors import UserError
from ils.files import read_csv, write_text
from ils.job import run
from ils.latex import escape, number, wide_table

# metric: title of its block, factor, decimals
BLOCKS = {
    "cross_entropy": ("Cross-Entropy", 1, 3),
    "accuracy": (r"Accuracy \%", 100, 2),
    "ece": ("ECE", 1, 3),
    "cwece": ("cwECE", 1, 3),
}

CAPTION = (
    r"Cross-entropy, accuracy, ECE and cwECE (the class-wise ECE of Eq.~2) on the test data, averaged over {seeds}; "
    r"configuration \texttt{{{config}}}. Best results are in bold. Subscripts are the ranks of the methods in their "
    r"row, before rounding; equal values share a rank. TempS: temperature scaling. Lower average ranks are better."
)


def table3(ranks, average_ranks, config, seeds, output):
    """Read the ranks and average ranks of rank_methods.py and write a LaTeX table to `output`.

    The caption names the file `config` and the number of `seeds`.
    """
    ranks, average_ranks = read_csv(ranks), read_csv(average_ranks)
    if lacking := set(BLOCKS) - set(ranks["metric"]):
        raise UserError(f"Table III needs ranks by {', '.join(sorted(lacking))}; add the column to the metrics table")
    methods = ranks["method"].unique()
    blocks = []
    for metric, (title, factor, decimals) in BLOCKS.items():
        rows = []
        for (network, dataset), cells in ranks[ranks["metric"] == metric].groupby(["network", "dataset"], sort=False):
            best = cells["rank"].min()
            numbers = [number(factor * c.value, decimals, c.rank == best, c.rank) for c in cells.itertuples()]
            rows.append([escape(network), escape(dataset), *numbers])
        averages = average_ranks.loc[average_ranks["metric"] == metric, "average_rank"]
        rows.append([r"\textit{Average Rank}", "", *(number(rank, 2, rank == averages.min()) for rank in averages)])
        blocks.append((title, rows))
    caption = CAPTION.format(seeds=f"{seeds} seed{'s' if seeds > 1 else ''}", config=escape(config))
    header = ["Model", "Dataset", *map(escape, methods)]
    write_text(output, wide_table(caption, "tab:real", header, blocks))


if __name__ == "__main__":
    run(
        table3,
        snakemake,
        ranks=snakemake.input.ranks,
        average_ranks=snakemake.input.average_ranks,
        config=snakemake.params.config,
        seeds=snakemake.params.seeds,
        output=snakemake.output[0],
    )
