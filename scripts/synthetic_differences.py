"""Paired differences between methods over the replicates of the synthetic study.

They carry its conclusions.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ils.document.latex import escape, wide_table
from ils.document.tables import cell
from ils.files import write_csv, write_text
from ils.job import run
from ils.statistics.comparison import METRICS, paired_differences, read_models

CAPTION = (
    r"Differences within a replicate, mean $\pm$ standard error over {count} replicates; "
    r"\textbf{{bold}}: further than two standard errors from 0. Accuracy: more is better; "
    r"elsewhere less. cwECE* is what the paper prints, cwECE is Eq.~2."
)


def synthetic_differences(
    replicates: Mapping[str, Iterable[str]],
    tex: str,
    csv: str,
    methods: Iterable[Mapping[str, Any]],
) -> None:
    """Write the differences as LaTeX and as csv.

    replicates: {setup: csv files}; methods: the config's entries, each compared with ls, and ls
    with no_ls.
    """
    models = read_models(replicates)
    labels = {method["name"]: method["label"] for method in methods}
    pairs = pairs_of(list(labels))
    labels |= {f"{name}+temps": f"{label}+TempS" for name, label in labels.items()}
    differences = paired_differences(models, pairs, METRICS)
    write_csv(csv, differences)
    blocks = []
    for setup, part in differences.groupby("setup", sort=False):
        rows = []
        for a, b in pairs:
            values = part[part["difference"] == f"{a} - {b}"].set_index("column")
            shown = values[["mean", "standard_error", "significant"]]
            cells = [
                cell(mean, error, column.decimals, significant)
                for column in METRICS
                for mean, error, significant in [shown.loc[column.name]]
            ]
            rows.append([f"{escape(labels[a])} $-$ {escape(labels[b])}", *cells])
        blocks.append((escape(setup), rows))
    header = ["", *(column.head for column in METRICS)]
    caption = CAPTION.format(count=models["replicate"].nunique())
    write_text(tex, wide_table(caption, "tab:differences", header, blocks))


def pairs_of(names: list[str]) -> list[tuple[str, str]]:
    """The pairs of methods that are compared, raw and with their temperatures."""
    pairs = [("ls", "no_ls"), *((name, "ls") for name in names if name not in ("no_ls", "ls"))]
    if {"sinusoidal", "ils1"} <= set(names):
        pairs.append(("sinusoidal", "ils1"))
    return pairs + [(f"{a}+temps", f"{b}+temps") for a, b in pairs]


if __name__ == "__main__":
    run(
        synthetic_differences,
        snakemake,
        replicates={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        tex=snakemake.output.tex,
        csv=snakemake.output.csv,
        methods=snakemake.params.methods,
    )
