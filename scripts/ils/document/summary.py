"""The document's first page, and its appendix."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ils.document import findings
from ils.document.document import counts_table, prose
from ils.document.pages import counts
from ils.statistics.ranks import METRICS

NOTE = (
    "Each table and figure stands under one sentence computed from this run's numbers. Verdicts: a "
    "claim holds or fails where the numbers decide it, on synthetic data beyond two standard "
    "errors; it is not significant where they neither bear it out nor contradict it beyond chance, "
    "undecidable where this run is too small, not measured where it lacks what is compared. A cell "
    "differs clearly if it does so by two standard errors of a difference of two such means, too."
)


def summary(claims: pd.DataFrame, provenance: Mapping[str, Any]) -> str:
    """The first page: what ran, how many claims hold, and the ledger."""
    ledger = r"\begin{block}{The ledger of claims}{}{}\artefact{claims}\end{block}"
    centred = r"\begin{center}" + counts_table(counts(claims, "study", "verdict")) + r"\end{center}"
    verdicts = prose(findings.verdicts(claims))
    first = prose(what_ran(provenance))
    return "\n\n".join([first, verdicts, centred, prose(NOTE), r"\contents", ledger])


def what_ran(provenance: Mapping[str, Any]) -> str:
    """A sentence on the config and one on the machine."""
    config, versions = provenance["config"], provenance["packages"]
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    software = [
        f"Python {provenance['python']}",
        *(f"{name} {versions[name]}" for name in packages),
    ]
    seeds = findings.listed(map(str, config["seeds"]))
    methods = findings.listed(method["label"] for method in config["methods"])
    return (
        f"This run: {provenance['config_file']}, {len(config['experiments'])} pairs of dataset and "
        f"network, seeds {seeds}, methods {methods}. {', '.join(software)}; "
        f"{provenance['processor']}, {provenance['kernels']['capability']} kernels; "
        f"commit {(provenance['commit'] or 'unknown')[:12]}."
    )


def appendix(contradictions: pd.DataFrame) -> str:
    """The numbers of contradictions by kind and metric, in words."""
    kinds = contradictions.assign(kind=contradictions["kind"].map(findings.KINDS))
    words = {name: metric.name for name, metric in METRICS.items()} | {"kind": ""}
    table = counts_table(counts(kinds, "kind", "metric").rename(columns=words))
    head = r"\begin{block}{Contradictions in the printed Table III}{Their numbers by metric.}{}"
    return head + table + r"\end{block}"
