"""Write what the run found: one paragraph of plain text."""

import textwrap
from collections.abc import Sequence

from ils.document.found import found
from ils.files import read_csv, write_text
from ils.job import log, run
from ils.plan.metrics import Metric


def write_found(
    metrics: str,
    comparisons: str,
    power: str,
    claims: str,
    shown: Sequence[Metric],
    baseline: str | None,
    output: str,
) -> None:
    """Write the paragraph on the tables in these csv files; shown: the metrics of Table III;
    baseline: that of `advice`."""
    tables = map(read_csv, (metrics, comparisons, power, claims))
    paragraph = found(*tables, shown, baseline)
    log.info("%s", paragraph)
    write_text(output, textwrap.fill(paragraph, 100, break_on_hyphens=False) + "\n")


if __name__ == "__main__":
    run(
        write_found,
        snakemake,
        metrics=snakemake.input.metrics,
        comparisons=snakemake.input.comparisons,
        power=snakemake.input.power,
        claims=snakemake.input.claims,
        shown=snakemake.params.metrics,
        baseline=snakemake.params.baseline,
        output=snakemake.output[0],
    )
