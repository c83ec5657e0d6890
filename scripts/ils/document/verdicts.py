"""Verdicts counted, for a reader's first page; and of the ledger what this run measures."""

from collections.abc import Iterable

import pandas as pd

from ils.document.pages import counts
from ils.document.words import listed
from ils.plan.metrics import Metric
from ils.statistics.claims import CLAIMS, DISTILLATION, RANKS, REPLICATES
from ils.statistics.ledger import of_run

PLACES = {
    RANKS: "on real data",
    REPLICATES: "on synthetic data",
    DISTILLATION: "on distillation",
}
UNMEASURED = "not measured"


def measured(claims: pd.DataFrame) -> pd.DataFrame:
    """The rows of a ledger on claims that this run measures in some setup."""
    ours = of_run(claims)
    return claims[claims["claim"].isin(ours.loc[ours["verdict"] != UNMEASURED, "claim"])]


def left_out(claims: pd.DataFrame) -> str:
    """A sentence on what `measured` leaves out, and why; "" where it leaves out nothing."""
    names = set(measured(claims)["claim"])
    parts = []
    for kind, place in PLACES.items():
        of_kind = [claim.name in names for claim in CLAIMS if claim.checked_on == kind]
        if not all(of_kind):
            parts.append(f"{of_kind.count(False)} of {len(of_kind)} {place}")
    if not parts:
        return ""
    why = "Left out are claims that this study does not measure, as it lacks what they compare"
    return f"{why}: {listed(parts)}."


def claim_counts(claims: pd.DataFrame) -> pd.DataFrame:
    """How many of the claims that this run measures have which verdict, a row a study.

    That is by the cwECE that the paper prints.
    """
    rows = measured(claims)
    return counts(rows[~rows["study"].str.endswith("Eq. 2")], "study", "verdict")


def comparison_counts(comparisons: pd.DataFrame, shown: Iterable[Metric]) -> pd.DataFrame:
    """How many headline pairs, or of a study without them all pairs, have which verdict.

    A row is one of the metrics `shown`.
    """
    titles = {metric.name: metric.title for metric in shown}
    rows = comparisons[comparisons["trainings"].isna() & comparisons["metric"].isin(titles)]
    rows = rows[rows["headline"]] if rows["headline"].any() else rows
    return counts(rows.assign(metric=rows["metric"].map(titles)), "metric", "verdict")


def first_page(claims: pd.DataFrame, comparisons: pd.DataFrame, shown: Iterable[Metric]) -> str:
    """Both counts as reStructuredText, each under its title, and what is left out."""
    parts = [
        "**The paper's claims**",
        simple_table(claim_counts(claims)),
        left_out(claims),
        "**Headline comparisons**",
        simple_table(comparison_counts(comparisons, shown)),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def simple_table(frame: pd.DataFrame) -> str:
    """Return a table as reStructuredText; "" for one without rows."""
    if frame.empty:
        return ""
    rows = [list(map(str, row)) for row in (frame.columns, *frame.itertuples(index=False))]
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])
