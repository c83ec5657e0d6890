"""Write what the run found, one paragraph of plain text, and its verdicts counted."""

import textwrap
from collections.abc import Sequence

from ils.document.found import found
from ils.document.verdicts import first_page
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
    paragraph: str,
    verdicts: str,
) -> None:
    """Write the `paragraph` on the tables in these csv files, and `verdicts`, reStructuredText.

    shown: the metrics of Table III; baseline: that of `advice`.
    """
    compared, ledger = read_csv(comparisons), read_csv(claims)
    text = found(read_csv(metrics), compared, read_csv(power), ledger, shown, baseline)
    log.info("%s", text)
    write_text(paragraph, textwrap.fill(text, 100, break_on_hyphens=False) + "\n")
    write_text(verdicts, first_page(ledger, compared, shown))


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
        paragraph=snakemake.output.paragraph,
        verdicts=snakemake.output.verdicts,
    )
