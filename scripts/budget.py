"""Compare the columns by what they reach with so many trainings, and draw it."""

from ils.figures.budget import draw
from ils.figures.style import save
from ils.files import read_csv, write_csv
from ils.job import run
from ils.statistics.budgets import KEY, budgets, equal_budgets


def budget(metrics, compared, columns, reference, pairs, output, equal, figures):
    """Read the table of all students `metrics` and write what each column reaches by trainings
    (`output`), both of each pair with equally many (`equal`), and the figures.

    compared: by which metrics; columns: `records.Searched`, reference: one of them; pairs:
    `records.Matched`.
    """
    table = read_csv(metrics, KEY)
    reached = budgets(table, compared, columns, reference)
    write_csv(output, reached)
    write_csv(equal, equal_budgets(table, compared, pairs))
    drawn = reached[reached["metric"] == "cross_entropy"]
    controls = {column.column for column in columns if column.control}
    figure = draw(drawn, controls, reference.column)
    for path in figures:
        save(figure, path)


if __name__ == "__main__":
    run(
        budget,
        snakemake,
        metrics=snakemake.input.metrics,
        compared=snakemake.params.metrics,
        columns=snakemake.params.columns,
        reference=snakemake.params.reference[0],
        pairs=snakemake.params.pairs,
        output=snakemake.output.budget,
        equal=snakemake.output.equal,
        figures=snakemake.output.figures,
    )
