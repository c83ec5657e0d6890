"""Check every claim of the paper on its printed numbers and on this run: the ledger, as csv and as LaTeX."""

import pandas as pd

from ils.claims import BEST, CLAIMS, DISTILLATION, RANKS, REPLICATES
from ils.comparison import read_printed
from ils.files import read_csv, write_csv, write_text
from ils.job import log, run
from ils.latex import escape, wide_table
from ils.ledger import PrintedMeans, Ranking, Replicates, ledger
from ils.paper import PRINTED

CAPTION = (
    r"Claims of the paper, checked on its printed numbers and on this run. Ranks: by the average rank over dataset-network "
    r"pairs; significant: by Nemenyi's test. Synthetic data: by paired differences over the replicates, two standard errors. "
    r"cwECE is what the paper prints; where Eq.~2 gives another verdict, that follows. The numbers are in \texttt{claims.csv}."
)
TITLES = {REPLICATES: "Synthetic data", RANKS: "Real data", DISTILLATION: "Distillation"}
CWECE = {"": PRINTED["cwece"], ", Eq. 2": "cwece"}


def printed_synthetic(tables):
    """{model: {column: value}} of the printed Tables I, II, V and VI."""
    names = {"No LS": "no_ls", "Standard LS": "ls", "Standard LS-0.2": "ls_0.2", "ILS1": "ils1", "ILS2": "ils2", "ILS": "ils"}
    methods, values = [{"label": label, "name": name} for label, name in names.items()], {}
    for _, model, printed in (row for table in tables for row in read_printed(table, methods)):
        values.setdefault(model, {}).update({key: value for key, value in printed.items() if pd.notna(value)})
    return values


def printed_distillation(path):
    """{teacher and dataset: {mode: {column: value}}} of the printed Table IV."""
    rows = read_csv(path).set_index(["teacher", "dataset"]).iterrows()
    modes = ("no_ls", "ls", "ils")
    return {" ".join(row): {m: {"cross_entropy": v[f"ce_{m}"], "accuracy": v[f"acc_{m}"]} for m in modes} for row, v in rows}


def verdicts(rows):
    """The verdicts of one claim on this run, LaTeX; an Eq. 2 that says the same is left out."""
    found = {row.study.removeprefix("this run").strip(", "): row.verdict for row in rows.itertuples()}
    kept = {s: v for s, v in found.items() if not s.endswith("Eq. 2") or v != found[s.removesuffix("Eq. 2").strip(", ")]}
    return r" \newline ".join(escape(f"{study}: {verdict}" if study else verdict) for study, verdict in kept.items()) or "not measured"


def claims(published, run_ranks, printed_tables, printed_table4, replicates, csv, tex):
    """published, run_ranks: the four files of rank_methods.py; replicates: {setup: csv files}."""
    paper, tables = [read_csv(path) for path in published], [read_csv(path) for path in run_ranks]
    models = {setup: pd.concat(map(read_csv, paths)) for setup, paths in replicates.items()}
    studies = {
        RANKS: [Ranking("paper", *paper, PRINTED["cwece"], True)]
        + [Ranking(f"this run{ending}", *tables, cwece, False) for ending, cwece in CWECE.items()],
        REPLICATES: [PrintedMeans("paper", {"": printed_synthetic(printed_tables)})]
        + [Replicates(f"this run, {s}{ending}", m, cwece) for s, m in models.items() for ending, cwece in CWECE.items()],
        DISTILLATION: [PrintedMeans("paper", printed_distillation(printed_table4))],
    }
    found = ledger(studies)
    write_csv(csv, found)
    log.info("%s", found.groupby(["study", "verdict"]).size().to_dict())
    blocks = {kind: [] for kind in TITLES}
    for claim in CLAIMS:
        rows = found[found["claim"] == claim.name]
        paper_verdict = rows[rows["study"] == "paper"]["verdict"].item()
        cells = [escape(claim.statement), escape(claim.where), escape(paper_verdict), verdicts(rows[rows["study"] != "paper"])]
        blocks[RANKS if claim.kind == BEST else claim.kind].append(cells)
    header = ["Claim", "Where", "Printed", "This run"]
    widths = r"p{.5\textwidth}p{.13\textwidth}p{.12\textwidth}p{.2\textwidth}"
    write_text(tex, wide_table(CAPTION, "tab:claims", header, [(TITLES[k], b) for k, b in blocks.items()], widths))


if __name__ == "__main__":
    run(
        claims,
        snakemake,
        published=snakemake.input.published,
        run_ranks=snakemake.input.ranks,
        printed_tables=snakemake.input.printed,
        printed_table4=snakemake.input.printed4,
        replicates={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        csv=snakemake.output.csv,
        tex=snakemake.output.tex,
    )
