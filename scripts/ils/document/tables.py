"""Comparisons with the printed numbers as LaTeX tables: ours under the printed ones."""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from ils.document.latex import Blocks, escape, number, percent, wide_table
from ils.plan.metrics import metrics
from ils.statistics.comparison import Column, Row
from ils.statistics.distillation import COLUMNS, PAIR

MOST_LINES = 36  # of a table that is legible on one page
NOTE = (
    r"Mean $\pm$ standard error over {count} replicates; \textbf{{bold}}: further than two of our "
    r"standard errors from the printed value; $^\dagger$: also further than two standard errors of "
    r"the difference, if the printed mean has the same error as ours. cwECE* is what the paper "
    r"prints, the ECE within each true class; cwECE is Eq.~2."
)


def cell(mean: float, error: float, decimals: int, mark: bool) -> str:
    """Return "mean ± error" as LaTeX; an error of exactly 0 (a constant) is left out."""
    behind = rf"\,{{\tiny$\pm${number(error, decimals)}}}" if error else ""
    return number(mean, decimals, bold=mark).replace("-", "$-$") + behind


def comparison_table(
    compared: pd.DataFrame,
    rows: Sequence[Row],
    columns: Sequence[Column],
    caption: str,
    label: str,
    replicates: int,
) -> str:
    """Return the comparison as LaTeX: a block a row of the paper's table.

    In it are the printed line and one a setup. compared: what `comparison.compare` returns of
    `rows` and `columns`.
    """
    cells = compared.set_index(["setup", "row", "column"])
    blocks = []
    for title, _, printed in rows:
        lines = [printed_line(printed, columns)]
        for setup in compared["setup"].unique():
            line = [our_cell(cells, (setup, title, column.name), column) for column in columns]
            if any(line):
                lines.append([escape(setup), *line])
        blocks.append((escape(title), lines))
    header = ["", *(column.head for column in columns)]
    first = f"{caption} {NOTE.format(count=replicates)}"
    if sum(len(lines) for _, lines in blocks) <= MOST_LINES:
        return wide_table(first, label, header, blocks)
    second = f"{caption.partition(':')[0]}, continued."
    upper, lower = halves(blocks)
    return "\n".join(
        [
            wide_table(first, label, header, upper),
            wide_table(second, f"{label}b", header, lower),
        ]
    )


def printed_line(printed: Mapping[str, float], columns: Sequence[Column]) -> list[str]:
    """The line of the paper's numbers, empty where it has none."""
    values = ((printed.get(column.name, np.nan), column.decimals) for column in columns)
    cells = ("" if pd.isna(v) else number(float(v), decimals) for v, decimals in values)
    return ["printed", *cells]


def our_cell(cells: pd.DataFrame, key: tuple[str, str, str], column: Column) -> str:
    """The cell of a setup, row and column, marked where it differs; empty where there is none."""
    if key not in cells.index:
        return ""
    mean, error, _, differs, clearly = cells.loc[key]
    return cell(mean, error, column.decimals, differs) + (r"$^\dagger$" if clearly else "")


def halves(blocks: Blocks) -> tuple[Blocks, Blocks]:
    """Split (title, lines) blocks into two lists of about as many lines."""
    lines = np.cumsum([1 + len(lines) for _, lines in blocks])
    middle = 1 + int(np.abs(lines - lines[-1] / 2).argmin())
    return blocks[:middle], blocks[middle:]


def decimals_of(errors: pd.Series, most: int) -> int:
    """Decimals that show two digits of the typical standard error, `most` at most.

    `most` without errors.
    """
    error = errors.median()
    return min(most, max(0, 1 - math.floor(math.log10(error)))) if error > 0 else most


def table4(rows: pd.DataFrame, labels: Mapping[str, str], caption: str) -> str:
    """Return Table IV as LaTeX: a block a pair, the printed line and this run's.

    rows: what `distillation.compared` returns; labels: {teacher: head}.
    """
    decimals = {
        column: decimals_of(
            rows.loc[rows["column"] == column, "standard_error"], metrics()[column].digits
        )
        for column in COLUMNS
    }
    values = rows.set_index([*PAIR, "column", "teacher"])
    blocks = []
    for pair, students in rows.groupby(PAIR, sort=False):
        printed, ours = ["printed"], ["this run"]
        for column, teacher in product(COLUMNS, labels):
            value = values.loc[(*pair, column, teacher)]
            printed.append(printed_cell(value["printed"], column))
            ours.append(students_cell(value["mean"], value["standard_error"], decimals[column]))
        title = f"{pair[1]}: {students['student'].iloc[0]} taught by {pair[0]}"
        blocks.append((escape(title), [line for line in (printed, ours) if any(line[1:])]))
    heads = [
        f"{escape(metric.title)}{percent(metric)}, {escape(label)}"
        for metric in (metrics()[column] for column in COLUMNS)
        for label in labels.values()
    ]
    return wide_table(caption, "tab:distillation", ["", *heads], blocks)


def printed_cell(value: float, column: str) -> str:
    """A number of the paper's Table IV with its decimals; empty for nan."""
    return "" if pd.isna(value) else number(value, 3 if column == "cross_entropy" else 2)


def students_cell(mean: float, error: float, decimals: int) -> str:
    """A number of ours in Table IV, without the error of a single seed, nan; empty for nan."""
    return "" if pd.isna(mean) else cell(mean, 0 if pd.isna(error) else error, decimals, False)
