"""The ledger of claims as LaTeX."""

from typing import Any

import pandas as pd

from ils.document.latex import escape, wide_table
from ils.document.verdicts import left_out, measured
from ils.statistics.claims import CLAIMS, DISTILLATION, RANKS, REPLICATES

CAPTION = (
    r"Claims of the paper, checked on its printed numbers and on this run. In brackets: how "
    r"many of a claim's comparisons are as claimed/practically equivalent/undecided/clearly the "
    r"opposite, by exact signed-rank tests over datasets, replicates or pairs. Printed numbers "
    r"have no errors: of them the order is read. cwECE is what the paper prints, the ECE within "
    r"each true class, most of which even a calibrated model has; where Eq.~2 gives another "
    r"verdict, that follows. The numbers are in \texttt{claims.csv}."
)
TITLES = {REPLICATES: "Synthetic data", RANKS: "Real data", DISTILLATION: "Distillation"}
WIDTHS = r"p{.44\textwidth}p{.1\textwidth}p{.1\textwidth}p{.32\textwidth}"


def typeset(rows: pd.DataFrame) -> str:
    """The ledger as LaTeX: a block a kind of claim, a row a claim that this run measures."""
    blocks: dict[str, list] = {kind: [] for kind in TITLES}
    of_claims = dict(iter(measured(rows).groupby("claim")))
    for claim in (claim for claim in CLAIMS if claim.name in of_claims):
        findings = of_claims[claim.name]
        by_paper = findings["study"] == "paper"
        printed = findings.loc[by_paper, "verdict"].item()
        cells = [*map(escape, (claim.statement, claim.where, printed))]
        blocks[claim.checked_on].append([*cells, verdicts(findings[~by_paper])])
    header = ["Claim", "Where", "Printed", "This run"]
    titled = [(TITLES[kind], block) for kind, block in blocks.items() if block]
    caption = f"{CAPTION} {left_out(rows)}".strip()
    return wide_table(caption, "tab:claims", header, titled, WIDTHS)


def verdicts(findings: pd.DataFrame) -> str:
    """The verdicts of one claim on this run, LaTeX; an Eq. 2 that says the same is left out."""
    names = (study.removeprefix("this run").strip(", ") for study in findings["study"])
    by_study = dict(zip(names, findings.itertuples()))
    lines = [
        escape(f"{study}: {row.verdict}" if study else row.verdict) + counts(row)
        for study, row in by_study.items()
        if not study.endswith("Eq. 2")
        or row.verdict != by_study[study.removesuffix("Eq. 2").strip(", ")].verdict
    ]
    return r" \newline ".join(lines)


def counts(row: Any) -> str:
    """How many comparisons of a finding say what, where there is more than one."""
    numbers = (row.as_claimed, row.equivalent, row.undecided, row.opposite)
    if not sum(numbers) > 1:  # nan where they are not told apart
        return ""
    return f" ({'/'.join(f'{number:.0f}' for number in numbers)})"
