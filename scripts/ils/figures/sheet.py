"""Many small plots on one bare canvas: an axes costs matplotlib more than all that is drawn in it.

Lengths are points (1/72 inch). y counts up from 0 at the top of the page, so it is negative
everywhere on it.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from ils.figures import style

GAP = 3.0  # between a mark and its text
ROW = 10.0  # from one line of text to the next
MARGIN = 2.0  # around everything
FRAME = {"color": "black", "linewidth": 0.5, "zorder": 3}
TICK = 1.5
HANDLE = 14.0  # the width of a sample in a legend


class Sheet:
    """Rectangles, lines and texts; all rectangles or lines of one look become one artist."""

    def __init__(self):
        self._rectangles: dict[tuple, list] = collections.defaultdict(list)
        self._lines: dict[tuple, list] = collections.defaultdict(list)
        self._points: list[tuple] = []
        self._texts: list[tuple] = []

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, **look: Any) -> None:
        self._rectangles[tuple(look.items())].append(((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    def line(self, *points: tuple[float, float], **look: Any) -> None:
        self._lines[tuple(look.items())].append(points)

    def frame(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """The outline of a plot."""
        self.line((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0), **FRAME)

    def point(self, x: float, y: float, **look: Any) -> None:
        self._points.append((x, y, {"linestyle": "none", "clip_on": False} | look))

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        if text:
            self._texts.append((x, y, text, look))

    def tick_below(self, x: float, y: float, number: str = "", **look: Any) -> None:
        """A tick on the lower edge of a plot."""
        self.line((x, y), (x, y - TICK), **FRAME)
        below = {"ha": "center", "va": "top", "size": style.SMALL}
        self.text(x, y - TICK - 1, number, **below | look)

    def tick_left(self, x: float, y: float, number: str = "") -> None:
        """A tick on the left edge of a plot."""
        self.line((x - TICK, y), (x, y), **FRAME)
        self.text(x - TICK - 1, y, number, ha="right", va="center_baseline", size=style.SMALL)

    def heading(self, text: str) -> None:
        """The figure's title, in the top left corner."""
        self.text(MARGIN, -MARGIN - style.SIZE / 2, text, va="center_baseline", color=style.GREY)

    @staticmethod
    def entry_width(text: str) -> float:
        """How wide an entry of a legend is, with the space after it."""
        return HANDLE + GAP + style.text_width(text) + 3 * GAP

    def legend(
        self, x: float, y: float, width: float, entries: Iterable[tuple[Mapping[str, Any], str]]
    ) -> float:
        """Place (sample, text) left to right, then in the next row; return the y below.

        `x`, `y`: top left corner.
        A sample is {"patch": look of a rectangle} or {"line": look}; the look of a line may have a
        marker, too.
        """
        start = x
        for sample, text in entries:
            if x > start and x + self.entry_width(text) > start + width:
                x, y = start, y - ROW
            middle = y - ROW / 2
            if "patch" in sample:
                self.rectangle(x, middle - 3, x + HANDLE, middle + 3, **sample["patch"])
            else:
                across = (x, x + HANDLE / 2, x + HANDLE)
                self._points.append((across, (middle,) * 3, {"markevery": [1]} | sample["line"]))
            self.text(x + HANDLE + GAP, middle, text, va="center_baseline")
            x += self.entry_width(text)
        return y - ROW

    def figure(self, width: float, height: float) -> Figure:
        """Return the matplotlib figure, whose only axes are bare.

        Call under `rc_context(style.RC)`.
        """
        figure, axes = style.canvas(width, height)
        axes.set_ylim(-height, 0)
        for look, corners in self._rectangles.items():
            collection = PolyCollection(corners, **dict(look))
            collection.set_hatch_linewidth(0.4)
            axes.add_collection(collection, autolim=False)
        for look, lines in self._lines.items():
            axes.add_collection(LineCollection(lines, **dict(look)), autolim=False)
        for x, y, look in self._points:
            axes.plot(x, y, **{"zorder": 4} | look)
        for x, y, text, look in self._texts:
            axes.text(x, y, text, **look)
        return figure


def rows_of(widths: Sequence[float], available: float, gap: float) -> list[list[int]]:
    """Break consecutive panels into rows no wider than `available`; return lists of indices."""
    rows: list[list[int]] = []
    used = available
    for index, width in enumerate(widths):
        if used + gap + width > available:
            rows.append([])
            used = -gap
        used += gap + width
        rows[-1].append(index)
    return rows
