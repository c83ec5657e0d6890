"""Write tables as HTML pages for the report: searchable, sortable, and with the csv inside."""

from collections.abc import Sequence
from pathlib import Path

from ils.document.pages import browser, page
from ils.document.verdicts import left_out, measured
from ils.files import read_csv, write_text
from ils.job import run

COUNTED = {"claims": ("study", "verdict"), "discrepancies": ("kind", "metric")}


def pages(
    tables: Sequence[str], captions: Sequence[str], titles: Sequence[str], outputs: Sequence[str]
) -> None:
    """Write a page a table. tables: csv files; captions: files of a sentence; all in one order."""
    for table, caption, title, output in zip(tables, captions, titles, outputs, strict=True):
        name, sentence = Path(table).stem, Path(caption).read_text(encoding="utf-8").strip()
        frame = read_csv(table)
        if name == "claims":
            sentence, frame = f"{sentence} {left_out(frame)}".strip(), measured(frame)
        write_text(output, page(title, sentence, browser(frame, name, COUNTED.get(name))))


if __name__ == "__main__":
    run(
        pages,
        snakemake,
        tables=snakemake.input.tables,
        captions=snakemake.input.captions,
        titles=snakemake.params.titles,
        outputs=list(snakemake.output),
    )
