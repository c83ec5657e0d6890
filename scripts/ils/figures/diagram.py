"""The critical-difference diagram of Demsar (2006): where everything goes, and drawing it there.

All lengths are points (1/72 inch) from the bottom left. Methods that a bar joins do not differ
significantly.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from ils.figures import style
from ils.statistics.ranks import cliques

ROW = 10.0  # between two method labels
BAR_STEP = 4.5  # between two clique bars
# a bar reaches this far past its outer methods, to show equal ranks too, but never to an outsider
OVERHANG = 2.0
TICK = 3.0
GAP = 3.0  # between a line and the text at its end
MARGIN = 1.0  # around everything
RANK_STEP = 9.0  # the least distance of two ranks on the axis: their two-digit numbers fit


class Label(NamedTuple):
    """A method's text ending at (x, y), joined by a line of a `colour` to its average rank.

    That is at `x_rank` on the axis.
    """

    method: str
    text: str
    x: float
    y: float
    x_rank: float
    align: str
    colour: str


class Bar(NamedTuple):
    """A horizontal line."""

    x0: float
    x1: float
    y: float


class Layout(NamedTuple):
    """Positions of all parts of a diagram."""

    width: float
    height: float
    title: tuple[str, float, float]  # text, x, y
    ruler: Bar
    ruler_text: str
    axis: Bar
    ticks: list[tuple[float, int]]  # (x, number)
    bars: list[Bar]
    labels: list[Label]


def stack(intervals: Iterable[tuple[float, float]]) -> list[int]:
    """Return a level for each (x0, x1), in order of x0: the first on which it clears the others."""
    ends: list[float] = []
    levels: list[int] = []
    for x0, x1 in intervals:
        level = next((i for i, end in enumerate(ends) if x0 > end + GAP), len(ends))
        ends[level : level + 1] = [x1]
        levels.append(level)
    return levels


def span(
    ordered: pd.Series, clique: Sequence[str], x_of: Callable[[float], float]
) -> tuple[float, float]:
    """Return (x0, x1) of a clique's bar, which stays clear of the methods outside."""
    best, worst = x_of(ordered[clique[0]]), x_of(ordered[clique[-1]])
    outside = [x_of(rank) for rank in ordered.drop(clique)]
    distances = [min(abs(x - best), abs(x - worst)) for x in outside]
    overhang = min([OVERHANG, *(distance / 2 for distance in distances)])
    return best - overhang, worst + overhang


def layout(average_ranks: pd.Series, cd: float, title: str) -> Layout:
    """Place the diagram of `average_ranks`, a Series by method in the study's order, two or more.

    Rank 1 is on the left. The better half is labelled on the left, the outermost method highest, so
    that no two lines cross. The diagram is one column wide; long names or a CD far beyond the worst
    rank make it wider, never smaller.
    `cd`: the critical difference.
    """
    ordered = average_ranks.sort_values(kind="stable")
    k = len(ordered)
    half = (k + 1) // 2
    left_texts = [f"{method}  {rank:.2f}" for method, rank in ordered.iloc[:half].items()]
    right_texts = [f"{rank:.2f}  {method}" for method, rank in ordered.iloc[half:].items()][::-1]
    left, right = (
        MARGIN + max(map(style.text_width, texts)) + 2 * GAP for texts in (left_texts, right_texts)
    )
    step = max((style.COLUMN - left - right) / (k - 1), RANK_STEP)
    end = left + step * (k - 1)

    def x_of(rank):
        return left + step * (rank - 1)

    spans = [span(ordered, clique, x_of) for clique in cliques(ordered, cd)]
    levels = stack(spans)

    first_bar = MARGIN + ROW * half + BAR_STEP * max(levels, default=-1)
    axis_y = first_bar + BAR_STEP + 2
    ruler_y = axis_y + TICK + GAP + style.SMALL + 2 * GAP
    title_y = ruler_y + 2 * GAP + 2 * style.SIZE
    label_top = MARGIN + ROW * (half - 0.5)

    placed, looks = [], style.line_looks(average_ranks.index)
    for texts, ranks, x, align in (
        (left_texts, ordered.iloc[:half], left - 2 * GAP, "right"),
        (right_texts, ordered.iloc[half:][::-1], end + 2 * GAP, "left"),
    ):
        for row, (text, (method, rank)) in enumerate(zip(texts, ranks.items())):
            y, colour = label_top - ROW * row, looks[method]["color"]
            placed.append(Label(method, text, x, y, x_of(rank), align, colour))

    return Layout(
        width=max(end + right, left + step * cd + MARGIN, left + style.text_width(title) + MARGIN),
        height=title_y + style.SIZE,
        title=(title, left, title_y),
        ruler=Bar(left, left + step * cd, ruler_y),
        ruler_text=f"CD = {cd:.2f}",
        axis=Bar(left, end, axis_y),
        ticks=[(x_of(number), number) for number in range(1, k + 1)],
        bars=[Bar(x0, x1, first_bar - BAR_STEP * level) for (x0, x1), level in zip(spans, levels)],
        labels=placed,
    )


@mpl.rc_context(style.RC)
def draw(plan: Layout) -> Figure:
    """Return the matplotlib figure of a Layout."""
    figure, axes = style.canvas(plan.width, plan.height)
    thin: dict[str, Any] = {"color": "black", "linewidth": 0.7, "solid_capstyle": "projecting"}

    text, x, y = plan.title
    axes.text(x, y, text, va="center", color=style.GREY)

    ruler = plan.ruler
    axes.plot([ruler.x0, ruler.x1], [ruler.y, ruler.y], **thin)
    for x in (ruler.x0, ruler.x1):
        axes.plot([x, x], [ruler.y - TICK, ruler.y + TICK], **thin)
    axes.text(
        (ruler.x0 + ruler.x1) / 2, ruler.y + TICK + 1, plan.ruler_text, ha="center", va="bottom"
    )

    axis = plan.axis
    axes.plot([axis.x0, axis.x1], [axis.y, axis.y], **thin)
    for x, number in plan.ticks:
        axes.plot([x, x], [axis.y, axis.y + TICK], **thin)
        axes.text(x, axis.y + TICK + 1, str(number), ha="center", va="bottom", fontsize=style.SMALL)

    # the lowest first: where ranks tie, each shows until its line turns off
    for label in plan.labels[::-1]:
        line_end = label.x + (GAP if label.align == "right" else -GAP)
        points = [label.x_rank, label.x_rank, line_end], [axis.y, label.y, label.y]
        axes.plot(*points, color=label.colour, linewidth=1.0, solid_joinstyle="miter")
        axes.text(label.x, label.y, label.text, ha=label.align, va="center_baseline")

    for bar in plan.bars:
        axes.plot(
            [bar.x0, bar.x1],
            [bar.y, bar.y],
            color="black",
            linewidth=2.4,
            solid_capstyle="butt",
            zorder=3,
        )
    return figure
