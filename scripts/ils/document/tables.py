"""Comparisons with the printed numbers as LaTeX tables: ours under the printed ones."""

import math

import numpy as np
import pandas as pd

from ils.document.latex import escape, number, wide_table
from ils.statistics.distillation import COLUMNS, PAIR

MOST_LINES = 36  # of a table that is legible on one page
NOTE = (
    r"Mean $\pm$ standard error over {count} replicates; \textbf{{bold}}: further than two of our standard errors from the "
    r"printed value; $^\dagger$: also further than two standard errors of the difference, if the printed mean has the same error "
    r"as ours. cwECE* is what the paper prints, the ECE within each true class; cwECE is Eq.~2."
)


def cell(mean, error, decimals, mark):
    """Return "mean ± error" as LaTeX; an error of exactly 0 (a constant) is left out."""
    behind = rf"\,{{\tiny$\pm${number(error, decimals)}}}" if error else ""
    return number(mean, decimals, bold=mark).replace("-", "$-$") + behind


def comparison_table(compared, rows, columns, caption, label, replicates):
    """Return the comparison as LaTeX: a block a row of the paper's table, in it the printed line and one a setup."""
    values = compared.set_index(["setup", "row", "column"])
    blocks = []
    for title, _, printed in rows:
        lines = [
            [
                "printed",
                *(
                    "" if pd.isna(v := printed.get(c.name)) else number(float(v), c.decimals)
                    for c in columns
                ),
            ]
        ]
        for setup in compared.setup.unique():
            line = [escape(setup)]
            for column in columns:
                key = setup, title, column.name
                if key in values.index:
                    mean, error, _, differs, clearly = values.loc[key]
                    line.append(
                        cell(mean, error, column.decimals, differs)
                        + (r"$^\dagger$" if clearly else "")
                    )
                else:
                    line.append("")
            if any(line[1:]):
                lines.append(line)
        blocks.append((escape(title), lines))
    header = ["", *(column.head for column in columns)]
    captions = [
        f"{caption} {NOTE.format(count=replicates)}",
        f"{caption.partition(':')[0]}, continued.",
    ]
    parts = halves(blocks) if sum(len(lines) for _, lines in blocks) > MOST_LINES else [blocks]
    return "\n".join(
        wide_table(*given, header, part)
        for *given, part in zip(captions, (label, f"{label}b"), parts)
    )


def halves(blocks):
    """Split (title, lines) blocks into two lists of about as many lines."""
    lines = np.cumsum([1 + len(lines) for _, lines in blocks])
    middle = 1 + int(np.abs(lines - lines[-1] / 2).argmin())
    return [blocks[:middle], blocks[middle:]]


def decimals_of(errors, most):
    """Decimals that show two digits of the typical standard error, `most` at most, and `most` without errors."""
    error = errors.median()
    return min(most, max(0, 1 - math.floor(math.log10(error)))) if error > 0 else most


def table4(rows, labels, caption):
    """Return Table IV as LaTeX: a block a pair, the printed line and this run's; labels: {teacher: head}."""
    decimals = {
        c: decimals_of(rows.loc[rows["column"] == c, "standard_error"], most)
        for c, (*_, most) in COLUMNS.items()
    }
    values = rows.set_index([*PAIR, "column", "teacher"])
    blocks = []
    for pair, own in rows.groupby(PAIR, sort=False):
        printed, ours = ["printed"], ["this run"]
        for column in COLUMNS:
            for teacher in labels:
                value = values.loc[(*pair, column, teacher)]
                error = 0 if pd.isna(value["standard_error"]) else value["standard_error"]
                printed.append(
                    ""
                    if pd.isna(value["printed"])
                    else number(value["printed"], 3 if column == "cross_entropy" else 2)
                )
                ours.append(
                    ""
                    if pd.isna(value["mean"])
                    else cell(value["mean"], error, decimals[column], False)
                )
        title = f"{pair[1]}: {own['student'].iloc[0]} taught by {pair[0]}"
        blocks.append((escape(title), [line for line in (printed, ours) if any(line[1:])]))
    heads = [
        rf"{head}, {escape(label)}" for head, *_ in COLUMNS.values() for label in labels.values()
    ]
    return wide_table(caption, "tab:distillation", ["", *heads], blocks)
