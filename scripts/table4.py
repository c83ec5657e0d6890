"""Table IV: students by how their teachers were trained, beside the printed numbers."""

from collections.abc import Mapping

from ils.document.tables import table4
from ils.files import read_csv, write_csv, write_text
from ils.job import run
from ils.statistics.comparison import printed_distillation
from ils.statistics.distillation import compared

CAPTION = (
    r"Table IV: a student distilled from teachers trained without label smoothing, with LS and "
    r"with ILS. Mean $\pm$ standard error over {seeds} seeds; the paper prints the mean of three."
)


def write_table4(metrics: str, printed: str, labels: Mapping[str, str], tex: str, csv: str) -> None:
    """Write Table IV as LaTeX and as csv.

    metrics: csv of the students, one row a pair, seed and teacher; labels: {method that trained the
    teacher: its head}.
    """
    table = read_csv(metrics, ["dataset", "network", "seed", "method"])
    rows = compared(table, printed_distillation(printed), list(labels))
    write_csv(csv, rows)
    write_text(tex, table4(rows, labels, CAPTION.format(seeds=table["seed"].nunique())))


if __name__ == "__main__":
    run(
        write_table4,
        snakemake,
        metrics=snakemake.input.metrics,
        printed=snakemake.input.printed,
        labels=snakemake.params.labels,
        tex=snakemake.output.tex,
        csv=snakemake.output.csv,
    )
