"""Sum a run up in one small file, to be committed and to be compared with another run's."""

from collections.abc import Sequence
from pathlib import Path

from ils.document.run_summary import save, summary
from ils.files import load_json
from ils.job import run


def summarise(provenance: str, found: str, tables: Sequence[str], output: str) -> None:
    """Write the summary of provenance.json, the paragraph found.txt and csv files."""
    paragraph = Path(found).read_text(encoding="utf-8")
    save(output, summary(load_json(provenance), paragraph, tables))


if __name__ == "__main__":
    run(
        summarise,
        snakemake,
        provenance=snakemake.input.provenance,
        found=snakemake.input.found,
        tables=snakemake.input.tables,
        output=snakemake.output[0],
    )
