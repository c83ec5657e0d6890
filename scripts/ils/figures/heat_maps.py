"""Validation cross-entropy over the grids of all methods of a pair, on one colour scale."""

import collections
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ils.figures import style
from ils.figures.grids import Panel
from ils.figures.sheet import GAP, MARGIN, ROW, Sheet, rows_of

CMAP = mpl.colormaps["viridis"]
WIDE, HIGH = 66.0, 60.0  # what a panel aims at
CELL_WIDTH, CELL_HEIGHT = (8.0, 26.0), (11.0, 18.0)  # the narrowest and the widest cell
BETWEEN = 10.0
SCALE = 130.0  # width of the colour scale
DIVERGED: dict[str, Any] = {
    "facecolor": "white",
    "edgecolor": "#888888",
    "hatch": 5 * "x",
    "linewidth": 0.4,
}
MARK: dict[str, Any] = {
    "markersize": 7,
    "markeredgewidth": 0.6,
    "markerfacecolor": "white",
    "markeredgecolor": "black",
}
# The student that each seed chose: as trained (""), together with a calibrator, by its label.
Chosen = Mapping[str, Sequence[int]]
SHAPES = "os^Dvp"  # as trained, with the first calibrator, the second, ...


def lowest(curves: np.ndarray, failed: np.ndarray) -> np.ndarray:
    """Each student's best validation cross-entropy over the epochs, (G,); NaN where it diverged.

    `curves` (..., G, epochs), NaN after an early stop or a lost race; `failed` (..., G) bool.
    """
    return np.where(failed, np.nan, np.fmin.reduce(curves, axis=-1))


class Map:
    """One panel with its sizes in points; values (ny, nx)."""

    def __init__(self, panel: Panel, values: np.ndarray):
        self.panel, self.values = panel, values
        rows, columns = values.shape
        self.cell = np.clip(WIDE / columns, *CELL_WIDTH)
        self.row = np.clip(HIGH / rows, *CELL_HEIGHT)
        self.size = columns * self.cell, rows * self.row
        self.numbers = [
            [("" if v is None else f"{v:g}") for v in axis[1]] for axis in (panel.x, panel.y)
        ]
        widest = [
            max(style.text_width(number, style.SMALL) for number in numbers)
            for numbers in self.numbers
        ]
        self.upright = widest[0] > self.cell - 3
        self.left = widest[1] + GAP + (ROW if panel.y[0] else 0)
        self.below = (widest[0] if self.upright else style.SMALL) + 1.8 * GAP + 0.8 * ROW
        self.width = self.left + max(self.size[0], style.text_width(panel.title))
        self.height = 1.3 * ROW + self.size[1] + self.below

    def corner(self, x: float, y: float, row: int, column: int) -> tuple[float, float]:
        """Bottom left corner of a cell of the map whose top left corner is (x, y)."""
        return x + self.left + column * self.cell, y - 1.3 * ROW - self.size[1] + row * self.row

    def draw(self, sheet: Sheet, x: float, y: float, norm: PowerNorm | None) -> None:
        """Draw the map, from its top left corner (x, y) down."""
        sheet.text(x + self.left, y - ROW / 2, self.panel.title, va="center_baseline")
        for (row, column), value in np.ndenumerate(self.values):
            x0, y0 = self.corner(x, y, row, column)
            look = DIVERGED
            if norm and not math.isnan(value):
                look = {"facecolor": mpl.colors.to_hex(CMAP(norm(value))), "linewidth": 0}
            sheet.rectangle(x0, y0, x0 + self.cell, y0 + self.row, **look)
        left, bottom = self.corner(x, y, 0, 0)
        sheet.frame(left, bottom, left + self.size[0], bottom + self.size[1])
        rotation = 90 if self.upright else 0
        for column, number in enumerate(self.numbers[0]):
            x_tick = left + (column + 0.5) * self.cell
            sheet.tick_below(x_tick, bottom, number, rotation=rotation)
        for row, number in enumerate(self.numbers[1]):
            if number:
                sheet.tick_left(left, bottom + (row + 0.5) * self.row, number)
        name, at = self.panel.x[0], (left + self.size[0] / 2, bottom - self.below + 0.4 * ROW)
        sheet.text(*at, name, ha="center", va="center_baseline")
        name, at = self.panel.y[0], (x + style.SIZE / 2, bottom + self.size[1] / 2)
        sheet.text(*at, name, ha="center", va="center", rotation=90)

    def mark(
        self,
        sheet: Sheet,
        x: float,
        y: float,
        chosen: Chosen,
        shapes: Mapping[str, str],
        seeds: int,
    ) -> None:
        """Mark the chosen students, with how many of several seeds chose each."""
        size, apart = (7, 4) if len(chosen) <= 2 else (14 / len(chosen), 6)
        look = MARK | {"markersize": size}
        number: dict[str, Any] = {"ha": "center", "va": "center_baseline", "zorder": 5}
        number["size"] = min(5, size)
        shifts = np.linspace(-apart, apart, len(chosen)) if len(chosen) > 1 else [0]
        for shift, (way, students) in zip(shifts, chosen.items()):
            places = collections.Counter(place for place in map(self.panel.find, students) if place)
            for place, count in places.items():
                x0, y0 = self.corner(x, y, *place)
                right, up = (0, -shift) if self.row > self.cell else (shift, 0)
                middle = x0 + self.cell / 2 + right, y0 + self.row / 2 + up
                sheet.point(*middle, marker=shapes[way], **look)
                if seeds > 1:
                    sheet.text(*middle, str(count), **number)


def distinct(values: Sequence[float]) -> list[str]:
    """Different values as text, with as few digits as tell them apart, at least three."""
    rounded = ([f"{value:.{digits}g}" for value in values] for digits in range(3, 18))
    return next(texts for texts in rounded if len(set(texts)) == len(values))


def scale(sheet: Sheet, x: float, y: float, norm: PowerNorm) -> None:
    """Draw the colour scale with numbers below, from its top left corner."""
    step = SCALE / 64
    for n in range(64):
        shade = mpl.colors.to_hex(CMAP((n + 0.5) / 64))
        look = {"facecolor": shade, "edgecolor": shade, "linewidth": 0.3}
        sheet.rectangle(x + n * step, y - 8, x + (n + 1) * step, y, **look)
    sheet.frame(x, y - 8, x + SCALE, y)
    shares = (0, 0.25, 0.5, 0.75, 1)
    for share, number in zip(shares, distinct([float(norm.inverse(share)) for share in shares])):
        sheet.tick_below(x + share * SCALE, y - 8, number)
    words = "best validation cross-entropy: one scale for all panels, finer near the best"
    sheet.text(x + SCALE + 3 * GAP, y - 4, words, va="center_baseline")


def rows_of_maps(groups: Sequence[list[tuple[Map, Chosen]]]) -> list[list[tuple[Map, Chosen]]]:
    """Break groups of maps into rows that fit the page.

    A group stays together where it fits into one row.
    """
    available, rows = style.PAGE - 2 * MARGIN, []
    group_widths = [
        sum(drawn.width for drawn, _ in group) + BETWEEN * (len(group) - 1) for group in groups
    ]
    for indices in rows_of(group_widths, available, BETWEEN):
        maps = [drawn for index in indices for drawn in groups[index]]
        widths = [drawn.width for drawn, _ in maps]
        rows += [[maps[i] for i in row] for row in rows_of(widths, available, BETWEEN)]
    return rows


def shapes_of(maps: Sequence[tuple[Map, Chosen]]) -> dict[str, str]:
    """The marker of each way in which students are chosen, the first ones in a legend's order."""
    ways = dict.fromkeys(["", *(way for _, chosen in maps for way in chosen)])
    return dict(zip(ways, itertools.cycle(SHAPES)))


def legend(
    shapes: Mapping[str, str], seeds: int, diverged: bool
) -> list[tuple[dict[str, Any], str]]:
    """The samples and texts of `Sheet.legend`."""
    point = {"color": "none", "linewidth": 0} | MARK
    number = ", the number says by how many seeds" if seeds > 1 else ""
    entries = [
        (
            {"line": point | {"marker": shape}},
            f"selected with {way}" if way else f"selected{number}",
        )
        for way, shape in shapes.items()
    ]
    if diverged:
        entries.append(({"patch": DIVERGED}, "diverged" + " with at least one seed" * (seeds > 1)))
    return entries


def norm_of(maps: Sequence[Map]) -> PowerNorm | None:
    """The colour scale of all maps, finer near the best, where students are chosen.

    None where no student trained.
    """
    finite = [value for drawn in maps for value in drawn.values.ravel() if math.isfinite(value)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    return PowerNorm(0.5, low, max(high, 1.01 * low, low + 1e-6))


@mpl.rc_context(style.RC)
def draw(
    methods: Sequence[tuple[Sequence[Panel], np.ndarray, Chosen]], seeds: int, title: str
) -> Figure:
    """Return the figure of all grids of a pair.

    methods: a list of (panels of `grids.arrange`, best cross-entropy (G,) with NaN for a diverged
    student, `Chosen`); seeds: their number.
    """
    sheet = Sheet()
    sheet.heading(title)
    groups = [
        [(Map(panel, panel.values(ce)), chosen) for panel in panels]
        for panels, ce, chosen in methods
        if panels
    ]
    maps = [drawn for group in groups for drawn in group]
    heading = style.text_width(title) + 2 * MARGIN
    y, width = -1.6 * ROW, max(3.5 * SCALE, heading)
    if not maps:
        note = "no method has a grid of two or more points"
        sheet.text(MARGIN, y - ROW / 2, note, va="center_baseline")
        return sheet.figure(width, 3 * ROW)
    norm, shapes = norm_of([drawn for drawn, _ in maps]), shapes_of(maps)
    for row in rows_of_maps(groups):
        x = MARGIN
        for drawn, chosen in row:
            drawn.draw(sheet, x, y, norm)
            drawn.mark(sheet, x, y, chosen, shapes, seeds)
            x += drawn.width + BETWEEN
            width = max(width, x - BETWEEN + MARGIN)
        y -= max(drawn.height for drawn, _ in row) + GAP
    if norm:
        scale(sheet, MARGIN + 4 * GAP, y - GAP, norm)
        y -= 2.6 * ROW
    diverged = not all(np.isfinite(drawn.values).all() for drawn, _ in maps)
    entries = legend(shapes, seeds, diverged)
    width = max([width, *(Sheet.entry_width(text) + 4 * GAP for _, text in entries)])
    bottom = sheet.legend(MARGIN + 4 * GAP, y, width - 6 * GAP, entries)
    return sheet.figure(width, MARGIN - bottom)
