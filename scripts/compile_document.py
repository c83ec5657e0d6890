"""Compile results/reproduction.tex with pdflatex, twice for its bookmarks."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ils.errors import UserError
from ils.files import atomic
from ils.job import log, run

# none of today's, so that equal inputs give equal bytes
DATES = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}


def compile_document(source: str | Path, output: str | Path) -> None:
    """Write the PDF of the LaTeX file `source`; UserError with LaTeX's first complaint if any.

    pdflatex runs in the folder of `source`, whose tables and figures it names, with all that it
    writes elsewhere.
    """
    source = Path(source)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            lines = pdflatex(source, folder).splitlines()
        for line in lines:
            if line.startswith(("Overfull", "LaTeX Warning", "Output written")):
                log.info("%s", line)
        with atomic(output) as temporary:
            shutil.copyfile(Path(folder, source.with_suffix(".pdf").name), temporary)


def pdflatex(source: Path, folder: str) -> str:
    """Run pdflatex once, its files in `folder`; return what it says."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error"]
    done = subprocess.run(
        [*command, f"-output-directory={folder}", source.name],
        cwd=source.parent,
        env=os.environ | DATES,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        complaints = (line for line in done.stdout.splitlines() if line.startswith("!"))
        log.error("%s", done.stdout)
        raise UserError(f"{source}: pdflatex stopped: {next(complaints, 'see the log')}")
    return done.stdout


if __name__ == "__main__":
    run(compile_document, snakemake, source=snakemake.input.document, output=snakemake.output[0])
