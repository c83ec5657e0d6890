"""What a run decides, to be seen at a glance: gains with their intervals, and claims."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ils.figures import style
from ils.plan.metrics import Metric

SHADES = {
    "better": "#117733",
    "worse": "#CC3311",
    "practically equivalent": "#0077BB",
    "undecided": style.GREY,
}
PARTS = {  # of a claim's bar, and the colour of the verdict that they lead to
    "as_claimed": ("as claimed", SHADES["better"]),
    "equivalent": ("practically equivalent", SHADES["practically equivalent"]),
    "undecided": ("undecided", "#CCCCCC"),
    "opposite": ("the opposite", SHADES["worse"]),
}
VERDICTS = {"holds": "better", "fails": "worse"}
ROW, HEAD, FOOT = 11.0, 18.0, 26.0  # heights in points
GAP = 4.0  # beside a label
LABELS, WORDS = 188.0, 122.0  # widths left and right of a plot; longer labels take more


def panels(
    heights: Sequence[float], foot: float, labels: Iterable[str]
) -> tuple[Figure, list[Axes]]:
    """A page-wide figure of plots of these heights in points, one below the other, with room for
    the labels on their left."""
    widest = max((style.text_width(label) for label in labels), default=0)
    left = max(LABELS, widest + 2 * GAP) / style.PAGE
    total = sum(heights) + len(heights) * (HEAD + foot)
    figure, top, axes = Figure(figsize=(style.PAGE / 72, total / 72)), total, []
    for height in heights:
        top -= HEAD + height
        width = 1 - left - WORDS / style.PAGE
        axes.append(figure.add_axes((left, top / total, width, height / total)))
        top -= foot
    for ax in axes:
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(left=False, labelsize=style.SMALL, length=2, width=0.5)
        ax.spines["bottom"].set_linewidth(0.5)
    return figure, axes


def compared(row: Any) -> str:
    """What a row of the forest plot compares."""
    budget = "" if np.isnan(row.trainings) else f", {row.trainings:g} trainings"
    return f"{row.better} over {row.worse}{budget}"


def forest(comparisons: pd.DataFrame, metrics: Sequence[Metric]) -> Figure:
    """The headline pairs: a panel a metric, a row a pair, those at an equal budget behind.

    comparisons: rows of decide.py, those that are shown, with the `gains` (n,) of each dataset;
    metrics: in the order of the panels. The ROPE is shaded, a tick is a dataset, the thick line the
    90 % interval and the thin one the 95 % interval. Ticks beyond the panel lie on its edge.
    """
    shown = [comparisons[comparisons["metric"] == metric.name] for metric in metrics]
    with mpl.rc_context(style.RC):
        labels = [compared(row) for rows in shown for row in rows.itertuples()]
        figure, axes = panels([ROW * len(rows) for rows in shown], FOOT, labels)
        for ax, rows, metric in zip(axes, shown, metrics):
            factor, unit = metric.factor, f" ({metric.unit})" * bool(metric.unit)
            reach = [rows[c].abs()[np.isfinite(rows[c])].max() for c in ("low", "high")]
            spread = np.quantile(np.abs(np.concatenate(rows["gains"].tolist())), 0.9)
            edge = factor * 1.05 * np.nanmax([*reach, spread, 3 * rows["rope"].max()])
            rope = factor * rows["rope"].max()
            ax.axvspan(-rope, rope, color="#E5E7EB", linewidth=0)
            ax.axvline(0, color="black", linewidth=0.5)
            for y, row in enumerate(rows.itertuples()):
                shade = SHADES[row.verdict]
                ticks = np.clip(factor * row.gains, -edge, edge)
                ax.plot(ticks, np.full(len(ticks), y), "|", ms=5, mew=0.4, color="#9CA3AF")
                for low, high, width in ((row.low, row.high, 0.8), (row.low90, row.high90, 2.2)):
                    ends = np.clip([factor * low, factor * high], -edge, edge)
                    ax.plot(ends, (y, y), color=shade, linewidth=width, solid_capstyle="butt")
                ax.plot(factor * row.estimate, y, "o", ms=3.2, color=shade, zorder=4)
                at: Any = {"va": "center", "transform": ax.get_yaxis_transform()}
                ax.text(-0.02, y, compared(row), ha="right", **at)
                value = f"{factor * row.estimate:+.{metric.digits}f}"
                ax.text(1.02, y, f"{value}  {row.verdict}", color=shade, **at)
            ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-edge, edge), yticks=[])
            title = metric.title + " x K" * metric.mean_over_classes
            ax.set_title(f"{title}: gain of the first{unit}", fontsize=style.SIZE, loc="left")
    return figure


def claim_bars(claims: Mapping[str, pd.DataFrame]) -> Figure:
    """The claims: a bar a claim, the shares of its comparisons, and the verdict in words.

    claims: {title: rows of the ledger}, a panel each; rows without counts have no bar.
    """
    with mpl.rc_context(style.RC):
        names = [name.replace("_", " ") for rows in claims.values() for name in rows["claim"]]
        figure, axes = panels([ROW * len(rows) for rows in claims.values()], 0, names)
        for ax, (title, rows) in zip(axes, claims.items()):
            for y, row in enumerate(rows.itertuples()):
                counts = [getattr(row, part) for part in PARTS]
                total, start = np.nansum(counts), 0.0
                for count, (_, shade) in zip(counts, PARTS.values()):
                    if total and count:
                        ax.barh(y, count / total, left=start, height=0.7, color=shade, linewidth=0)
                        middle = start + count / total / 2
                        ink = "black" if shade == "#CCCCCC" else "white"
                        number: Any = {"ha": "center", "va": "center_baseline", "size": style.SMALL}
                        ax.text(middle, y, f"{count:.0f}", color=ink, **number)
                        start += count / total
                at: Any = {"va": "center", "transform": ax.get_yaxis_transform()}
                ax.text(-0.02, y, row.claim.replace("_", " "), ha="right", **at)
                word = VERDICTS.get(row.verdict, row.verdict)
                ax.text(1.02, y, row.verdict, color=SHADES.get(word, style.GREY), **at)
            ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 1), yticks=[], xticks=[])
            ax.spines["bottom"].set_visible(False)
            ax.set_title(title, fontsize=style.SIZE, loc="left")
        handles = [Patch(color=shade, label=text) for text, shade in PARTS.values()]
        place: dict[str, Any] = {"loc": "upper right", "ncols": 4, "frameon": False}
        figure.legend(
            handles=handles, handlelength=1, borderaxespad=0.1, fontsize=style.SMALL, **place
        )
    return figure
