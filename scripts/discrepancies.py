"""List where the printed Table III contradicts itself.

That is in subscripts, in average ranks, and in the direction of a ranking.
"""

from ils.files import read_csv, write_csv
from ils.job import log, run
from ils.statistics.published import discrepancies


def list_discrepancies(
    printed: str, printed_averages: str, ranks: str, average_ranks: str, output: str
) -> None:
    """Compare the printed subscripts and averages with the ranks of the printed cells.

    These are what rank_methods.py makes of them; all are csv files.
    """
    rows = discrepancies(*map(read_csv, (printed, printed_averages, ranks, average_ranks)))
    write_csv(output, rows)
    log.info("%s", rows.groupby(["kind", "metric"]).size().to_dict())


if __name__ == "__main__":
    run(
        list_discrepancies,
        snakemake,
        printed=snakemake.input.printed,
        printed_averages=snakemake.input.printed_averages,
        ranks=snakemake.input.ranks,
        average_ranks=snakemake.input.average_ranks,
        output=snakemake.output[0],
    )
