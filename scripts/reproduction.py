"""Put all tables and figures into one LaTeX document in the paper's order.

Each has a sentence on what reproduced.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ils.document import findings
from ils.document.document import CONTRADICTIONS, document, drawings, sides
from ils.document.found import decision_sentences
from ils.document.latex import is_wide
from ils.document.summary import contradictions_table, summary
from ils.files import read_csv, write_text
from ils.job import run
from ils.plan.metrics import Metric

HEADING = "Instance-based label smoothing: what this run reproduces"


def reproduction(
    found: str,
    claims: str,
    comparisons: str,
    ours: Sequence[str],
    printed: Sequence[str],
    discrepancies: str,
    provenance: str,
    synthetic: Mapping[str, Any] | None,
    distillation: Sequence[str],
    figures: Mapping[str, Sequence[str]],
    captions: Mapping[str, str],
    shown: Sequence[Metric],
    own: Mapping[str, Metric],
    tables: Mapping[str, str],
    output: str,
) -> None:
    """Write the document.

    ours, printed: the csv files of average ranks and Friedman tests; distillation: metrics of
    distilled students or []. synthetic: arguments of findings.synthetic_sentences or None; figures,
    captions: {artefact: its files, its caption's}; shown: the metrics of Table III, own: {diagram:
    the metric of a study's own that it ranks by}; tables: {artefact: its LaTeX file}.
    """
    contradictions, ledger = read_csv(discrepancies), read_csv(claims)
    compared = read_csv(comparisons)
    sentences = decision_sentences(compared, ledger, shown)
    sentences |= findings.real_sentences(ranked(ours), ranked(printed), contradictions, own)
    sentences |= findings.synthetic_sentences(**synthetic) if synthetic else {}
    for path in distillation:
        sentences["table4"] = findings.distilled(read_csv(path))
    bodies = {name: rf"\artefact{{{name}}}" for name in sentences}
    for name, files in figures.items():
        caption = read(captions[name]).strip()
        bodies[name] = drawings(files, caption + sides(name, own))
    artefacts = {name: (sentence, bodies[name]) for name, sentence in sentences.items()}
    about = json.loads(read(provenance))
    first = summary(read(found).strip(), ledger, compared, shown, about)
    artefacts[CONTRADICTIONS] = "Their numbers by metric.", contradictions_table(contradictions)
    wide = [name for name in artefacts if name in tables and is_wide(read(tables[name]))]
    titles = {name: f"Average ranks by {metric.title}" for name, metric in own.items()}
    write_text(output, document(HEADING, first, artefacts, titles, wide))


def read(path: str) -> str:
    """A file's text."""
    return Path(path).read_text(encoding="utf-8")


def ranked(paths: Sequence[str]) -> findings.Ranked:
    """Average ranks and Friedman's tests."""
    average_ranks, friedman = map(read_csv, paths)
    return average_ranks, friedman


def synthetic_arguments(inputs: Any, synthetic: Mapping[str, Any] | None) -> dict | None:
    """The arguments of findings.synthetic_sentences from a job's input and parameter."""
    if not synthetic:
        return None
    return {
        "tables": dict(zip(synthetic["tables"], inputs.tables, strict=True)),
        "differences": inputs.differences,
        "models": inputs.models,
        "arrays": {setup: inputs[f"arrays_{setup}"] for setup in synthetic["setups"]},
        "curves": inputs.curves,
        "shown": synthetic["shown"],
        "long_grid": synthetic["long_grid"],
    }


if __name__ == "__main__":
    run(
        reproduction,
        snakemake,
        found=snakemake.input.found,
        claims=snakemake.input.claims,
        comparisons=snakemake.input.comparisons,
        ours=snakemake.input.ours,
        printed=snakemake.input.printed,
        discrepancies=snakemake.input.discrepancies,
        provenance=snakemake.input.provenance,
        synthetic=synthetic_arguments(snakemake.input, snakemake.params.synthetic),
        distillation=snakemake.input.distillation,
        figures=snakemake.params.figures,
        captions=dict(zip(snakemake.params.figures, snakemake.input.captions, strict=True)),
        shown=snakemake.params.metrics,
        own=snakemake.params.own,
        tables=dict(zip(snakemake.params.tables, snakemake.input.typeset, strict=True)),
        output=snakemake.output[0],
    )
