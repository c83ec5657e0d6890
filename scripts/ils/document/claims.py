"""The ledger of claims as LaTeX."""

import pandas as pd

from ils.document.latex import escape, wide_table
from ils.statistics.claims import BEST, CLAIMS, DISTILLATION, RANKS, REPLICATES

CAPTION = (
    r"Claims of the paper, checked on its printed numbers and on this run. Ranks: by the average "
    r"rank over dataset-network pairs; significant: by Nemenyi's test. Synthetic data: by paired "
    r"differences over the replicates, two standard errors. Distillation: by a t test over seeds "
    r"within pairs. cwECE is what the paper prints; where Eq.~2 gives another verdict, that "
    r"follows. The numbers are in \texttt{claims.csv}."
)
TITLES = {REPLICATES: "Synthetic data", RANKS: "Real data", DISTILLATION: "Distillation"}
WIDTHS = r"p{.5\textwidth}p{.13\textwidth}p{.12\textwidth}p{.2\textwidth}"


def typeset(rows: pd.DataFrame) -> str:
    """The ledger as LaTeX: a block a kind of claim, a row a claim."""
    blocks: dict[str, list] = {kind: [] for kind in TITLES}
    for claim in CLAIMS:
        findings = rows[rows["claim"] == claim.name]
        by_paper = findings["study"] == "paper"
        printed = findings.loc[by_paper, "verdict"].item()
        cells = [*map(escape, (claim.statement, claim.where, printed))]
        kind = RANKS if claim.kind == BEST else claim.kind
        blocks[kind].append([*cells, verdicts(findings[~by_paper])])
    header = ["Claim", "Where", "Printed", "This run"]
    titled = [(TITLES[kind], block) for kind, block in blocks.items()]
    return wide_table(CAPTION, "tab:claims", header, titled, WIDTHS)


def verdicts(findings: pd.DataFrame) -> str:
    """The verdicts of one claim on this run, LaTeX; an Eq. 2 that says the same is left out."""
    names = (study.removeprefix("this run").strip(", ") for study in findings["study"])
    by_study = dict(zip(names, findings["verdict"]))
    lines = [
        escape(f"{study}: {verdict}" if study else verdict)
        for study, verdict in by_study.items()
        if not study.endswith("Eq. 2")
        or verdict != by_study[study.removesuffix("Eq. 2").strip(", ")]
    ]
    return r" \newline ".join(lines) or "not measured"
