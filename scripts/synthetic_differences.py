"""Paired differences between methods over the replicates of the synthetic study, which carry its conclusions."""

from ils.document.latex import escape, wide_table
from ils.document.tables import cell
from ils.files import write_csv, write_text
from ils.job import run
from ils.statistics.comparison import METRICS, paired_differences, read_models

CAPTION = (
    r"Differences within a replicate, mean $\pm$ standard error over {count} replicates; \textbf{{bold}}: further than two "
    r"standard errors from 0. Accuracy: more is better; elsewhere less. cwECE* is what the paper prints, cwECE is Eq.~2."
)


def synthetic_differences(replicates, tex, csv, methods):
    """replicates: {setup: csv files}; methods: the config's entries, each compared with ls, and ls with no_ls."""
    models = read_models(replicates)
    labels = {method["name"]: method["label"] for method in methods}
    pairs = [("ls", "no_ls"), *((name, "ls") for name in labels if name not in ("no_ls", "ls"))]
    if {"sinusoidal", "ils1"} <= labels.keys():
        pairs.append(("sinusoidal", "ils1"))
    pairs += [(f"{a}+temps", f"{b}+temps") for a, b in pairs]
    differences = paired_differences(models, pairs, METRICS)
    write_csv(csv, differences)
    blocks = []
    for setup, part in differences.groupby("setup", sort=False):
        rows = []
        for a, b in pairs:
            values = part[part.difference == f"{a} - {b}"].set_index("column")
            titles = [
                labels[name.removesuffix("+temps")] + "+TempS" * name.endswith("+temps")
                for name in (a, b)
            ]
            cells = [
                cell(
                    *values.loc[c.name, ["mean", "standard_error"]],
                    c.decimals,
                    values.significant[c.name],
                )
                for c in METRICS
            ]
            rows.append([escape(titles[0]) + " $-$ " + escape(titles[1]), *cells])
        blocks.append((escape(setup), rows))
    header = ["", *(column.head for column in METRICS)]
    write_text(
        tex,
        wide_table(
            CAPTION.format(count=models.replicate.nunique()), "tab:differences", header, blocks
        ),
    )


if __name__ == "__main__":
    run(
        synthetic_differences,
        snakemake,
        replicates={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        tex=snakemake.output.tex,
        csv=snakemake.output.csv,
        methods=snakemake.params.methods,
    )
