"""List where the printed Table III contradicts itself: subscripts, average ranks, the direction of a ranking."""

from ils.files import read_csv, write_csv
from ils.job import log, run
from ils.statistics.published import discrepancies


def list_discrepancies(printed, printed_averages, ranks, average_ranks, output):
    """Compare the printed subscripts and averages with the ranks that rank_methods.py gives the printed cells."""
    found = discrepancies(*map(read_csv, (printed, printed_averages, ranks, average_ranks)))
    write_csv(output, found)
    log.info("%s", found.groupby(["kind", "metric"]).size().to_dict())


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
