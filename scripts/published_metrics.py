"""Bring the paper's printed Table III into the form of a run's metrics table.

The same rules then analyse both.
"""

from ils.files import read_csv, write_csv
from ils.job import run
from ils.statistics.published import as_metrics


def published_metrics(printed: str, output: str) -> None:
    """Read the printed cells and write one row per network, dataset and method."""
    write_csv(output, as_metrics(read_csv(printed)))


if __name__ == "__main__":
    run(published_metrics, snakemake, printed=snakemake.input.printed, output=snakemake.output[0])
