"""Training loss and validation cross-entropy against epochs, one line a method."""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ils.figures import style
from ils.figures.sheet import MARGIN, ROW, Sheet

HEIGHT = 150.0  # of a plot
LEFT = 36.0  # numbers and label beside it
BELOW = 24.0
LINEAR = 3.0  # a range whose ends differ by a smaller factor is shown on a linear axis


class Curves(NamedTuple):
    """The selected student of each seed: (seeds, epochs), NaN after an early stop; best epochs.

    These count from 1.
    """

    train_loss: np.ndarray
    validation_ce: np.ndarray
    best_epochs: Sequence[int]


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """The mean over the seeds that still train, (epochs,); NaN when none does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)


def set_scale(axes: Axes, values: np.ndarray) -> None:
    """Give a plot a log axis with ordinary numbers.

    It is linear where the values are close to each other or reach 0.
    """
    low, high = np.nanmin(values), np.nanmax(values)
    if low <= 0 or high < LINEAR * low:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def looks_of(columns: Iterable[str], controls: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Lines with markers as `style.line_looks` has them, thin."""
    thin = {"linewidth": 0.9, "markersize": 3.5, "markeredgewidth": 0.5, "markeredgecolor": "black"}
    return {column: thin | look for column, look in style.line_looks(columns, controls).items()}


def draw_lines(
    axes: Axes,
    means: Mapping[str, np.ndarray],
    methods: Mapping[str, Curves],
    looks: Mapping[str, Mapping[str, Any]],
) -> None:
    """Draw the lines {method: (epochs,)}, a marker at each seed's best epoch."""
    for method, values in means.items():
        marked = sorted({epoch - 1 for epoch in methods[method].best_epochs})
        axes.plot(np.arange(1, len(values) + 1), values, markevery=marked, **looks[method])
    axes.set_xlabel("epoch", labelpad=2)
    axes.tick_params(labelsize=style.SMALL, width=0.5, length=2, pad=2)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


@mpl.rc_context(style.RC | {"axes.linewidth": 0.5})
def draw(methods: Mapping[str, Curves], title: str) -> Figure:
    """Return the figure of {method: `Curves`}, a line each.

    Training loss is on the left, validation cross-entropy on the right.
    """
    looks, sheet = looks_of(methods), Sheet()
    sheet.heading(title)
    top = 1.6 * ROW
    entries = [({"line": look}, method) for method, look in looks.items()]
    texts = [style.text_width(title) + 2 * MARGIN, *map(Sheet.entry_width, methods)]
    width = max([style.PAGE, *texts])
    y = sheet.legend(LEFT, -top - HEIGHT - BELOW, width - LEFT, entries)
    note = "a marker: the best epoch of a seed"
    sheet.text(LEFT, y - ROW / 2, note, va="center_baseline", color=style.GREY)
    height = ROW - y + MARGIN
    figure = sheet.figure(width, height)
    for place, name, label in (
        (0, "train_loss", "training loss"),
        (1, "validation_ce", "validation cross-entropy"),
    ):
        box = (
            (LEFT + place * width / 2) / width,
            1 - (top + HEIGHT) / height,
            (width / 2 - LEFT - 4) / width,
            HEIGHT / height,
        )
        axes = figure.add_axes(box)
        means = {
            method: mean_over_seeds(getattr(curves, name)) for method, curves in methods.items()
        }
        set_scale(axes, np.concatenate(list(means.values())))
        draw_lines(axes, means, methods, looks)
        axes.set_ylabel(label, labelpad=2)
    return figure
