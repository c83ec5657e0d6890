"""Check every claim of the paper on its printed numbers and on this run: the ledger, as csv and as LaTeX."""

import pandas as pd

from ils.document.latex import escape, wide_table
from ils.files import read_csv, write_csv, write_text
from ils.job import log, run
from ils.paper import PRINTED
from ils.statistics.claims import BEST, CLAIMS, DISTILLATION, RANKS, REPLICATES
from ils.statistics.comparison import printed_distillation, printed_synthetic, with_figures
from ils.statistics.ledger import Distilled, PrintedMeans, Ranking, Replicates, ledger

CAPTION = (
    r"Claims of the paper, checked on its printed numbers and on this run. Ranks: by the average rank over dataset-network "
    r"pairs; significant: by Nemenyi's test. Synthetic data: by paired differences over the replicates, two standard errors. "
    r"Distillation: by a t test over seeds within pairs. cwECE is what the paper prints; where Eq.~2 gives another verdict, "
    r"that follows. The numbers are in \texttt{claims.csv}."
)
TITLES = {REPLICATES: "Synthetic data", RANKS: "Real data", DISTILLATION: "Distillation"}
CWECE = {"": PRINTED["cwece"], ", Eq. 2": "cwece"}


def verdicts(rows):
    """The verdicts of one claim on this run, LaTeX; an Eq. 2 that says the same is left out."""
    found = {
        row.study.removeprefix("this run").strip(", "): row.verdict for row in rows.itertuples()
    }
    kept = {
        s: v
        for s, v in found.items()
        if not s.endswith("Eq. 2") or v != found[s.removesuffix("Eq. 2").strip(", ")]
    }
    return (
        r" \newline ".join(
            escape(f"{study}: {verdict}" if study else verdict) for study, verdict in kept.items()
        )
        or "not measured"
    )


def claims(
    published,
    run_ranks,
    printed_tables,
    printed_table4,
    replicates,
    arrays,
    long_grid,
    distillation,
    csv,
    tex,
):
    """published, run_ranks: the four files of rank_methods.py; replicates, arrays: {setup: files of its jobs}.

    distillation: metrics of distilled students, or None where the run has none.
    """
    paper, tables = [read_csv(path) for path in published], [read_csv(path) for path in run_ranks]
    models = {
        setup: pd.concat(map(read_csv, paths), ignore_index=True)
        for setup, paths in replicates.items()
    }
    models = {
        setup: with_figures(table, arrays[setup], long_grid) for setup, table in models.items()
    }
    studies = {
        RANKS: [Ranking("paper", *paper, PRINTED["cwece"], True)]
        + [Ranking(f"this run{ending}", *tables, cwece, False) for ending, cwece in CWECE.items()],
        REPLICATES: [PrintedMeans("paper", {"": printed_synthetic(printed_tables)})]
        + [
            Replicates(f"this run, {s}{ending}", m, cwece)
            for s, m in models.items()
            for ending, cwece in CWECE.items()
        ],
        DISTILLATION: [PrintedMeans("paper", printed_distillation(printed_table4))]
        + ([Distilled("this run", read_csv(distillation))] if distillation else []),
    }
    found = ledger(studies)
    write_csv(csv, found)
    log.info("%s", found.groupby(["study", "verdict"]).size().to_dict())
    blocks = {kind: [] for kind in TITLES}
    for claim in CLAIMS:
        rows = found[found["claim"] == claim.name]
        paper_verdict = rows[rows["study"] == "paper"]["verdict"].item()
        cells = [
            escape(claim.statement),
            escape(claim.where),
            escape(paper_verdict),
            verdicts(rows[rows["study"] != "paper"]),
        ]
        blocks[RANKS if claim.kind == BEST else claim.kind].append(cells)
    header = ["Claim", "Where", "Printed", "This run"]
    widths = r"p{.5\textwidth}p{.13\textwidth}p{.12\textwidth}p{.2\textwidth}"
    write_text(
        tex,
        wide_table(
            CAPTION, "tab:claims", header, [(TITLES[k], b) for k, b in blocks.items()], widths
        ),
    )


if __name__ == "__main__":
    run(
        claims,
        snakemake,
        published=snakemake.input.published,
        run_ranks=snakemake.input.ranks,
        printed_tables=snakemake.input.printed,
        printed_table4=snakemake.input.printed4,
        replicates={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        arrays={setup: snakemake.input[f"arrays_{setup}"] for setup in snakemake.params.setups},
        long_grid=snakemake.params.long_grid,
        distillation=snakemake.input.get("distillation"),
        csv=snakemake.output.csv,
        tex=snakemake.output.tex,
    )
