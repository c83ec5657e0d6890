"""Table I, II, V or VI: our averages over replicates beside the printed numbers, as LaTeX and as csv."""

from ils.document.tables import comparison_table
from ils.files import write_csv, write_text
from ils.job import log, run
from ils.statistics.comparison import COLUMNS, compare, read_models, read_printed

CAPTIONS = {
    "1": "Table I: training with and without label smoothing.",
    "2": "Table II: self-distillation from teachers trained with and without label smoothing.",
    "5": "Table V: all methods on the synthetic task. The paper gives no numbers for the sinusoidal family.",
    "6": "Table VI: self-distillation, the teacher trained by ILS included.",
}


def synthetic_table(replicates, printed, tex, csv, table, methods):
    """replicates: {setup: csv files}; printed: the paper's table as csv; methods: the config's entries."""
    models = read_models(replicates)
    rows = read_printed(printed, methods)
    if table == "5":
        shown = {model for _, model, _ in rows}
        new = [method for method in methods if method["name"] not in shown]
        rows += [
            (m["label"] + tail, m["name"] + end, {})
            for m in new
            for tail, end in (("", ""), ("+TempS", "+temps"))
        ]
    columns = COLUMNS[table]
    compared = compare(models, rows, columns)
    write_csv(csv, compared)
    count = models.replicate.nunique()
    write_text(
        tex,
        comparison_table(compared, rows, columns, CAPTIONS[table], f"tab:synthetic{table}", count),
    )
    for setup, cells in compared[compared.printed.notna()].groupby("setup", sort=False):
        counts = cells.differs.sum(), cells.differs_clearly.sum(), len(cells)
        log.info("table %s, %s: %d (clearly: %d) of %d cells differ", table, setup, *counts)


if __name__ == "__main__":
    run(
        synthetic_table,
        snakemake,
        replicates={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        printed=snakemake.input.printed,
        tex=snakemake.output.tex,
        csv=snakemake.output.csv,
        table=snakemake.wildcards.table,
        methods=snakemake.params.methods,
    )
