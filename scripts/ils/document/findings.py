"""What reproduced, in one sentence an artefact, computed from this run's numbers. Plain text: LaTeX comes later."""

import numpy as np
import pandas as pd

from ils.document.pages import VERDICTS
from ils.files import load_arrays, read_csv
from ils.paper import DIAGRAMS, PARABOLA, PRINTED
from ils.statistics.distillation import difference
from ils.statistics.ranks import METRICS, cliques
from ils.synthetic.curves import CURVE_EDGES, best_epsilon, distance_from_bayes, stacked

MIDDLE = (CURVE_EDGES[0] + CURVE_EDGES[-1]) / 2  # of a best-epsilon curve
NAMES = {"no_ls": "No LS", "no_ls+temps": "No LS+TempS", "ls+temps": "LS+TempS"}
KINDS = {
    "subscript": "subscripts that fit no rule for ties",
    "average": "average ranks that no rule for ties can give",
    "reversed": "columns ranked from the worst",
    "tie rule": "average ranks by another rule for ties than mid-ranks",
}
LIKELY = 0.9  # Figure 10: a true class's probability that calls an instance easy


def listed(items):
    """Return "a", "a and b" or "a, b and c"."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def verdicts(claims):
    """How many claims hold, fail, ... on the printed numbers and in each part of this run."""
    parts = []
    for study, rows in claims[~claims["study"].str.endswith("Eq. 2")].groupby("study", sort=False):
        counts = rows["verdict"].value_counts()
        words = [f"{counts.get('holds', 0)} of {len(rows)} hold", f"{counts.get('fails', 0)} fail"]
        words += [f"{counts[verdict]} {verdict}" for verdict in VERDICTS[2:] if verdict in counts]
        parts.append(
            f"on {'the printed numbers' if study == 'paper' else study} {', '.join(words)}"
        )
    return f"Claims of the paper: {'; '.join(parts)}."


def differing(compared):
    """How many cells of a table differ from the print, per setup."""
    counts = [
        (setup, rows["differs"].sum(), len(rows), rows["differs_clearly"].sum())
        for setup, rows in compared[compared["printed"].notna()].groupby("setup", sort=False)
    ]
    parts = [
        f"{n} of {cells} cells, {clearly} clearly, under {setup}"
        for setup, n, cells, clearly in counts
    ]
    return f"Further than two standard errors from the print: {'; '.join(parts)}."


def significant(differences):
    """How many differences between methods are further than two standard errors from 0, per setup."""
    groups = differences.groupby("setup", sort=False)["significant"]
    parts = [
        f"{n} of {len(groups.get_group(setup))} under {setup}" for setup, n in groups.sum().items()
    ]
    return (
        f"Differences between methods further than two standard errors from 0: {'; '.join(parts)}."
    )


def average_ranks(table, metric):
    """The average ranks by a metric, of all columns, as a Series by method."""
    return table.query("pool == 'all' and metric == @metric").set_index("method")["average_rank"]


def ranking(averages, printed, metrics=("cross_entropy", "accuracy", "ece", "cwece_printed")):
    """Which method ranks best, here and in the print, and how the two orders of the common methods correlate."""
    parts = []
    for metric in metrics:
        ours, theirs = average_ranks(averages, metric), average_ranks(printed, metric)
        common = [method for method in ours.index if method in theirs.index]
        together = (
            ours[common].rank().corr(theirs[common].rank())
        )  # Spearman's: Pearson's of the ranks
        correlation = "undefined" if np.isnan(together) else f"{together:+.2f}"
        best = [
            f"{listed(ranks.index[ranks == ranks.min()])} {ranks.min():.2f}"
            for ranks in (ours, theirs)
        ]
        parts.append(
            f"{METRICS[metric].name} {best[0]} (print: {best[1]}; correlation {correlation})"
        )
    return f"Best average ranks, and Spearman's correlation with the printed average ranks: {'; '.join(parts)}."


def top_clique(averages, friedman, metric):
    """Who is not significantly worse than the best: (best method, those with it, number of methods, test)."""
    ranks = average_ranks(averages, metric).sort_values(kind="stable")
    test = friedman.query("pool == 'all' and metric == @metric").iloc[0]
    groups = cliques(ranks, test["critical_difference"])
    together = groups[0] if groups and groups[0][0] == ranks.index[0] else [ranks.index[0]]
    return ranks.index[0], together[1:], len(ranks), test


def clique(*studies):
    """studies: (name, average ranks, Friedman tests, metric) of a diagram's panels."""
    parts = []
    for name, averages, friedman, metric in studies:
        best, others, count, test = top_clique(averages, friedman, metric)
        if len(others) == count - 1:
            joined = f"all {count} methods share the top clique"
        else:
            joined = (
                f"the top clique is {listed([best, *others])}, {1 + len(others)} of {count} methods"
            )
        parts.append(
            f"{name}: {joined} (Friedman p = {test['p']:.2g}, critical difference {test['critical_difference']:.2f})"
        )
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def distilled(table):
    """Table IV: how students of ILS teachers differ from those of the others; table: their metrics."""
    parts = []
    others = {
        name: label
        for name, label in (("no_ls", "No LS"), ("ls", "LS"))
        if {"ils", name} <= set(table["method"])
    }
    for column, title, scale, digits in (
        ("cross_entropy", "cross-entropy", 1, 4),
        ("accuracy", "accuracy in %", 100, 2),
    ):
        for name, label in others.items():
            found = difference(table, column, "ils", name)
            mean, error = (
                f"{scale * value:{sign}.{digits}f}"
                for value, sign in ((found.mean, "+"), (found.error, ""))
            )
            parts.append(f"{title}, ILS less {label}: {mean} ± {error} (p = {found.p:.2g})")
    pairs = len(table.groupby(["network", "dataset"]))
    text = f"Students by their teachers, paired within a seed, mean over {pairs} pair{'s' * (pairs > 1)}"
    return (
        f"{text}: {'; '.join(parts)}." if parts else f"{text}: none has an ILS teacher to compare."
    )


def contradictions(found):
    """How many contradictions the printed Table III has, by kind."""
    counts = found["kind"].value_counts().reindex(KINDS).dropna()
    return f"In the printed table, {'; '.join(f'{KINDS[kind]}: {n:.0f}' for kind, n in counts.items())}."


def bayes_optimal(table1):
    """The Bayes-optimal accuracy, which depends on the generative model alone."""
    row = table1.query("row == 'Bayes-Optimal' and column == 'accuracy'").iloc[0]
    errors = abs(row["mean"] - row["printed"]) / row["standard_error"]
    return (
        f"On samples of this model the Bayes-optimal accuracy is {row['mean']:.2f} ± {row['standard_error']:.2f} %, "
        f"printed {row['printed']:.2f} %: {errors:.1f} standard errors apart."
    )


def distributions(histogram):
    """Figure 2: how far the distributions are from the Bayes-optimal ones."""
    total = histogram.sum(0)
    parts = [
        f"{title} {', '.join(f'{label} {distance_from_bayes(total, kind, name):.3f}' for name, label in NAMES.items())}"
        for kind, title in (("highest", "highest probabilities"), ("others", "the others"))
    ]
    return f"Total variation distance from the Bayes-optimal distribution: {'; '.join(parts)}."


def true_class_distance(histogram):
    """Figure 8."""
    distance = distance_from_bayes(histogram.sum(0), "true", "no_ls+temps")
    return f"Total variation distance of No LS+TempS from the Bayes-optimal distribution: {distance:.3f}."


def halves(arrays, teacher, parabola=None):
    """The best epsilon's means over the training instances below and above the middle p_t, of a curve or of a parabola."""
    count, p, students = (
        arrays[f"curve_{name}"][:, 0, teacher].sum(0) for name in ("count", "teacher", "student")
    )
    edges = np.linspace(CURVE_EDGES[0], CURVE_EDGES[-1], len(count) + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    values = best_epsilon(count, p, students, arrays["curve_epsilon"][0])
    if parabola:
        values = np.minimum(0.2, parabola[1] * (centres - parabola[0]) ** 2)
    sides = [(count > 0) & (centres < MIDDLE), (count > 0) & (centres >= MIDDLE)]
    return [
        np.average(values[side], weights=count[side]) if side.any() else np.nan for side in sides
    ]


def best_curve(arrays, p1, p2):
    """Figure 4: the curve beside the paper's parabola, and what ILS1 selects on average."""
    (low, high), (printed_low, printed_high) = halves(arrays, 0), halves(arrays, 0, PARABOLA)
    return (
        f"Over training instances with p_t below {MIDDLE:g} the best epsilon averages {low:.3f}, above {high:.3f}, the paper's "
        f"parabola {printed_low:.3f} and {printed_high:.3f}; ILS1 selects P1 = {p1:.3f} and P2 = {p2:.2f} on average, the paper "
        f"shows {PARABOLA[0]:g} and {PARABOLA[1]:g}."
    )


def falling(panels, teacher):
    """Figures 6, 7 and 9: in how many panels {title: arrays} the best epsilon is lower where p_t is higher."""
    sides = {title: halves(arrays, teacher) for title, arrays in panels.items()}
    parts = [f"{title} {low:.3f} and {high:.3f}" for title, (low, high) in sides.items()]
    falls = sum(low > high for low, high in sides.values())
    return f"In {falls} of {len(sides)} panels the best epsilon averages more below p_t = {MIDDLE:g} than above: {'; '.join(parts)}."


def easy(panels):
    """Figure 10: the share of instances whose true class is likely, {title: counts (splits, bins)}."""
    parts = []
    for title, histogram in panels.items():
        counts = histogram.sum(0)
        first = round(LIKELY * len(counts))
        parts.append(f"{title} {100 * counts[first:].sum() / counts.sum():.0f} %")
    return f"Instances whose true class has a probability above {LIKELY:g}: {', '.join(parts)}."


def lowest(long_grid, p1, p2):
    """Figure 11: where ILS1's mean loss (replicates, P1, P2) is lowest, and how far the paper's choice is above it."""
    mean = long_grid.mean(0)
    i, j = np.unravel_index(mean.argmin(), mean.shape)
    text = f"The lowest mean cross-entropy, {mean[i, j]:.4f}, is at P1 = {p1[i]:g}, P2 = {p2[j]:g}"
    if PARABOLA[0] not in p1 or PARABOLA[1] not in p2:
        return text + "."
    above = long_grid[:, p1.index(PARABOLA[0]), p2.index(PARABOLA[1])] - long_grid[:, i, j]
    error = above.std(ddof=1) / len(above) ** 0.5
    return f"{text}; the paper's {PARABOLA[0]:g} and {PARABOLA[1]:g} lies {above.mean():.4f} ± {error:.4f} above it."


def synthetic_sentences(tables, differences, models, arrays, curves, shown, long_grid):
    """Sentences on the synthetic study. tables: {name: csv}; models: csv files of the setup `shown`; arrays: {setup: files}."""
    compared = {name: read_csv(path) for name, path in tables.items()}
    setups = {setup: stacked(paths) for setup, paths in arrays.items()}
    tabular = {about["dataset"]: arrays for arrays, about in map(load_arrays, curves)}
    one, ils1 = setups[shown], pd.concat(map(read_csv, models)).query("model == 'ils1'")
    return {name: differing(table) for name, table in compared.items()} | {
        "synthetic_differences": significant(read_csv(differences)),
        "fig01": bayes_optimal(compared["table1"]),
        "fig02": distributions(one["histogram"]),
        "fig04": best_curve(one, ils1["p1"].mean(), ils1["p2"].mean()),
        "fig05": "The paper prints no numbers for this constellation; the one drawn here is this run's reading of it.",
        "fig06": falling(setups, 0),
        "fig07": falling(setups, 1),
        "fig08": true_class_distance(one["histogram"]),
        "fig09": falling(tabular, 0),
        "fig10": easy({name: values["histogram"] for name, values in tabular.items()}),
        "fig11": lowest(one["long_grid"], long_grid["p1"], long_grid["p2"]),
    }


def real_sentences(ours, printed, discrepancies):
    """Sentences on Table III and its diagrams. ours, printed: (average ranks, Friedman tests); discrepancies: a table."""
    found = {
        "table3": ranking(ours[0], printed[0]),
        "published/table3": contradictions(discrepancies),
    }
    for figure, metric in DIAGRAMS.items():
        found[figure] = clique(
            ("this run", *ours, metric), ("print", *printed, PRINTED.get(metric, metric))
        )
    return found
