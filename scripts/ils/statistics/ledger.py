"""Checking claims: each against the printed numbers and against this run.

Printed numbers have no errors: only their order can be read, or Nemenyi's test of it. This run is
judged by the rules of `decision`. Verdicts: `holds`; `fails`; `practically equivalent`;
`undecided`; `not measured`, where a study lacks what is compared; and of printed ranks alone `not
significant`, where a claimed significance is in the order only.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from ils.paper import PRINTED
from ils.plan.metrics import Metric, metrics
from ils.statistics.claims import BEST, CLAIMS, Claim
from ils.statistics.datasets import Datasets
from ils.statistics.decision import (
    Comparison,
    Verdict,
    as_difference,
    binomial_interval,
    compare,
    judge,
)
from ils.statistics.distillation import difference
from ils.statistics.ranks import mid_ranks

FEWEST = 10  # replicates, and pairs of the distillation, below which nothing is decided
CLASSES = 3  # of the synthetic task


class Check(NamedTuple):
    """What became of a claim: the verdict, the numbers that it rests on and the test used.

    Then how many of its comparisons are as claimed, practically equivalent, undecided, and clearly
    the opposite; nan where that is not told apart.
    """

    verdict: str
    numbers: str
    test: str
    as_claimed: float = math.nan
    equivalent: float = math.nan
    undecided: float = math.nan
    opposite: float = math.nan


class Finding(NamedTuple):
    """One row of the ledger."""

    claim: str
    statement: str
    where: str
    study: str
    verdict: str
    numbers: str
    test: str
    as_claimed: float
    equivalent: float
    undecided: float
    opposite: float


class Study(Protocol):
    """Numbers on which claims are checked. `measured` says whether it has a column of models."""

    name: str

    def measured(self, column: str, *models: str) -> bool: ...

    def check(self, claim: Claim) -> Check: ...


OTHER = Metric("", "", rope=0)  # what is known of a column that is no metric, such as epsilon


def known(column: str) -> Metric:
    """What is known of a column: of the accuracy on a part what is of accuracy."""
    return metrics().get("accuracy" if column.startswith("accuracy") else column, OTHER)


def label(column: str) -> str:
    """How the ledger calls a column."""
    return metrics()[column].short if column in metrics() else column.replace("_", " ")


class Judged(ABC):
    """A study whose gains over units, datasets or replicates, are judged by the rules.

    gains(column, better, worse): those (n,) of a comparison; units: what they are, for the text;
    below `fewest` of them nothing is decided.
    """

    units, fewest = "datasets", 1
    name: str
    names: Mapping[str, str] = {}

    @abstractmethod
    def gains(self, column: str, better: str, worse: str) -> Sequence[float] | np.ndarray: ...

    def column(self, name: str) -> str:
        """The column that a claim means."""
        return self.names.get(name, name)

    def check(self, claim: Claim) -> Check:
        """Judge a claim by the gains of its comparisons."""
        results, numbers = [], []
        for name, a, b in claim.comparisons:
            column = self.column(name)
            results.append(compare(self.gains(column, a, b), known(column).rope))
            numbers.append(difference_text(column, a, b, results[-1]))
        verdict, n = judge(results, claim.considerable), min(c.n for c in results)
        test = f"exact signed-rank tests over {n} {self.units}"
        if n < self.fewest:
            verdict = Verdict("undecided", 0, 0, len(results), 0)
            test = f"{n} {self.units}: {self.fewest} are needed to decide"
        elif not all(math.isfinite(c.low) for c in results):
            test = f"{n} {self.units}: a test at one-sided 2.5 % needs 6"
        counts = f"{verdict.as_claimed} as claimed, {verdict.equivalent} equivalent, "
        counts += f"{verdict.undecided} undecided, {verdict.opposite} opposite, of {len(results)}"
        return Check(verdict.word, "; ".join(numbers), f"{test}: {counts}", *verdict[1:])


def difference_text(column: str, a: str, b: str, gain: Comparison) -> str:
    """A difference with its interval, such as "CE ILS - LS -0.0132 [-0.0201, -0.0083]"."""
    metric = known(column)
    gains = (metric.factor * end for end in (gain.estimate, gain.low, gain.high))
    value, low, high = as_difference(*gains, higher_is_better=metric.higher_is_better)
    of = f"{label(column)}{' x K' * metric.mean_over_classes}"
    return f"{of} {a} - {b} {value:+.4f} [{low:+.4f}, {high:+.4f}]"


class Run(Judged):
    """A run's metrics by dataset. `cwece` says which cwECE it takes."""

    def __init__(self, name: str, datasets: Datasets, cwece: str):
        self.name, self.datasets, self.names = name, datasets, {"cwece": cwece}

    def gains(self, column: str, better: str, worse: str) -> pd.Series:
        return self.datasets.gains(column, better, worse)

    def measured(self, column: str, *models: str) -> bool:
        of_run = self.datasets
        return self.column(column) in of_run.metrics and set(models) <= set(of_run.columns)

    def check(self, claim: Claim) -> Check:
        """Check a claim by gains over datasets, or how often a method is the best."""
        if claim.kind == BEST:
            return self.check_best(claim)
        return super().check(claim)

    def check_best(self, claim: Claim) -> Check:
        """Check a claim about how often a method is the best, by the binomial interval of that.

        Equal values share the best.
        """
        ((metric, method, may_lose),) = claim.comparisons
        metric = self.column(metric)
        ranks = mid_ranks(self.datasets.means[metric], known(metric).higher_is_better)
        won, n = int((ranks[method] == ranks.min(axis=1)).sum()), len(ranks)
        low, high = binomial_interval(won, n)
        word = "holds" if low >= 1 - may_lose else "fails" if high < 1 - may_lose else "undecided"
        numbers = f"the best on {won} of {n} datasets: {won / n:.0%} [{low:.0%}, {high:.0%}]"
        test = f"binomial interval, 95 %, against the claimed {1 - may_lose:.0%}"
        counts = (word == "holds", False, word == "undecided", word == "fails")
        return Check(word, numbers, test, *map(int, counts))


class Ranking:
    """The printed average ranks, ranked again as rank_methods.py wrote them.

    The numbers themselves are claimed about: the wrong order is a failure, however small.
    """

    def __init__(
        self, name: str, ranks: pd.DataFrame, average_ranks: pd.DataFrame, friedman: pd.DataFrame
    ):
        self.name, self.names = name, PRINTED
        self.ranks, average_ranks, friedman = (
            t.query("pool == 'all'") for t in (ranks, average_ranks, friedman)
        )
        self.averages = average_ranks.set_index(["metric", "method"])["average_rank"]
        self.tests = friedman.set_index("metric")

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
        verdict = "holds" if all(right) else "fails"
        if claim.significant and verdict == "holds" and not all(clear):
            verdict = "not significant"
        test = (
            f"Nemenyi, CD {max(cds.values()):.2f}: {sum(clear)} of {len(gains)} differences exceed "
            f"it, {sum(right)} have the claimed sign"
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


class Replicates(Judged):
    """The models of one setup of the synthetic study, one row a replicate and model."""

    units, fewest = "replicates", FEWEST

    def __init__(self, name: str, models: pd.DataFrame, cwece: str):
        self.name, self.names = name, {"cwece": cwece}
        self.models = models.set_index(["model", "replicate"]).sort_index()

    def measured(self, column: str, *models: str) -> bool:
        present = self.models.index.get_level_values("model")
        return self.column(column) in self.models and set(models) <= set(present)

    def gains(self, column: str, better: str, worse: str) -> np.ndarray:
        """By how much one model is better than another in each replicate that has both; means over
        the three classes summed, as those of datasets are."""
        first, second = (self.models.loc[model, column] for model in (better, worse))
        first, second = first.align(second, join="inner")
        factor = CLASSES if known(column).mean_over_classes else 1
        return factor * known(column).sign * (first - second).to_numpy(float)


class Distilled(Judged):
    """Students of Table IV, one row a pair of network and dataset, seed and teacher.

    The column `method` names the method that trained the teacher.
    """

    units, fewest = "pairs", FEWEST

    def __init__(self, name: str, table: pd.DataFrame):
        self.name, self.table = name, table

    def measured(self, column: str, *models: str) -> bool:
        return column in self.table and set(models) <= set(self.table["method"])

    def gains(self, column: str, better: str, worse: str) -> np.ndarray:
        """By how much students of one teacher are better than those of another, pair by pair."""
        means = difference(self.table, column, better, worse).pairs
        return known(column).sign * np.array(list(means.values()))


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
            right += known(column).sign * (first - second) > 0
            numbers.append(f"{group} {label(column)} {a} {first:g}, {b} {second:g}".strip())
        verdict = "holds" if right == len(numbers) else "fails"
        test = f"printed means, no errors given: {right} of {len(numbers)} as claimed"
        return Check(verdict, "; ".join(numbers), test)


def ledger(studies: Mapping[str, Sequence[Study]]) -> pd.DataFrame:
    """Return the ledger as a table, one row a claim and study; studies: {kind: those of it}."""
    rows = []
    for claim in CLAIMS:
        for study in studies.get(claim.checked_on, []):
            by_eq_2 = study.name.endswith("Eq. 2")
            if by_eq_2 and not any(column == "cwece" for column, *_ in claim.comparisons):
                continue  # the same numbers as with the printed cwECE
            check = checked(claim, study)
            rows.append(Finding(claim.name, claim.statement, claim.where, study.name, *check))
    return pd.DataFrame(rows, columns=Finding._fields)


def of_run(claims: pd.DataFrame) -> pd.DataFrame:
    """The rows of a ledger on this run, with the cwECE that the paper prints."""
    study = claims["study"].str
    return claims[study.startswith("this run") & ~study.endswith("Eq. 2")]


def checked(claim: Claim, study: Study) -> Check:
    """Check a claim on a study; "not measured" where that lacks some of what is compared."""
    compared = [c[:2] if claim.kind == BEST else c for c in claim.comparisons]
    lacking = {" ".join(names) for column, *names in compared if not study.measured(column, *names)}
    if lacking:
        return Check("not measured", "", f"lacks {', '.join(sorted(lacking)[:3])}")
    return study.check(claim)
