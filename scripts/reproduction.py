"""Put all tables and figures into one LaTeX document in the paper's order, each with a sentence on what reproduced."""

import json
from pathlib import Path

from ils.document import findings
from ils.document.document import counts_table, document, drawings, prose
from ils.document.pages import counts
from ils.files import read_csv, write_text
from ils.job import run
from ils.paper import DIAGRAMS
from ils.statistics.ranks import METRICS

HEADING = "Instance-based label smoothing: what this run reproduces"
SIDES = " Left: this run; right: the printed values; below: without the +TempS columns."
NOTE = (
    "Each table and figure stands under one sentence computed from this run's numbers. Verdicts: a claim holds or fails where the "
    "numbers decide it, on synthetic data beyond two standard errors; it is not significant where they neither bear it out nor "
    "contradict it beyond chance, undecidable where this run is too small, not measured where it lacks what is compared. A cell "
    "differs clearly if it does so by two standard errors of a difference of two such means, too."
)


def summary(claims, provenance):
    """The first page: what ran, how many claims hold, and the ledger."""
    packages = ", ".join(
        f"{name} {provenance['packages'][name]}"
        for name in ("torch", "numpy", "scipy", "scikit-learn")
    )
    config = provenance["config"]
    ran = (
        f"This run: {provenance['config_file']}, {len(config['experiments'])} pairs of dataset and network, seeds "
        f"{findings.listed(map(str, config['seeds']))}, methods {findings.listed(m['label'] for m in config['methods'])}. "
        f"Python {provenance['python']}, {packages}; {provenance['processor']}; commit {(provenance['commit'] or 'unknown')[:12]}."
    )
    ledger = r"\begin{block}{The ledger of claims}{}{}\artefact{claims}\end{block}"
    centred = r"\begin{center}" + counts_table(counts(claims, "study", "verdict")) + r"\end{center}"
    return "\n\n".join(
        [prose(ran), prose(findings.verdicts(claims)), centred, prose(NOTE), r"\contents", ledger]
    )


def reproduction(
    claims,
    ours,
    printed,
    discrepancies,
    provenance,
    synthetic,
    distillation,
    figures,
    captions,
    output,
):
    """ours, printed: the csv files of average ranks and Friedman tests; distillation: metrics of distilled students or [].

    synthetic: arguments of findings.synthetic_sentences or None; figures, captions: {artefact: its
    files, its caption's}.
    """
    found = read_csv(discrepancies)
    sentences = findings.real_sentences([*map(read_csv, ours)], [*map(read_csv, printed)], found)
    sentences |= findings.synthetic_sentences(**synthetic) if synthetic else {}
    sentences |= {"table4": findings.distilled(read_csv(path)) for path in distillation}
    texts = {
        name: Path(path).read_text(encoding="utf-8").strip() for name, path in captions.items()
    }
    bodies = {
        name: drawings(names, texts[name] + SIDES * (name in DIAGRAMS))
        for name, names in figures.items()
    }
    artefacts = {
        name: (sentence, bodies.get(name, rf"\artefact{{{name}}}"))
        for name, sentence in sentences.items()
    }
    kinds = counts(found.assign(kind=found["kind"].map(findings.KINDS)), "kind", "metric")
    kinds = kinds.rename(
        columns={name: metric.name for name, metric in METRICS.items()} | {"kind": ""}
    )
    head = r"\begin{block}{Contradictions in the printed Table III}{Their numbers by metric.}{}"
    appendix = head + counts_table(kinds) + r"\end{block}"
    first = summary(read_csv(claims), json.loads(Path(provenance).read_text(encoding="utf-8")))
    write_text(output, document(HEADING, first, artefacts, appendix))


if __name__ == "__main__":
    given, params = snakemake.input, snakemake.params
    synthetic = params.synthetic and {
        "tables": dict(zip(params.synthetic["tables"], given.tables, strict=True)),
        "differences": given.differences,
        "models": given.models,
        "arrays": {setup: given[f"arrays_{setup}"] for setup in params.synthetic["setups"]},
        "curves": given.curves,
        "shown": params.synthetic["shown"],
        "long_grid": params.synthetic["long_grid"],
    }
    run(
        reproduction,
        snakemake,
        claims=given.claims,
        ours=given.ours,
        printed=given.printed,
        discrepancies=given.discrepancies,
        provenance=given.provenance,
        synthetic=synthetic,
        distillation=given.distillation,
        figures=params.figures,
        captions=dict(zip(params.figures, given.captions, strict=True)),
        output=snakemake.output[0],
    )
