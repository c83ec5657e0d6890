"""What a search reaches against what it costs, one line a column."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ils.columns import parts
from ils.figures import style
from ils.figures.sheet import MARGIN, ROW, Sheet
from ils.figures.training_curves import looks_of

HEIGHT = 190.0  # of a plot
LEFT = 40.0  # numbers and label beside it
BELOW = 26.0
ACROSS = 2  # plots in a row
Looks = Mapping[str, Mapping[str, Any]]


def draw_columns(axes: Axes, table: pd.DataFrame, looks: Looks) -> None:
    """Draw the estimates of each column's rows, and where its line ends the interval."""
    axes.axhline(0, color=style.GREY, linewidth=0.5, zorder=1)
    for column, rows in table.groupby("column", sort=False):
        look = looks[str(column)]
        axes.plot(rows["trainings"], rows["estimate"], **look)
        end = rows.iloc[-1]
        if np.isfinite([end["low"], end["high"]]).all():
            at = 2 * [end["trainings"]]
            axes.plot(at, end[["low", "high"]], color=look["color"], linewidth=0.4, zorder=1.5)


def set_axes(axes: Axes, most: int) -> None:
    """Count up to so many trainings in powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.85, 1.18 * most)
    axes.xaxis.set_major_locator(FixedLocator([2**n for n in range(most.bit_length())]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(labelsize=style.SMALL, width=0.5, length=2, pad=2)
    axes.set_xlabel("trainings, with those that a method needs first", labelpad=2)


@mpl.rc_context(style.RC | {"axes.linewidth": 0.5})
def draw(table: pd.DataFrame, controls: Collection[str], reference: str) -> Figure:
    """Return the figure of the cross-entropy's rows of results/budget.csv.

    Columns as trained are in the first plot, those of each calibrator in one of their own, on one
    scale; `controls` (columns) are dashed. reference: the column that all are compared with.
    """
    columns = list(table["column"].unique())
    looks = {
        column: look | {"linestyle": "--" if column in controls else "-"}
        for column, look in looks_of(columns, controls).items()
    }
    labels = dict.fromkeys(["", *(parts(column)[1] for column in columns)])
    sheet, top, width = Sheet(), 2.6 * ROW, float(style.PAGE)
    down = HEIGHT + BELOW + ROW  # from one row of plots to the next
    rows = -(-len(labels) // ACROSS)
    sheet.heading(f"Expected test cross-entropy less that of {reference}, estimate over datasets")
    of_methods = {parts(column)[0]: looks[column] for column in columns}
    entries = [({"line": look}, method) for method, look in of_methods.items()]
    y = sheet.legend(LEFT, ROW - top - rows * down, width - LEFT, entries)
    note = "dashed: controls; a bar: 95 % interval over datasets, where there are six or more"
    sheet.text(LEFT, y - ROW / 2, note, va="center_baseline", color=style.GREY)
    height, most = ROW - y + MARGIN, math.ceil(table["trainings"].max())
    plot = (width - LEFT - 12) / ACROSS
    corners = {}
    for place, label in enumerate(labels):
        row, column = divmod(place, ACROSS)
        left, head = LEFT + column * (plot + 8), -top - row * down
        title = f"calibrated by {label}" if label else "as trained"
        sheet.text(left, head + ROW / 2, title, va="center_baseline")
        corners[label] = left, head - HEIGHT
    figure, first = sheet.figure(width, height), None
    calibrators = table["column"].map(lambda column: parts(column)[1])
    for label, (left, bottom) in corners.items():
        box = (left / width, 1 + bottom / height, plot / width, HEIGHT / height)
        axes = figure.add_axes(box, sharey=first)
        draw_columns(axes, table[calibrators == label], looks)
        set_axes(axes, most)
        axes.tick_params(labelleft=left == LEFT)
        first = first or axes
    return figure
