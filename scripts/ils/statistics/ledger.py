"""Checking claims: each against the printed numbers and against this run, with the numbers and the test used.

Verdicts: `holds`; `fails`; `not significant`, when the numbers do not contradict the claim beyond
chance, nor bear it out; `undecidable`, when this run is too small to decide; `not measured`, when
it lacks what is compared.
"""

from itertools import product
from typing import NamedTuple

import pandas as pd

from ils.paper import PRINTED
from ils.statistics.claims import BEST, CLAIMS, RANKS
from ils.statistics.comparison import mean_and_error
from ils.statistics.distillation import difference
from ils.statistics.ranks import METRICS

FEWEST = 10  # replicates from which a standard error is worth calling one
LABELS = {
    "cross_entropy": "CE",
    "ece": "ECE",
    "cwece": "cwECE",
    "cwece_printed": "cwECE*",
    "epsilon": "epsilon",
}


class Finding(NamedTuple):
    """One row of the ledger."""

    claim: str
    statement: str
    where: str
    study: str
    verdict: str
    numbers: str
    test: str


def higher_is_better(column):
    return (column in METRICS and METRICS[column].higher_is_better) or column.startswith("accuracy")


def label(column):
    return LABELS.get(column, column.replace("_", " "))


class Ranking:
    """Average ranks and pairwise tests of one study, as rank_methods.py wrote them. `cwece` says which cwECE it takes.

    `printed`: the numbers themselves are claimed about, so the wrong order is a failure however
    small.
    """

    def __init__(self, name, ranks, average_ranks, friedman, pairwise, cwece, printed):
        self.name, self.printed, self.names = name, printed, {"cwece": cwece}
        self.ranks, average_ranks, friedman, pairwise = (
            t.query("pool == 'all'") for t in (ranks, average_ranks, friedman, pairwise)
        )
        self.averages = average_ranks.set_index(["metric", "method"])["average_rank"]
        self.tests = friedman.set_index("metric")
        pairs = pairwise.set_index(["metric", "method_1", "method_2"])
        self.p_values = pd.concat([pairs, pairs.swaplevel(1, 2)])["wilcoxon_p"]

    def measured(self, metric, *methods):
        return all(
            (self.names.get(metric, metric), method) in self.averages.index for method in methods
        )

    def check(self, claim):
        """Verdict, numbers and test of a claim about average ranks."""
        comparisons = [(self.names.get(metric, metric), a, b) for metric, a, b in claim.comparisons]
        gains = {(m, a, b): self.averages[m, b] - self.averages[m, a] for m, a, b in comparisons}
        cds = {m: self.tests.loc[m, "critical_difference"] for m, *_ in comparisons}
        right = [gain > 0 for gain in gains.values()]
        clear = [gain > cds[c[0]] for c, gain in gains.items()]
        opposed = [gain < -cds[c[0]] for c, gain in gains.items()]
        if all(clear if claim.significant else right):
            verdict = "holds"
        else:
            verdict = (
                "fails" if any(opposed) or (self.printed and not all(right)) else "not significant"
            )
        if verdict == "not significant" and max(cds.values()) >= self.tests["k"].max() - 1:
            verdict = "undecidable"
        wilcoxon = sum(self.p_values[c] < 0.05 for c, gain in gains.items() if gain > 0)
        test = (
            f"Nemenyi, CD {max(cds.values()):.2f}: {sum(clear)} of {len(gains)} differences exceed it, {sum(right)} have the "
            f"claimed sign; Wilcoxon unadjusted: {wilcoxon} with p < 0.05"
        )
        return verdict, "; ".join(self.listing(metric, comparisons) for metric in cds), test

    def listing(self, metric, comparisons):
        """The average ranks that a claim compares, best first within each side, such as "CE: ILS 2.68 < LS 8.09"."""
        sides = [dict.fromkeys(c[side] for c in comparisons if c[0] == metric) for side in (1, 2)]
        ordered = [sorted(side, key=lambda method: self.averages[metric, method]) for side in sides]
        texts = [
            ", ".join(f"{method} {self.averages[metric, method]:.2f}" for method in side[:4])
            for side in ordered
        ]
        return f"{label(metric)}: " + " against ".join(texts)

    def check_best(self, claim):
        """Verdict, numbers and test of a claim about how often a method is the best of its pair."""
        ((metric, method, share),) = claim.comparisons
        cells = self.ranks[self.ranks["metric"] == metric]
        best = cells.groupby(["network", "dataset"])["rank"].transform("min")
        lost = cells[(cells["method"] == method) & (cells["rank"] > best)]
        blocks = int(self.tests.loc[metric, "n"])
        numbers = f"not the best in {len(lost)} of {blocks}: " + ", ".join(
            f"{c.network} {c.dataset}" for c in lost.itertuples()
        )
        return (
            "holds" if len(lost) <= share * blocks + 1e-9 else "fails",
            numbers.removesuffix(": "),
            "count; equal values share the best",
        )


class Replicates:
    """The models of one setup of the synthetic study, one row a replicate and model."""

    def __init__(self, name, models, cwece):
        self.name, self.names = name, {"cwece": cwece}
        self.models, self.count = (
            models.set_index(["model", "replicate"]).sort_index(),
            models["replicate"].nunique(),
        )

    def measured(self, column, *models):
        known = self.models.index.get_level_values("model")
        return self.names.get(column, column) in self.models and set(models) <= set(known)

    def check(self, claim):
        """Verdict by paired differences over the replicates: all, or at least one, further than two standard errors."""
        signs, numbers = [], []
        for column, a, b in claim.comparisons:
            column = self.names.get(column, column)
            mean, error = mean_and_error(
                (self.models.loc[a, column] - self.models.loc[b, column]).to_numpy(float)
            )
            scale = 100 if column.startswith("accuracy") else 1
            numbers.append(f"{label(column)} {a} - {b} {scale * mean:+.4f} ± {scale * error:.4f}")
            gain = mean if higher_is_better(column) else -mean
            signs.append(1 if gain > 2 * error else -1 if gain < -2 * error else 0)
        verdict = "fails" if -1 in signs else "holds" if set(signs) == {1} else "not significant"
        if self.count < FEWEST:
            verdict = "undecidable"
        test = f"paired over {self.count} replicates, two standard errors: {signs.count(1)} as claimed, {signs.count(-1)} opposite, of {len(signs)}"
        return verdict, "; ".join(numbers), test


class Distilled:
    """Students of Table IV, one row a pair of network and dataset, seed and `method` that trained their teacher."""

    def __init__(self, name, table):
        self.name, self.table = name, table

    def measured(self, column, *teachers):
        return column in self.table and set(teachers) <= set(self.table["method"])

    def check(self, claim):
        """Verdict by Student's t test of the mean difference over pairs, 5 %; it holds if each pair has its sign, too."""
        signs, numbers, tests = [], [], []
        for column, a, b in claim.comparisons:
            found = difference(self.table, column, a, b)
            up = 1 if higher_is_better(column) else -1
            scale = 100 if column.startswith("accuracy") else 1
            own = ", ".join(f"{pair} {scale * mean:+.4f}" for pair, mean in found.pairs.items())
            numbers.append(
                f"{label(column)} {a} - {b} {scale * found.mean:+.4f} ± {scale * found.error:.4f} ({own})"
            )
            significant = found.p < 0.05
            everywhere = all(up * mean > 0 for mean in found.pairs.values())
            signs.append(0 if not significant else -1 if up * found.mean < 0 else int(everywhere))
            tests.append(f"p = {found.p:.2g}, {found.freedom} degrees of freedom")
        verdict = "fails" if -1 in signs else "holds" if set(signs) == {1} else "not significant"
        if not found.freedom:
            verdict = "undecidable"
        return (
            verdict,
            "; ".join(numbers),
            f"paired t test within pairs and seeds: {'; '.join(tests)}",
        )


class PrintedMeans:
    """Printed means, {group: {model: {column: value}}}: without standard errors only their order can be read.

    A claim must hold in every group, such as the teachers of Table IV.
    """

    def __init__(self, name, groups):
        self.name, self.groups, self.names = name, groups, PRINTED

    def measured(self, column, *models):
        column = self.names.get(column, column)
        return all(
            pd.notna(values.get(model, {}).get(column))
            for values in self.groups.values()
            for model in models
        )

    def check(self, claim):
        """Verdict by the order of the printed means."""
        right, numbers = 0, []
        for (group, values), (column, a, b) in product(self.groups.items(), claim.comparisons):
            column = self.names.get(column, column)
            first, second = (float(values[model][column]) for model in (a, b))
            right += first > second if higher_is_better(column) else first < second
            numbers.append(f"{group} {label(column)} {a} {first:g}, {b} {second:g}".strip())
        verdict = "holds" if right == len(numbers) else "fails"
        return (
            verdict,
            "; ".join(numbers),
            f"printed means, no errors given: {right} of {len(numbers)} as claimed",
        )


def ledger(studies):
    """Return the ledger as a table, one row a claim and study; studies: {kind: [objects with `check` and `measured`]}."""
    rows = []
    for claim in CLAIMS:
        for study in studies.get(RANKS if claim.kind == BEST else claim.kind, []):
            compared = [
                (column, a) if claim.kind == BEST else (column, a, b)
                for column, a, b in claim.comparisons
            ]
            if not any(column == "cwece" for column, *_ in compared) and study.name.endswith(
                "Eq. 2"
            ):
                continue  # the same numbers as with the printed cwECE
            lacking = sorted(
                {
                    " ".join(names)
                    for column, *names in compared
                    if not study.measured(column, *names)
                }
            )
            if lacking:
                found = "not measured", "", f"lacks {', '.join(lacking[:3])}"
            else:
                found = study.check_best(claim) if claim.kind == BEST else study.check(claim)
            rows.append(Finding(claim.name, claim.statement, claim.where, study.name, *found))
    return pd.DataFrame(rows, columns=Finding._fields)
