"""Checking claims: each against the printed numbers and against this run.

Verdicts: `holds`; `fails`; `not significant`, when the numbers do not contradict the claim beyond
chance, nor bear it out; `undecidable`, when this run is too small to decide; `not measured`, when
it lacks what is compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from ils.paper import PRINTED
from ils.statistics.claims import BEST, CLAIMS, RANKS, Claim
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


class Check(NamedTuple):
    """What became of a claim: the verdict, the numbers that it rests on and the test used."""

    verdict: str
    numbers: str
    test: str


class Finding(NamedTuple):
    """One row of the ledger."""

    claim: str
    statement: str
    where: str
    study: str
    verdict: str
    numbers: str
    test: str


class Study(Protocol):
    """Numbers on which claims are checked. `measured` says whether it has a column of models."""

    name: str

    def measured(self, column: str, *models: str) -> bool: ...

    def check(self, claim: Claim) -> Check: ...


def higher_is_better(column: str) -> bool:
    """Whether more is better in a column; of any that is no accuracy less is."""
    return (column in METRICS and METRICS[column].higher_is_better) or column.startswith("accuracy")


def label(column: str) -> str:
    """How the ledger calls a column."""
    return LABELS.get(column, column.replace("_", " "))


def verdict_by(signs: Sequence[int]) -> str:
    """The verdict of differences: 1 as claimed, -1 the opposite, 0 neither beyond chance."""
    if -1 in signs:
        return "fails"
    return "holds" if set(signs) == {1} else "not significant"


class Ranking:
    """Average ranks and pairwise tests of one study, as rank_methods.py wrote them.

    `cwece` says which cwECE it takes. `printed`: the numbers themselves are claimed about, so the
    wrong order is a failure however small.
    """

    def __init__(
        self,
        name: str,
        ranks: pd.DataFrame,
        average_ranks: pd.DataFrame,
        friedman: pd.DataFrame,
        pairwise: pd.DataFrame,
        cwece: str,
        printed: bool,
    ):
        self.name, self.printed, self.names = name, printed, {"cwece": cwece}
        self.ranks, average_ranks, friedman, pairwise = (
            t.query("pool == 'all'") for t in (ranks, average_ranks, friedman, pairwise)
        )
        self.averages = average_ranks.set_index(["metric", "method"])["average_rank"]
        self.tests = friedman.set_index("metric")
        pairs = pairwise.set_index(["metric", "method_1", "method_2"])
        self.p_values = pd.concat([pairs, pairs.swaplevel(1, 2)])["wilcoxon_p"]

    def measured(self, column: str, *models: str) -> bool:
        metric = self.names.get(column, column)
        return all((metric, method) in self.averages.index for method in models)

    def check(self, claim: Claim) -> Check:
        """Check a claim about average ranks, or about how often a method is the best."""
        if claim.kind == BEST:
            return self.check_best(claim)
        comparisons = [(self.names.get(metric, metric), a, b) for metric, a, b in claim.comparisons]
        gains = {(m, a, b): self.averages[m, b] - self.averages[m, a] for m, a, b in comparisons}
        cds = {m: self.tests.loc[m, "critical_difference"] for m, *_ in comparisons}
        right = [gain > 0 for gain in gains.values()]
        clear = [gain > cds[metric] for (metric, *_), gain in gains.items()]
        opposed = [gain < -cds[metric] for (metric, *_), gain in gains.items()]
        if all(clear if claim.significant else right):
            verdict = "holds"
        else:
            wrong = any(opposed) or (self.printed and not all(right))
            verdict = "fails" if wrong else "not significant"
        if verdict == "not significant" and max(cds.values()) >= self.tests["k"].max() - 1:
            verdict = "undecidable"
        wilcoxon = sum(self.p_values[c] < 0.05 for c, gain in gains.items() if gain > 0)
        test = (
            f"Nemenyi, CD {max(cds.values()):.2f}: {sum(clear)} of {len(gains)} differences exceed "
            f"it, {sum(right)} have the claimed sign; Wilcoxon unadjusted: {wilcoxon} with p < 0.05"
        )
        return Check(verdict, "; ".join(self.listing(metric, comparisons) for metric in cds), test)

    def listing(self, metric: str, comparisons: Iterable[tuple]) -> str:
        """The average ranks that a claim compares, best first within each side.

        Such as "CE: ILS 2.68 against LS 8.09".
        """
        sides = [dict.fromkeys(c[side] for c in comparisons if c[0] == metric) for side in (1, 2)]
        ordered = [sorted(side, key=lambda method: self.averages[metric, method]) for side in sides]
        texts = [
            ", ".join(f"{method} {self.averages[metric, method]:.2f}" for method in side[:4])
            for side in ordered
        ]
        return f"{label(metric)}: " + " against ".join(texts)

    def check_best(self, claim: Claim) -> Check:
        """Check a claim about how often a method is the best of its pair."""
        ((metric, method, share),) = claim.comparisons
        cells = self.ranks[self.ranks["metric"] == metric]
        best = cells.groupby(["network", "dataset"])["rank"].transform("min")
        lost = cells[(cells["method"] == method) & (cells["rank"] > best)]
        blocks = int(self.tests.loc[metric, "n"])
        verdict = "holds" if len(lost) <= share * blocks + 1e-9 else "fails"
        numbers = f"not the best in {len(lost)} of {blocks}"
        if len(lost):
            pairs = (f"{cell.network} {cell.dataset}" for cell in lost.itertuples())
            numbers += f": {', '.join(pairs)}"
        return Check(verdict, numbers, "count; equal values share the best")


class Replicates:
    """The models of one setup of the synthetic study, one row a replicate and model."""

    def __init__(self, name: str, models: pd.DataFrame, cwece: str):
        self.name, self.names = name, {"cwece": cwece}
        self.models = models.set_index(["model", "replicate"]).sort_index()
        self.count = models["replicate"].nunique()

    def measured(self, column: str, *models: str) -> bool:
        known = self.models.index.get_level_values("model")
        return self.names.get(column, column) in self.models and set(models) <= set(known)

    def check(self, claim: Claim) -> Check:
        """Check a claim by paired differences over the replicates.

        It holds if all are further than two standard errors from 0, and fails if one is so the
        other way round.
        """
        signs, numbers = [], []
        for column, a, b in claim.comparisons:
            column = self.names.get(column, column)
            differences = self.models.loc[a, column] - self.models.loc[b, column]
            mean, error = mean_and_error(differences.to_numpy(float))
            scale = 100 if column.startswith("accuracy") else 1
            numbers.append(f"{label(column)} {a} - {b} {scale * mean:+.4f} ± {scale * error:.4f}")
            gain = mean if higher_is_better(column) else -mean
            signs.append(int(np.sign(gain)) if abs(gain) > 2 * error else 0)
        verdict = "undecidable" if self.count < FEWEST else verdict_by(signs)
        test = (
            f"paired over {self.count} replicates, two standard errors: {signs.count(1)} as "
            f"claimed, {signs.count(-1)} opposite, of {len(signs)}"
        )
        return Check(verdict, "; ".join(numbers), test)


class Distilled:
    """Students of Table IV, one row a pair of network and dataset, seed and teacher.

    The column `method` names the method that trained the teacher.
    """

    def __init__(self, name: str, table: pd.DataFrame):
        self.name, self.table = name, table

    def measured(self, column: str, *models: str) -> bool:
        return column in self.table and set(models) <= set(self.table["method"])

    def check(self, claim: Claim) -> Check:
        """Check a claim by Student's t test of the mean difference over pairs, 5 %.

        It holds if each pair's difference has its sign, too.
        """
        signs, numbers, tests = [], [], []
        for column, a, b in claim.comparisons:
            gap = difference(self.table, column, a, b)
            up = 1 if higher_is_better(column) else -1
            scale = 100 if column.startswith("accuracy") else 1
            pairs = ", ".join(f"{pair} {scale * mean:+.4f}" for pair, mean in gap.pairs.items())
            numbers.append(
                f"{label(column)} {a} - {b} {scale * gap.mean:+.4f} ± {scale * gap.error:.4f} "
                f"({pairs})"
            )
            significant = gap.p < 0.05
            everywhere = all(up * mean > 0 for mean in gap.pairs.values())
            signs.append(0 if not significant else -1 if up * gap.mean < 0 else int(everywhere))
            tests.append(f"p = {gap.p:.2g}, {gap.freedom} degrees of freedom")
        verdict = verdict_by(signs) if gap.freedom else "undecidable"
        test = f"paired t test within pairs and seeds: {'; '.join(tests)}"
        return Check(verdict, "; ".join(numbers), test)


class PrintedMeans:
    """Printed means, {group: {model: {column: value}}}.

    Without standard errors only their order can be read. A claim must hold in every group, such as
    the teachers of Table IV.
    """

    def __init__(self, name: str, groups: Mapping[str, Mapping[Any, Mapping[str, Any]]]):
        self.name, self.groups, self.names = name, groups, PRINTED

    def measured(self, column: str, *models: str) -> bool:
        column = self.names.get(column, column)
        return all(
            pd.notna(values.get(model, {}).get(column))
            for values in self.groups.values()
            for model in models
        )

    def check(self, claim: Claim) -> Check:
        """Check a claim by the order of the printed means."""
        right, numbers = 0, []
        for (group, values), (column, a, b) in product(self.groups.items(), claim.comparisons):
            column = self.names.get(column, column)
            first, second = (float(values[model][column]) for model in (a, b))
            right += first > second if higher_is_better(column) else first < second
            numbers.append(f"{group} {label(column)} {a} {first:g}, {b} {second:g}".strip())
        verdict = "holds" if right == len(numbers) else "fails"
        test = f"printed means, no errors given: {right} of {len(numbers)} as claimed"
        return Check(verdict, "; ".join(numbers), test)


def ledger(studies: Mapping[str, Sequence[Study]]) -> pd.DataFrame:
    """Return the ledger as a table, one row a claim and study; studies: {kind: those of it}."""
    rows = []
    for claim in CLAIMS:
        for study in studies.get(RANKS if claim.kind == BEST else claim.kind, []):
            by_eq_2 = study.name.endswith("Eq. 2")
            if by_eq_2 and not any(column == "cwece" for column, *_ in claim.comparisons):
                continue  # the same numbers as with the printed cwECE
            check = checked(claim, study)
            rows.append(Finding(claim.name, claim.statement, claim.where, study.name, *check))
    return pd.DataFrame(rows, columns=Finding._fields)


def checked(claim: Claim, study: Study) -> Check:
    """Check a claim on a study; "not measured" where that lacks some of what is compared."""
    compared = [c[:2] if claim.kind == BEST else c for c in claim.comparisons]
    lacking = {" ".join(names) for column, *names in compared if not study.measured(column, *names)}
    if lacking:
        return Check("not measured", "", f"lacks {', '.join(sorted(lacking)[:3])}")
    return study.check(claim)
