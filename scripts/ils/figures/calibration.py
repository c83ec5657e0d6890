"""Reliability diagrams: what came true against what was predicted.

Below stands how many predictions that rests on.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ils.evaluation.metrics import BINS
from ils.evaluation.reliability import Bins, Consistency
from ils.figures import style
from ils.figures.sheet import GAP, MARGIN, ROW, Sheet, rows_of

SIDE = 69.0  # of the square plot
COUNTS = 25.0  # height of the counts below
APART = 6.0  # the diagram and its counts
BETWEEN = 4.0  # panels
HEAD = 2.7 * ROW  # the three lines above a panel
DOWN = HEAD + SIDE + APART + COUNTS + 1.4 * ROW  # from row to row
LEFT = 34.0  # left of the first panel: numbers and labels
LOWEST = -0.4  # log10 where the bars of counts start, below a count of 1
EDGE: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.4, "zorder": 1.5}
BELOW: dict[str, Any] = {"facecolor": "white", "hatch": 6 * "/"}
DIAGONAL: dict[str, Any] = {"color": "black", "linewidth": 0.6, "linestyle": "--", "zorder": 2.5}
BAR: dict[str, Any] = {"facecolor": "#999999", "edgecolor": "white", "linewidth": 0.3}
SPREAD: dict[str, Any] = {"color": "black", "linewidth": 0.6, "zorder": 2}
BAND: dict[str, Any] = {"facecolor": "#444444", "linewidth": 0, "alpha": 0.4, "zorder": 1.2}


class Words(NamedTuple):
    """What a diagram of Eq. 1 or of Eq. 2 calls its parts."""

    metric: str
    x: str
    y: str
    above: str
    below: str
    line: str


EQUATIONS = {
    "reliability": Words(
        "ECE",
        "confidence: probability of the predicted class",
        "accuracy",
        "gap, underconfident",
        "gap, overconfident",
        "accuracy = confidence",
    ),
    "classwise": Words(
        "cwECE",
        "predicted probability of a class",
        "frequency",
        "gap, probabilities too low",
        "gap, probabilities too high",
        "frequency = probability",
    ),
}


def superscript(power: int) -> str:
    """10 to a whole power as text."""
    raised = str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{10**power}" if power < 2 else f"10{raised}"


def draw_bins(sheet: Sheet, x: float, y: float, bins: Bins, shade: str) -> None:
    """Draw the bars of one panel, whose bottom left corner is (x, y).

    A bar shows what came true in its bin, and the gap to what was predicted.
    """
    pooled, spread = bins.pooled(), bins.mean_gap()
    light = style.tint(shade, 0.6)
    for n in np.flatnonzero(pooled.count):
        predicted, actual = pooled.predicted[n] * SIDE, pooled.actual[n] * SIDE
        x0, x1 = x + SIDE * n / BINS, x + SIDE * (n + 1) / BINS
        low, high = sorted((predicted, actual))
        sheet.rectangle(x0, y, x1, y + low, facecolor=light, linewidth=0)
        gap = {"facecolor": shade} if actual > predicted else BELOW
        sheet.rectangle(x0, y + low, x1, y + high, **gap, **EDGE)
        if len(bins.count) > 1:
            middle = (x0 + x1) / 2
            end = predicted + math.copysign(spread[n] * SIDE, actual - predicted)
            sheet.line((middle, y + predicted), (middle, y + np.clip(end, 0, SIDE)), **SPREAD)


def draw_band(sheet: Sheet, x: float, y: float, consistency: Consistency) -> None:
    """Shade where each bin's share would be were the predictions true; (x, y) as in `draw_bins`."""
    for n in np.flatnonzero(np.isfinite(consistency.low)):
        low, high = y + SIDE * consistency.low[n], y + SIDE * consistency.high[n]
        sheet.rectangle(x + SIDE * n / BINS, low, x + SIDE * (n + 1) / BINS, high, **BAND)


def height_of(count: float, most: float) -> float:
    """How high the bar of a count is, on a log scale on which `most` nearly fills the frame."""
    return COUNTS * (math.log10(count) - LOWEST) / (math.log10(most) - 1.5 * LOWEST)


def draw_counts(sheet: Sheet, x: float, y: float, counts: np.ndarray, most: float) -> None:
    """Draw the number of predictions per bin; (x, y) is the bottom left corner."""
    for n in np.flatnonzero(counts):
        height = height_of(counts[n], most)
        sheet.rectangle(x + SIDE * n / BINS, y, x + SIDE * (n + 1) / BINS, y + height, **BAR)


def count_ticks(most: float) -> Sequence[int]:
    """Powers of ten up to `most`, at most three."""
    powers = range(math.floor(math.log10(most)) + 1)
    return powers[:: math.ceil(len(powers) / 3)]


def draw_panel(
    sheet: Sheet,
    x: float,
    y: float,
    bins: Bins,
    consistency: Consistency,
    shade: str,
    most: float,
    words: Words,
    leftmost: bool,
) -> None:
    """Draw a panel without its heading, from its top left corner (x, y) down.

    That is diagram, counts and ticks, and labels if `leftmost`; `most`: the highest count of all.
    """
    y, below = y - SIDE, y - SIDE - APART - COUNTS
    draw_bins(sheet, x, y, bins, shade)
    draw_band(sheet, x, y, consistency)
    draw_counts(sheet, x, below, bins.pooled().count, most)
    sheet.line((x, y), (x + SIDE, y + SIDE), **DIAGONAL)
    for bottom, height in ((y, SIDE), (below, COUNTS)):
        sheet.frame(x, bottom, x + SIDE, bottom + height)
    for share, number in ((0, "0"), (0.5, "0.5"), (1, "1")):
        sheet.tick_below(x + share * SIDE, below, number)
        sheet.tick_below(x + share * SIDE, y)
        sheet.tick_left(x, y + share * SIDE, number if leftmost else "")
    for power in count_ticks(most):
        sheet.tick_left(
            x, below + height_of(10**power, most), superscript(power) if leftmost else ""
        )
    if leftmost:
        upright = {"ha": "center", "va": "center", "rotation": 90}
        for middle, label in ((y + SIDE / 2, words.y), (below + COUNTS / 2, "count")):
            sheet.text(MARGIN + style.SIZE / 2, middle, label, **upright)


def legend(words: Words, classwise: bool) -> list[tuple[dict[str, Any], str]]:
    """The samples and texts of `Sheet.legend`."""
    light = {"facecolor": style.tint(style.GREY, 0.6), "linewidth": 0}
    entries = [
        ({"patch": light}, words.y),
        ({"patch": BELOW | EDGE}, words.below),
        ({"patch": {"facecolor": style.GREY} | EDGE}, words.above),
        ({"line": DIAGONAL}, words.line),
        ({"patch": BAND}, "90 % of draws if calibrated"),
    ]
    return entries + [({"line": SPREAD}, "mean gap of single classes")] * classwise


def noise_text(consistency: Consistency) -> str:
    """The floor of a panel's error and the p of being calibrated."""
    p = f"p = {consistency.p:.2f}" if consistency.p >= 0.01 else "p < 0.01"
    return f"(floor {consistency.floor:.3f}, {p})"


@mpl.rc_context(style.RC)
def draw(columns: Mapping[str, tuple[Bins, Consistency]], kind: str, title: str) -> Figure:
    """Return the figure of {column: (its bins, their consistency)}, one panel each.

    `kind`: "reliability" (Eq. 1) or "classwise" (Eq. 2).
    """
    words, sheet = EQUATIONS[kind], Sheet()
    entries = legend(words, kind == "classwise")
    panel = max(SIDE + 2 * GAP, *map(style.text_width, columns))
    rows = rows_of([panel] * len(columns), style.PAGE - LEFT - MARGIN, BETWEEN)
    across = math.ceil(len(columns) / len(rows))  # as many in each row
    widths = [LEFT + Sheet.entry_width(text) for _, text in entries]
    widths += [LEFT + across * (panel + BETWEEN), style.text_width(title) + 2 * MARGIN]
    width = max(widths)
    most = max(10, *(bins.pooled().count.max() for bins, _ in columns.values()))
    sheet.heading(title)
    looks = style.line_looks(columns)
    for index, (name, (bins, consistency)) in enumerate(columns.items()):
        row, place = divmod(index, across)
        x, y = LEFT + place * (panel + BETWEEN), -2 * ROW - row * DOWN
        sheet.text(x, y - ROW / 2, name, va="center_baseline")
        error = f"{words.metric} {bins.error:.4f}"
        for line, text in ((1.4, error), (2.15, noise_text(consistency))):
            sheet.text(x, y - line * ROW, text, va="center_baseline", size=style.SMALL)
        shade, leftmost = looks[name]["color"], place == 0
        draw_panel(sheet, x, y - HEAD, bins, consistency, shade, most, words, leftmost)
    y = -2 * ROW - len(rows) * DOWN
    sheet.text(LEFT, y, words.x, va="center_baseline")
    bottom = sheet.legend(LEFT, y - ROW, width - LEFT, entries)
    return sheet.figure(width, MARGIN - bottom)
