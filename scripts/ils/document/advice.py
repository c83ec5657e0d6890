"""What to use on such data: what is clearly better than training the teacher as often, and what
calibrators add; docs/deciding.md has the rules.

Whoever picks from several takes the best of several chances: every verdict here is corrected by
Holm over all that are compared with one column by one metric.
"""

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from ils.columns import joined, parts
from ils.document.words import difference, listed
from ils.plan.metrics import metrics
from ils.statistics.decision import Comparison, sort_out

CE = "cross_entropy"
GUARDS = "accuracy", "ece"  # by which what is recommended may not be worse
WORDS = ("better", "worse", "practically equivalent", "undecided")
OTHER_WAY = {  # what the columns of a comparison become when its two sides are exchanged
    "better": "worse",
    "worse": "better",
    "p_better": "p_worse",
    "p_worse": "p_better",
    "low": "high",
    "high": "low",
    "low90": "high90",
    "high90": "low90",
}


def advice(comparisons: pd.DataFrame, baseline: str | None) -> str:
    """The sentences on what to use; "" where the study has no `baseline`.

    comparisons: rows of decide.py; baseline: the column of a control that trains the teacher's
    method as often as others train theirs.
    """
    if not baseline:
        return ""
    equal = comparisons[comparisons["trainings"].notna()]
    full = comparisons[comparisons["trainings"].isna()]
    _, calibrator = parts(baseline)
    return " ".join([*at_equal_budget(equal, baseline), *others(full, calibrator)])


def against(comparisons: pd.DataFrame, column: str, others: Iterable[str] | None = None):
    """The rows that compare others, or some of them, with a column, as gains of the others."""
    turned = comparisons[comparisons["better"] == column].rename(columns=OTHER_WAY)
    ends = ["estimate", "low", "high", "low90", "high90"]
    turned = turned.assign(**{name: -turned[name] for name in ends})
    rows = pd.concat([comparisons[comparisons["worse"] == column], turned[comparisons.columns]])
    return rows if others is None else rows[rows["better"].isin(list(others))]


def verdicts(rows: pd.DataFrame) -> pd.Series:
    """The verdict on each row within their family, by the column that may be better."""
    of_rows = [Comparison(*row) for row in rows[list(Comparison._fields)].itertuples(index=False)]
    return pd.Series(sort_out(of_rows), index=rows["better"].to_numpy(), dtype=object)


def grouped(words: pd.Series) -> str:
    """Columns by their verdicts: "A and B better; C undecided"."""
    groups = ((word, words.index[words == word]) for word in WORDS)
    return "; ".join(f"{listed(names)} {word}" for word, names in groups if len(names))


def at_equal_budget(equal: pd.DataFrame, baseline: str) -> Iterator[str]:
    """What is better than the baseline with as many trainings, and what of it to use."""
    rows = against(equal, baseline)
    by_ce = rows[rows["metric"] == CE]
    if by_ce.empty:
        return
    words = verdicts(by_ce)
    counts = [f"{n:g}" for n in sorted({by_ce["trainings"].min(), by_ce["trainings"].max()})]
    yield (
        f"Against {baseline}, with {' to '.join(counts)} trainings each, by cross-entropy "
        f"{grouped(words)} (by Holm over {len(words)})."
    )
    better = list(words.index[words == "better"])
    worse = {name: verdicts(rows[rows["metric"] == name]) for name in GUARDS}
    kept = [c for c in better if all(found.get(c) != "worse" for found in worse.values())]
    if not kept:
        yield "None is clearly better and by neither accuracy nor ECE worse: nothing replaces it."
        return
    gains = [
        f"{row.better} ({difference(row._asdict(), metrics()[CE])})"
        for row in by_ce.itertuples()
        if row.better in kept
    ]
    yield f"To be used, then: {listed(gains)}."
    yield from among(kept, equal[equal["metric"] == CE])


def among(columns: Sequence[str], equal: pd.DataFrame) -> Iterator[str]:
    """Which of several columns are better than another of them at an equal budget."""
    rows = equal[equal["better"].isin(columns) & equal["worse"].isin(columns)]
    if rows.empty:
        return
    words = verdicts(rows).to_numpy()
    differ = [
        f"{a if word == 'better' else b} than {b if word == 'better' else a}"
        for word, a, b in zip(words, rows["better"], rows["worse"])
        if word in ("better", "worse")
    ]
    same = sum(words == "practically equivalent")
    yield (
        f"Of the {len(rows)} pairs of these {same} are practically equivalent and "
        + (f"{len(differ)} differ: better is {listed(differ)}." if differ else "none differs.")
    )


def others(full: pd.DataFrame, calibrator: str) -> Iterator[str]:
    """What other calibrators do in place of this one, by cross-entropy and by ECE."""
    columns = pd.unique(full[["better", "worse"]].to_numpy().ravel())
    further: dict[str, list[str]] = {}
    for column in columns:
        method, own = parts(column)
        if own not in ("", calibrator) and (first := joined(method, calibrator)) in columns:
            further.setdefault(first, []).append(column)
    if not further:
        return
    rows = pd.concat([against(full, *pair) for pair in further.items()])
    for metric in (CE, "ece"):
        words = verdicts(rows[rows["metric"] == metric])
        yield (
            f"In place of {listed(further)}, by {metrics()[metric].title} {grouped(words)} "
            f"(by Holm over {len(words)})."
        )
