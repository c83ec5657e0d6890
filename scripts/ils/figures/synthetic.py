"""Figures 1, 2 and 4 to 11, of the synthetic study.

Densities, distributions of probabilities, best-epsilon curves, ILS1's test loss. Call these
functions under `matplotlib.rc_context(style.RC)`: text takes its size when it is made.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ils.figures.style import COLOURS, COLUMN, GREY
from ils.paper import PARABOLA
from ils.synthetic.curves import (
    CURVE_EDGES,
    HISTOGRAM_EDGES,
    HISTOGRAM_KINDS,
    HISTOGRAM_MODELS,
    best_epsilon,
)
from ils.synthetic.gaussians import Samples, density

CLASS_COLOURS = ("#332288", "#CC6677", "#DDCC77")
LABELS = {
    "bayes": "Bayes-optimal",
    "no_ls": "No LS",
    "no_ls+temps": "No LS+TempS",
    "ls+temps": "LS+TempS",
}
STYLES: dict[str, dict[str, Any]] = {
    "bayes": {"color": "#BBBBBB", "fill": True},
    "no_ls": {"color": COLOURS["No LS"], "linestyle": ":"},
    "no_ls+temps": {"color": COLOURS["No LS"]},
    "ls+temps": {"color": COLOURS["LS"]},
}


Arrays = Mapping[str, np.ndarray]  # of a setup, stacked over replicates
Geometry = Mapping[str, Any]


def panels(
    rows: int, columns: int, width: float, height: float, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return (figure, axes (rows, columns)) of width x height points.

    They are spaced so that nothing overlaps.
    """
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def grid_of_panels(
    count: int, most: int, height: float, **options: Any
) -> tuple[Figure, np.ndarray, np.ndarray]:
    """Return (figure, count axes, the leftmost axes), `most` a row at most, two columns wide.

    A row is `height` points high; panels left over are blank.
    """
    columns = min(most, count)
    rows = math.ceil(count / columns)
    figure, axes = panels(rows, columns, 2 * COLUMN, height * rows, **options)
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    return figure, axes.flat[:count], axes[:, 0]


def window(geometry: Geometry, margin: float = 3) -> list[tuple[float, float]]:
    """Return [(left, right), (bottom, top)] around all components.

    It ends `margin` units beyond their means.
    """
    means = np.array(
        [component["mean"] for components in geometry["classes"] for component in components]
    )
    return [(low - margin, high + margin) for low, high in zip(means.min(0), means.max(0))]


def draw_density(axes: Axes, geometry: Geometry) -> None:
    """Draw a heat map of p(x)."""
    (left, right), (bottom, top) = window(geometry)
    x, y = np.meshgrid(np.linspace(left, right, 240), np.linspace(bottom, top, 160))
    values = density(geometry, np.stack([x.ravel(), y.ravel()], -1)).reshape(x.shape)
    image = axes.imshow(
        values, origin="lower", extent=(left, right, bottom, top), cmap="viridis", aspect="equal"
    )
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label="density")


def figure_1(geometry: Geometry, training: Samples) -> Figure:
    """Left: the density; right: the training `Samples` of one replicate."""
    figure, axes = panels(1, 2, 2 * COLUMN, 120)
    draw_density(axes[0, 0], geometry)
    for label in range(len(geometry["classes"])):
        points = training.x[training.y == label]
        look = {"ms": 2.5, "mew": 0, "color": CLASS_COLOURS[label % 3]}
        axes[0, 1].plot(*points.T, "o", label=f"class {label + 1}", **look)
    xlim, ylim = window(geometry)
    axes[0, 1].set(xlim=xlim, ylim=ylim, aspect="equal")
    axes[0, 1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handletextpad=0.1)
    return figure


def figure_5(geometry: Geometry) -> Figure:
    """The density of the other geometry."""
    figure, axes = panels(1, 1, COLUMN, 110)
    draw_density(axes[0, 0], geometry)
    return figure


def histogram_figure(
    histogram: np.ndarray, kind: str, models: Sequence[str], xlabel: str
) -> Figure:
    """Shares of predictions by probability, on a log axis.

    `histogram` (replicates, models, kinds, bins) counts them.
    """
    figure, axes = panels(1, 1, COLUMN, 150)
    counts = histogram.sum(0)[:, HISTOGRAM_KINDS.index(kind)]
    for name in models:
        share = counts[HISTOGRAM_MODELS.index(name)]
        axes[0, 0].stairs(
            share / share.sum(), HISTOGRAM_EDGES, label=LABELS[name], linewidth=1, **STYLES[name]
        )
    axes[0, 0].set(yscale="log", xlabel=xlabel, ylabel="share of predictions", xlim=(0, 1))
    axes[0, 0].legend(frameon=False)
    return figure


def figure_2(histogram: np.ndarray) -> dict[str, Figure]:
    """Return panels a to d: the highest and the other probabilities.

    Bayes-optimal against No LS, and against LS+TempS.
    """
    highest, others = "highest predicted probability", "the other predicted probabilities"
    without, smoothed = ("bayes", "no_ls", "no_ls+temps"), ("bayes", "ls+temps")
    return {
        "a": histogram_figure(histogram, "highest", without, highest),
        "b": histogram_figure(histogram, "highest", smoothed, highest),
        "c": histogram_figure(histogram, "others", without, others),
        "d": histogram_figure(histogram, "others", smoothed, others),
    }


def figure_8(histogram: np.ndarray) -> Figure:
    """Distributions of the true class's probability."""
    return histogram_figure(
        histogram,
        "true",
        ("bayes", "no_ls+temps"),
        r"$\hat p_t$, predicted probability of the true class",
    )


def draw_curve(axes: Axes, arrays: Arrays, teacher: int, draws: int = 200) -> None:
    """Draw the best epsilon of each group by the teacher's p_t, over training and test samples.

    The band is where 80 % of bootstrap draws of the replicates put the former. arrays: the sums of
    `study.curves`, stacked over replicates; `teacher` indexes their third axis.
    """
    names = ("curve_count", "curve_teacher", "curve_student")
    training, test = ([arrays[name][:, split, teacher] for name in names] for split in (0, 1))
    epsilon, replicates = arrays["curve_epsilon"][0], len(training[0])
    edges = np.linspace(CURVE_EDGES[0], CURVE_EDGES[-1], training[0].shape[-1] + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    weights = np.random.default_rng(0).multinomial(
        replicates, np.full(replicates, 1 / replicates), draws
    )
    count, p, students = (np.tensordot(weights, values, 1) for values in training)
    drawn = best_epsilon(count, p, students, epsilon)
    known = training[0].sum(0) > 0
    low, high = np.nanpercentile(drawn[:, known], (10, 90), axis=0)
    axes.fill_between(centres[known], low, high, color=COLOURS["ILS"], alpha=0.25, linewidth=0)
    looks: dict[str, dict[str, Any]] = {
        "training": {"color": COLOURS["ILS"]},
        "test": {"color": GREY, "linestyle": ":"},
    }
    for sums, (split, look) in zip((training, test), looks.items()):
        count, p, students = (values.sum(0) for values in sums)
        best = best_epsilon(count, p, students, epsilon)
        label = rf"best $\epsilon$, {split} instances"
        axes.plot(centres, best, linewidth=1.1, label=label, **look)
    axes.set(xlim=(CURVE_EDGES[0], CURVE_EDGES[-1]), ylim=(-0.005, 0.21))


def draw_parabola(axes: Axes, p1: float, p2: float, whose: str, **look: Any) -> None:
    """Draw Eq. 3 over p_t."""
    p = np.linspace(CURVE_EDGES[0], CURVE_EDGES[-1], 300)
    label = rf"$P_1={p1:.3g}$, $P_2={p2:.3g}$ ({whose})"
    axes.plot(p, np.minimum(0.2, p2 * (p - p1) ** 2), linewidth=0.9, label=label, **look)


def figure_4(arrays: Arrays, p1: float, p2: float) -> Figure:
    """The Bayes-optimal teacher's curve, with Eq. 3 at the paper's parameters and at `p1`, `p2`.

    These are the averages of our selected ILS1.
    """
    figure, axes = panels(1, 1, COLUMN, 190)
    draw_curve(axes[0, 0], arrays, 0)
    draw_parabola(axes[0, 0], *PARABOLA, "paper", color="black")
    draw_parabola(axes[0, 0], p1, p2, "selected", color=GREY, linestyle="--")
    axes[0, 0].set(xlabel=r"Bayes-optimal $\hat p_t$", ylabel=r"smoothing factor $\epsilon$")
    figure.legend(
        frameon=False, ncols=2, handlelength=1.5, columnspacing=1, loc="outside lower center"
    )
    return figure


def curves_figure(
    panel_arrays: Mapping[str, Arrays], teacher: int, xlabel: str, most: int = 3
) -> Figure:
    """One panel per {title: arrays}; see `draw_curve`. Figures 6, 7 and 9."""
    figure, axes, left = grid_of_panels(len(panel_arrays), most, 125, sharey=True)
    for axis, (title, arrays) in zip(axes, panel_arrays.items()):
        draw_curve(axis, arrays, teacher)
        axis.set(title=title, xlabel=xlabel)
    for axis in left:
        axis.set(ylabel=r"best $\epsilon$ of LS")
    figure.legend(
        *axes[0].get_legend_handles_labels(), frameon=False, ncols=2, loc="outside lower center"
    )
    return figure


def figure_10(panel_counts: Arrays, xlabel: str) -> Figure:
    """One panel per {title: counts (splits, bins)}: the distribution of p_t under No LS+TempS."""
    figure, axes, left = grid_of_panels(len(panel_counts), 4, 115)
    for axis, (title, counts) in zip(axes, panel_counts.items()):
        share = counts.sum(0) / counts.sum()
        axis.stairs(share, np.linspace(0, 1, len(share) + 1), fill=True, color=COLOURS["No LS"])
        axis.set(title=title, yscale="log", xlim=(0, 1), xlabel=xlabel)
    for axis in left:
        axis.set(ylabel="share of instances")
    return figure


def figure_11(long_grid: np.ndarray, p1: Sequence[float], p2: Sequence[float]) -> Figure:
    """ILS1's mean test cross-entropy over the grid; a ring marks the lowest.

    `long_grid` (replicates, P1, P2), in nats.
    """
    figure, axes = panels(1, 1, COLUMN, 190)
    mean = long_grid.mean(0)
    image = axes[0, 0].imshow(mean.T, origin="lower", aspect="auto", cmap="viridis")
    axes[0, 0].plot(
        *np.unravel_index(mean.argmin(), mean.shape), "o", ms=11, mfc="none", mec="white", mew=1.2
    )
    axes[0, 0].set(xlabel="$P_1$", ylabel="$P_2$")
    axes[0, 0].set_xticks(range(len(p1)), [f"{value:g}" for value in p1], rotation=60)
    axes[0, 0].set_yticks(range(len(p2)), [f"{value:g}" for value in p2])
    figure.colorbar(image, ax=axes[0, 0], label="test cross-entropy")
    return figure
