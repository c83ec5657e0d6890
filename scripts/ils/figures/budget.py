"""What a search reaches against what it costs, one line a column."""

from collections.abc import Collection, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ils.figures import style
from ils.figures.sheet import MARGIN, ROW, Sheet
from ils.figures.training_curves import looks_of

HEIGHT = 190.0  # of a plot
LEFT = 40.0  # numbers and label beside it
BELOW = 26.0
SCALED = "+TempS"
PANELS = {"as trained": False, "with temperature scaling": True}  # whether columns are scaled
Looks = Mapping[str, Mapping[str, Any]]


def draw_columns(axes: Axes, table: pd.DataFrame, looks: Looks) -> None:
    """Draw the estimates of each column's rows, and where its line ends the interval."""
    axes.axhline(0, color=style.GREY, linewidth=0.5, zorder=1)
    for column, rows in table.groupby("column", sort=False):
        look = looks[str(column).removesuffix(SCALED)]
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

    Columns as trained are on the left, scaled ones on the right, on one scale; `controls` (columns)
    are dashed. reference: the column that all are compared with.
    """
    methods = dict.fromkeys(name.removesuffix(SCALED) for name in table["column"])
    dashed = {name.removesuffix(SCALED) for name in controls}
    looks = {
        method: look | {"linestyle": "--" if method in dashed else "-"}
        for method, look in looks_of(methods).items()
    }
    sheet, top, width = Sheet(), 2.6 * ROW, float(style.PAGE)
    sheet.heading(f"Expected test cross-entropy less that of {reference}, estimate over datasets")
    entries = [({"line": look}, method) for method, look in looks.items()]
    y = sheet.legend(LEFT, -top - HEIGHT - BELOW, width - LEFT, entries)
    note = "dashed: controls; a bar: 95 % interval over datasets, where there are six or more"
    sheet.text(LEFT, y - ROW / 2, note, va="center_baseline", color=style.GREY)
    height, most = ROW - y + MARGIN, int(table["trainings"].max())
    plot = (width - LEFT - 12) / 2
    lefts = [LEFT + place * (plot + 8) for place in range(2)]
    for left, title in zip(lefts, PANELS):
        sheet.text(left, -top + ROW / 2, title, va="center_baseline")
    figure, first = sheet.figure(width, height), None
    of_scaled = table["column"].str.endswith(SCALED)
    for left, scaled in zip(lefts, PANELS.values()):
        box = (left / width, 1 - (top + HEIGHT) / height, plot / width, HEIGHT / height)
        axes = figure.add_axes(box, sharey=first)
        draw_columns(axes, table[of_scaled == scaled], looks)
        set_axes(axes, most)
        axes.tick_params(labelleft=first is None)
        first = first or axes
    return figure
