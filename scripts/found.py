"""Write what the run found: one paragraph of plain text."""

import textwrap

from ils.document.found import found
from ils.files import read_csv, write_text
from ils.job import log, run


def write_found(
    metrics: str, comparisons: str, power: str, claims: str, baseline: str | None, output: str
) -> None:
    """Write the paragraph on the tables in these csv files; the baseline is that of `advice`."""
    paragraph = found(*map(read_csv, (metrics, comparisons, power, claims)), baseline)
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
        baseline=snakemake.params.baseline,
        output=snakemake.output[0],
    )
