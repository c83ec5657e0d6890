"""Table I, II, V or VI: our averages over replicates beside the printed numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ils.document.tables import comparison_table
from ils.files import write_csv, write_text
from ils.job import log, run
from ils.statistics.comparison import COLUMNS, compare, read_models, read_printed

CAPTIONS = {
    "1": "Table I: training with and without label smoothing.",
    "2": "Table II: self-distillation from teachers trained with and without label smoothing.",
    "5": "Table V: all methods on the synthetic task. The paper gives no numbers for the "
    "sinusoidal family.",
    "6": "Table VI: self-distillation, the teacher trained by ILS included.",
}


def synthetic_table(
    replicates: Mapping[str, Iterable[str]],
    printed: str,
    tex: str,
    csv: str,
    table: str,
    methods: Sequence[Mapping[str, Any]],
) -> None:
    """Write one of the paper's tables as LaTeX and as csv.

    replicates: {setup: csv files}; printed: the paper's table as csv; methods: config entries.
    """
    models = read_models(replicates)
    rows = read_printed(printed, methods)
    if table == "5":
        shown = {model for _, model, _ in rows}
        new = [method for method in methods if method["name"] not in shown]
        for name, label in ((method["name"], method["label"]) for method in new):
            rows += [(label, name, {}), (f"{label}+TempS", f"{name}+temps", {})]
    columns = COLUMNS[table]
    compared = compare(models, rows, columns)
    write_csv(csv, compared)
    caption, label = CAPTIONS[table], f"tab:synthetic{table}"
    count = models["replicate"].nunique()
    write_text(tex, comparison_table(compared, rows, columns, caption, label, count))
    for setup, cells in compared[compared["printed"].notna()].groupby("setup", sort=False):
        counts = cells["differs"].sum(), cells["differs_clearly"].sum(), len(cells)
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
