"""What a run found, in one paragraph computed from its tables: the first thing a reader meets.

Plain text; the report, the document and the terminal show it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from ils.document.advice import advice
from ils.document.pages import VERDICTS
from ils.document.verdicts import PLACES, UNMEASURED
from ils.document.words import difference, listed
from ils.plan.metrics import Metric, metrics
from ils.statistics.claims import CLAIMS
from ils.statistics.ledger import of_run

CE = "cross_entropy"


def found(
    table: pd.DataFrame,
    comparisons: pd.DataFrame,
    power: pd.DataFrame,
    claims: pd.DataFrame,
    shown: Iterable[Metric],
    baseline: str | None = None,
) -> str:
    """The paragraph; the tables are those of compute_metrics.py, decide.py and claims.py.

    shown: the metrics of Table III; `in_words` says which of them the headline comparison names;
    baseline: that of `advice`.
    """
    sentences = [
        size(table),
        advice(comparisons, baseline),
        *verdicts(claims),
        *headline(comparisons, power, in_words(shown)),
        calibrated(table),
    ]
    return " ".join(filter(None, sentences))


def in_words(shown: Iterable[Metric]) -> list[Metric]:
    """The metrics that sentences name: those whose gains are on the metric's own scale."""
    return [metric for metric in shown if not metric.mean_over_classes]


def size(table: pd.DataFrame) -> str:
    """On how many datasets, pairs and splits the study stands."""
    datasets = table["dataset"].nunique()
    pairs = len(table.drop_duplicates(["network", "dataset"]))
    cells = len(table.drop_duplicates(["network", "dataset", "seed"]))
    of = f"{table['method'].nunique()} columns on {datasets} dataset{'s' * (datasets > 1)}"
    return f"{of} ({pairs} pairs with networks, {cells} pairs and seeds)."


def verdicts(claims: pd.DataFrame) -> Iterator[str]:
    """How many of the paper's claims hold, fail, ... in this run, one sentence a kind of data.

    There is none on what the run does not measure.
    """
    kinds, ours = {claim.name: claim.checked_on for claim in CLAIMS}, of_run(claims)
    for kind, place in PLACES.items():
        rows = ours[ours["claim"].map(kinds) == kind]
        for study, group in rows.groupby("study", sort=False):
            setup = study.removeprefix("this run").strip(", ")
            count = group["verdict"].value_counts()
            lacking = count.pop(UNMEASURED) if UNMEASURED in count else 0
            if count.empty:
                continue
            said = [
                f"{count[word]} {verb(word, count[word])}" for word in VERDICTS if word in count
            ]
            under = f" under {setup}" if setup else ""
            of = f" this study measures {count.sum()}:" * bool(lacking)
            yield f"Of the paper's {len(group)} claims {place}{under}{of} {listed(said)}."


def verb(word: str, count: int) -> str:
    """A verdict after a number: "1 holds", "2 hold", "3 are undecided"."""
    if word in ("holds", "fails"):
        return word if count == 1 else word.removesuffix("s")
    return f"{'is' if count == 1 else 'are'} {word}"


def headline(
    comparisons: pd.DataFrame, power: pd.DataFrame, shown: Sequence[Metric]
) -> Iterator[str]:
    """The first headline pair by the metrics shown, and what the study could have found of it; the
    others by cross-entropy."""
    headlines = comparisons[comparisons["headline"]]
    pairs = headlines[headlines["trainings"].isna()]
    if pairs.empty:
        return
    first = tuple(pairs.iloc[0][["better", "worse"]])
    ours = pairs.set_index(["better", "worse", "metric"]).sort_index()
    texts = [
        f"{metric.title} {judged(ours.loc[(*first, metric.name)], metric)}"
        for metric in shown
        if (*first, metric.name) in ours.index
    ]
    yield f"{first[0]} less {first[1]}: {'; '.join(texts)}."
    sizes = power.set_index(["better", "worse", "metric"])["smallest_found"]
    if (*first, CE) in sizes.index:
        size = sizes.loc[(*first, CE)]
        found = (
            f"A true difference of {size:.4f} nats between them is found by 80 % of such studies."
        )
        yield found if math.isfinite(size) else "To find any difference it takes six datasets."
    if equal := at_equal_budgets(headlines, first[0]):
        yield equal
    if rest := others(pairs[(pairs["metric"] == CE)].iloc[1:]):
        yield rest
    sizes_of_none = listed(map(rope_in_words, shown), "or")
    yield f"Within {sizes_of_none} a difference is practically none."


def rope_in_words(metric: Metric) -> str:
    """The size of a difference that is practically none: "0.01 nats", "0.005 of accuracy"."""
    own_unit = metric.unit and metric.factor == 1
    return f"{metric.rope:g} {metric.unit if own_unit else f'of {metric.title}'}"


def others(pairs: pd.DataFrame) -> str:
    """Which of these headline pairs differ by cross-entropy, and how many do not; "" for none."""
    decided = pairs["verdict"].isin(["better", "worse"])
    differ, same = pairs[decided], pairs.loc[~decided, "verdict"].value_counts()
    texts = [
        f"{row.better} less {row.worse} {judged(row._asdict(), metrics()[CE])}"
        for row in differ.itertuples()
    ]
    if len(same):
        counts = listed(f"{count} {verb(word, count)}" for word, count in same.items())
        texts.append(f"of {same.sum()} {'other ' * bool(texts)}headline pairs {counts}")
    return f"By cross-entropy {'; '.join(texts)}." if texts else ""


def at_equal_budgets(headlines: pd.DataFrame, better: str) -> str:
    """How a column differs from others that may train as often, by cross-entropy; "" for none."""
    shown = headlines["trainings"].notna() & (headlines["metric"] == CE)
    equal = [
        f"{row.worse} {judged(row._asdict(), metrics()[CE])} with {row.trainings:g} trainings each"
        for row in headlines[shown & (headlines["better"] == better)].itertuples()
    ]
    if not equal:
        return ""
    return f"At equal budgets, its teacher's training counted, {better} less {listed(equal)}."


def judged(row: Mapping[str, Any], metric: Metric) -> str:
    """The difference of two columns with its 95 % interval and verdict."""
    return f"{difference(row, metric)} ({row['verdict']})"


def calibrated(table: pd.DataFrame) -> str:
    """How much of the ECE is what a calibrated model would show, and how many cells may be one."""
    if not {"ece", "ece_floor", "ece_p"} <= set(table):
        return ""
    share = table["ece_floor"].mean() / table["ece"].mean()
    open_cells = (table["ece_p"] > 0.05).mean()
    return (
        f"{share:.0%} of the mean ECE is its floor, what perfectly calibrated predictions would "
        f"show, and {open_cells:.0%} of the cells cannot be told from calibrated ones."
    )


def decision_sentences(
    comparisons: pd.DataFrame, claims: pd.DataFrame, shown: Iterable[Metric]
) -> dict[str, str]:
    """Sentences on the figures of what the run decides, {artefact: sentence}."""
    full = comparisons["headline"] & comparisons["trainings"].isna()
    names = [metric.name for metric in in_words(shown)]
    pairs = comparisons[full & comparisons["metric"].isin(names)]
    parts = []
    for metric, rows in pairs.groupby("metric", sort=False):
        count = rows["verdict"].value_counts()
        title = metrics()[str(metric)].title
        parts.append(f"by {title} {listed(f'{n} {w}' for w, n in count.items())}")
    headlines = comparisons[comparisons["headline"]]
    budget = at_equal_budgets(headlines, headlines["better"].iloc[0]) if len(headlines) else ""
    total = len(pairs.drop_duplicates(["better", "worse"]))
    return {
        "forest": f"The first of each of {total} headline pairs: {'; '.join(parts)}."
        if parts
        else "This study names no headline pairs that it has columns for.",
        "budget": budget or "No headline pair has searches of equal cost.",
        "claim_bars": verdicts_in_short(of_run(claims)),
    }


def verdicts_in_short(findings: pd.DataFrame) -> str:
    """How many comparisons of all claims came out which way."""
    columns = ["as_claimed", "equivalent", "undecided", "opposite"]
    sums = findings[columns].sum().astype(int)
    return (
        f"Of {sums.sum()} comparisons {sums['as_claimed']} are as claimed, {sums['equivalent']} "
        f"practically equivalent, {sums['undecided']} undecided and {sums['opposite']} clearly the "
        "opposite."
    )
