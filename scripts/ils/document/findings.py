"""What reproduced, in one sentence an artefact, computed from this run's numbers.

Plain text: LaTeX comes later.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ils.document.words import listed
from ils.files import load_arrays, read_csv
from ils.paper import DIAGRAMS, PARABOLA, PRINTED, TABLE_III
from ils.plan.metrics import Metric, metrics
from ils.statistics.distillation import COLUMNS, difference
from ils.statistics.ranks import cliques
from ils.synthetic.curves import CURVE_EDGES, best_epsilon, distance_from_bayes, stacked

Arrays = Mapping[str, np.ndarray]  # of a setup, stacked over replicates
Ranked = tuple[pd.DataFrame, pd.DataFrame]  # average ranks and Friedman's tests of rank_methods.py

MIDDLE = (CURVE_EDGES[0] + CURVE_EDGES[-1]) / 2  # of a best-epsilon curve
NAMES = {"no_ls": "No LS", "no_ls+temps": "No LS+TempS", "ls+temps": "LS+TempS"}
KINDS = {
    "subscript": "subscripts that fit no rule for ties",
    "average": "average ranks that no rule for ties can give",
    "reversed": "columns ranked from the worst",
    "tie rule": "average ranks by another rule for ties than mid-ranks",
}
RANKED = [PRINTED.get(name, name) for name in TABLE_III]  # what both rank by
LIKELY = 0.9  # Figure 10: a true class's probability that calls an instance easy


def differing(compared: pd.DataFrame) -> str:
    """How many cells of a table differ from the print, per setup."""
    parts = []
    for setup, cells in compared[compared["printed"].notna()].groupby("setup", sort=False):
        n, clearly = cells["differs"].sum(), cells["differs_clearly"].sum()
        parts.append(f"{n} of {len(cells)} cells, {clearly} clearly, under {setup}")
    return f"Further than two standard errors from the print: {'; '.join(parts)}."


def significant(differences: pd.DataFrame) -> str:
    """How many differences of methods are further than two standard errors from 0, per setup."""
    groups = differences.groupby("setup", sort=False)["significant"]
    parts = [
        f"{n} of {len(groups.get_group(setup))} under {setup}" for setup, n in groups.sum().items()
    ]
    text = "Differences between methods further than two standard errors from 0"
    return f"{text}: {'; '.join(parts)}."


def average_ranks(table: pd.DataFrame, metric: str) -> pd.Series:
    """The average ranks by a metric, of all columns, as a Series by method."""
    return table.query("pool == 'all' and metric == @metric").set_index("method")["average_rank"]


def ranking(
    averages: pd.DataFrame,
    printed: pd.DataFrame,
    names: Sequence[str] = RANKED,
) -> str:
    """Which method ranks best in this run and in the print, and how the two orders correlate.

    That is by the methods of both.
    """
    parts = []
    for metric in names:
        ours, theirs = average_ranks(averages, metric), average_ranks(printed, metric)
        common = [method for method in ours.index if method in theirs.index]
        # Spearman's: Pearson's of the ranks
        together = ours[common].rank().corr(theirs[common].rank())
        correlation = "undefined" if np.isnan(together) else f"{together:+.2f}"
        best = [
            f"{listed(ranks.index[ranks == ranks.min()])} {ranks.min():.2f}"
            for ranks in (ours, theirs)
        ]
        parts.append(
            f"{metrics()[metric].title} {best[0]} (print: {best[1]}; correlation {correlation})"
        )
    text = "Best average ranks, and Spearman's correlation with the printed average ranks"
    return f"{text}: {'; '.join(parts)}."


def top_clique(
    averages: pd.DataFrame, friedman: pd.DataFrame, metric: str
) -> tuple[str, list[str], int, pd.Series]:
    """Who is not significantly worse than the best.

    Returns the best method, the others in its clique, the number of all methods, and the test.
    """
    ranks = average_ranks(averages, metric).sort_values(kind="stable")
    test = friedman.query("pool == 'all' and metric == @metric").iloc[0]
    groups = cliques(ranks, test["critical_difference"])
    together = groups[0] if groups and groups[0][0] == ranks.index[0] else [ranks.index[0]]
    return ranks.index[0], together[1:], len(ranks), test


def clique(*studies: tuple[str, pd.DataFrame, pd.DataFrame, str]) -> str:
    """studies: (name, average ranks, Friedman tests, metric) of a diagram's panels."""
    parts = []
    for name, averages, friedman, metric in studies:
        best, others, count, test = top_clique(averages, friedman, metric)
        members = [best, *others]
        joined = f"the top clique is {listed(members)}, {len(members)} of {count} methods"
        if len(members) == count:
            joined = f"all {count} methods share the top clique"
        cd = test["critical_difference"]
        parts.append(
            f"{name}: {joined} (Friedman p = {test['p']:.2g}, critical difference {cd:.2f})"
        )
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def distilled(table: pd.DataFrame) -> str:
    """Table IV: how students of ILS teachers differ from the others'; table: their metrics."""
    parts = []
    teachers = {"no_ls": "No LS", "ls": "LS"}
    others = [name for name in teachers if {"ils", name} <= set(table["method"])]
    for column in (metrics()[name] for name in COLUMNS):
        for name in others:
            gap = difference(table, column.name, "ils", name)
            mean = f"{column.factor * gap.mean:+.{column.digits}f}"
            error = f"{column.factor * gap.error:.{column.digits}f}"
            words = f"{column.title}{' in %' * (column.factor == 100)}, ILS less {teachers[name]}"
            parts.append(f"{words}: {mean} ± {error} (p = {gap.p:.2g})")
    pairs = len(table.groupby(["network", "dataset"]))
    text = "Students by their teachers, paired within a seed, mean over "
    text += f"{pairs} pair{'s' * (pairs > 1)}"
    return f"{text}: {'; '.join(parts) or 'none has an ILS teacher to compare'}."


def contradictions(discrepancies: pd.DataFrame) -> str:
    """How many contradictions the printed Table III has, by kind."""
    counts = discrepancies["kind"].value_counts().reindex(KINDS).dropna()
    parts = [f"{KINDS[kind]}: {n:.0f}" for kind, n in counts.items()]
    return f"In the printed table, {'; '.join(parts)}."


def bayes_optimal(table1: pd.DataFrame) -> str:
    """The Bayes-optimal accuracy, which depends on the generative model alone."""
    row = table1.query("row == 'Bayes-Optimal' and column == 'accuracy'").iloc[0]
    errors = abs(row["mean"] - row["printed"]) / row["standard_error"]
    return (
        f"On samples of this model the Bayes-optimal accuracy is {row['mean']:.2f} ± "
        f"{row['standard_error']:.2f} %, printed {row['printed']:.2f} %: {errors:.1f} standard "
        "errors apart."
    )


def distributions(histogram: np.ndarray) -> str:
    """Figure 2: how far the distributions are from the Bayes-optimal ones."""
    total = histogram.sum(0)
    parts = []
    for kind, title in (("highest", "highest probabilities"), ("others", "the others")):
        distances = [
            f"{label} {distance_from_bayes(total, kind, name):.3f}" for name, label in NAMES.items()
        ]
        parts.append(f"{title} {', '.join(distances)}")
    return f"Total variation distance from the Bayes-optimal distribution: {'; '.join(parts)}."


def true_class_distance(histogram: np.ndarray) -> str:
    """Figure 8."""
    distance = distance_from_bayes(histogram.sum(0), "true", "no_ls+temps")
    text = "Total variation distance of No LS+TempS from the Bayes-optimal distribution"
    return f"{text}: {distance:.3f}."


def halves(
    arrays: Arrays, teacher: int, parabola: tuple[float, float] | None = None
) -> tuple[float, float]:
    """The best epsilon's means over the training instances below and above the middle p_t.

    It is that of a teacher's curve, or of a `parabola` (P1, P2) by Eq. 3.
    """
    count, p, students = (
        arrays[f"curve_{name}"][:, 0, teacher].sum(0) for name in ("count", "teacher", "student")
    )
    edges = np.linspace(CURVE_EDGES[0], CURVE_EDGES[-1], len(count) + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    values = best_epsilon(count, p, students, arrays["curve_epsilon"][0])
    if parabola:
        values = np.minimum(0.2, parabola[1] * (centres - parabola[0]) ** 2)
    below, above = (
        np.average(values[side], weights=count[side]) if side.any() else np.nan
        for side in ((count > 0) & (centres < MIDDLE), (count > 0) & (centres >= MIDDLE))
    )
    return below, above


def best_curve(arrays: Arrays, p1: float, p2: float) -> str:
    """Figure 4: the curve beside the paper's parabola, and what ILS1 selects on average."""
    (low, high), (printed_low, printed_high) = halves(arrays, 0), halves(arrays, 0, PARABOLA)
    return (
        f"Over training instances with p_t below {MIDDLE:g} the best epsilon averages {low:.3f}, "
        f"above {high:.3f}, the paper's parabola {printed_low:.3f} and {printed_high:.3f}; ILS1 "
        f"selects P1 = {p1:.3f} and P2 = {p2:.2f} on average, the paper shows {PARABOLA[0]:g} and "
        f"{PARABOLA[1]:g}."
    )


def falling(panels: Mapping[str, Arrays], teacher: int) -> str:
    """Figures 6, 7 and 9: in how many panels the best epsilon is lower where p_t is higher.

    panels: {title: arrays}.
    """
    sides = {title: halves(arrays, teacher) for title, arrays in panels.items()}
    parts = [f"{title} {low:.3f} and {high:.3f}" for title, (low, high) in sides.items()]
    falls = sum(low > high for low, high in sides.values())
    return (
        f"In {falls} of {len(sides)} panels the best epsilon averages more below p_t = {MIDDLE:g} "
        f"than above: {'; '.join(parts)}."
    )


def easy(panels: Arrays) -> str:
    """Figure 10: the share of instances whose true class is likely.

    panels: {title: counts (splits, bins)}.
    """
    parts = []
    for title, histogram in panels.items():
        counts = histogram.sum(0)
        first = round(LIKELY * len(counts))
        parts.append(f"{title} {100 * counts[first:].sum() / counts.sum():.0f} %")
    return f"Instances whose true class has a probability above {LIKELY:g}: {', '.join(parts)}."


def lowest(long_grid: np.ndarray, p1: Sequence[float], p2: Sequence[float]) -> str:
    """Figure 11: where ILS1's mean loss is lowest, and how far the paper's choice is above it.

    `long_grid` (replicates, P1, P2) are cross-entropies in nats.
    """
    mean = long_grid.mean(0)
    i, j = np.unravel_index(mean.argmin(), mean.shape)
    text = f"The lowest mean cross-entropy, {mean[i, j]:.4f}, is at P1 = {p1[i]:g}, P2 = {p2[j]:g}"
    if PARABOLA[0] not in p1 or PARABOLA[1] not in p2:
        return text + "."
    above = long_grid[:, p1.index(PARABOLA[0]), p2.index(PARABOLA[1])] - long_grid[:, i, j]
    error = above.std(ddof=1) / len(above) ** 0.5
    choice = f"the paper's {PARABOLA[0]:g} and {PARABOLA[1]:g}"
    return f"{text}; {choice} lies {above.mean():.4f} ± {error:.4f} above it."


def synthetic_sentences(
    tables: Mapping[str, str | Path],
    differences: str | Path,
    models: Iterable[str | Path],
    arrays: Mapping[str, Sequence[str | Path]],
    curves: Iterable[str | Path],
    shown: str,
    long_grid: Mapping[str, Sequence[float]],
) -> dict[str, str]:
    """Sentences on the synthetic study, {artefact: sentence}.

    tables: {name: csv}; differences: csv; models: csv files of the setup `shown`; arrays: {setup:
    files}; curves: files of real tables; long_grid: the points of Figure 11.
    """
    compared = {name: read_csv(path) for name, path in tables.items()}
    setups = {setup: stacked(paths) for setup, paths in arrays.items()}
    tabular = {about["dataset"]: arrays for arrays, about in map(load_arrays, curves)}
    one, ils1 = setups[shown], pd.concat(map(read_csv, models)).query("model == 'ils1'")
    return {name: differing(table) for name, table in compared.items()} | {
        "synthetic_differences": significant(read_csv(differences)),
        "fig01": bayes_optimal(compared["table1"]),
        "fig02": distributions(one["histogram"]),
        "fig04": best_curve(one, ils1["p1"].mean(), ils1["p2"].mean()),
        "fig05": "The paper prints no numbers for this constellation; the one drawn here is this "
        "run's reading of it.",
        "fig06": falling(setups, 0),
        "fig07": falling(setups, 1),
        "fig08": true_class_distance(one["histogram"]),
        "fig09": falling(tabular, 0),
        "fig10": easy({name: values["histogram"] for name, values in tabular.items()}),
        "fig11": lowest(one["long_grid"], long_grid["p1"], long_grid["p2"]),
    }


def real_sentences(
    ours: Ranked, printed: Ranked, discrepancies: pd.DataFrame, own: Mapping[str, Metric]
) -> dict[str, str]:
    """Sentences on Table III and its diagrams, those of a study's own metrics, too, {artefact:
    sentence}."""
    sentences = {
        "table3": ranking(ours[0], printed[0]),
        "published/table3": contradictions(discrepancies),
    }
    for figure, metric in DIAGRAMS.items():
        sentences[figure] = clique(
            ("this run", *ours, metric), ("print", *printed, PRINTED.get(metric, metric))
        )
    for figure, by in own.items():
        sentences[figure] = clique((f"by {by.title}", *ours, by.name))
    return sentences
