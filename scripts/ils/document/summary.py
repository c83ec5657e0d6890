"""The document's first page, and the contradictions of the print."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ils.document import findings
from ils.document.document import counts_table, prose
from ils.document.pages import counts
from ils.document.verdicts import claim_counts, comparison_counts, left_out
from ils.document.words import listed
from ils.plan.metrics import Metric, metrics

NOTE = (
    "Each table and figure stands under one sentence computed from this run's numbers. Verdicts: a "
    "claim holds where everything that it compares is better as claimed, by exact signed-rank "
    "tests over datasets, and by more than is practically nothing; it fails where some of it is "
    "clearly worse; it is practically equivalent where nothing is worse and some of it differs by "
    "less than anyone would choose by; undecided else, and not measured where this run lacks what "
    "is compared. Printed numbers have no errors: of them the order is read. A cell differs "
    "clearly if it does so by two standard errors of a difference of two such means, too."
)


def summary(
    found: str,
    claims: pd.DataFrame,
    comparisons: pd.DataFrame,
    shown: Iterable[Metric],
    provenance: Mapping[str, Any],
) -> str:
    """The first page: what was found, what ran, how many claims hold, and the ledger.

    shown: the metrics by which headline comparisons are counted.
    """
    ledger = r"\begin{block}{The ledger of claims}{}{}\artefact{claims}\end{block}"
    counted = (claim_counts(claims), comparison_counts(comparisons, shown))
    tables = [counts_table(counts) for counts in counted if len(counts)]
    centred = r"{\centering\footnotesize " + r"\quad ".join(tables) + r"\par}"
    first, note = prose(what_ran(provenance)), prose(f"{NOTE} {left_out(claims)}".strip())
    parts = [rf"\textbf{{What was found.}} {prose(found)}", first, centred, note]
    return "\n\n".join([*parts, r"\contents", ledger])


def what_ran(provenance: Mapping[str, Any]) -> str:
    """A sentence on the config and one on the machine."""
    config, versions = provenance["config"], provenance["packages"]
    packages = ("torch", "numpy", "scipy", "scikit-learn")
    software = [
        f"Python {provenance['python']}",
        *(f"{name} {versions[name]}" for name in packages),
    ]
    seeds = listed(map(str, config["seeds"]))
    methods = listed(method["label"] for method in config["methods"])
    return (
        f"This run: {provenance['config_file']}, {len(config['experiments'])} pairs of dataset and "
        f"network, seeds {seeds}, methods {methods}. {', '.join(software)}; "
        f"{provenance['processor']}, {provenance['kernels']['capability']} kernels; "
        f"commit {(provenance['commit'] or 'unknown')[:12]}."
    )


def contradictions_table(contradictions: pd.DataFrame) -> str:
    """The numbers of contradictions by kind and metric, as LaTeX."""
    kinds = contradictions.assign(kind=contradictions["kind"].map(findings.KINDS))
    words = {name: metric.title for name, metric in metrics().items()} | {"kind": ""}
    return counts_table(counts(kinds, "kind", "metric").rename(columns=words))
