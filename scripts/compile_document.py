"""Compile results/reproduction.tex with pdflatex, twice for its bookmarks."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ils.errors import UserError
from ils.files import atomic
from ils.job import log, run


def compile_document(source, output):
    """Run pdflatex in the folder of `source`, whose tables and figures it names, with all that it writes elsewhere."""
    source = Path(source)
    dates = {
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
    }  # none of today's, so that equal inputs give equal bytes
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "pdflatex",
            "-interaction=nonstopmode",
            "-halt-on-error",
            f"-output-directory={folder}",
            source.name,
        ]
        for _ in range(2):
            options = {
                "cwd": source.parent,
                "env": os.environ | dates,
                "text": True,
                "errors": "replace",
            }
            done = subprocess.run(command, capture_output=True, **options)
            if done.returncode:
                problem = next(
                    (line for line in done.stdout.splitlines() if line.startswith("!")),
                    "see the log",
                )
                log.error("%s", done.stdout)
                raise UserError(f"{source}: pdflatex stopped: {problem}")
        for line in done.stdout.splitlines():
            if line.startswith(("Overfull", "LaTeX Warning", "Output written")):
                log.info("%s", line)
        with atomic(output) as temporary:
            shutil.copyfile(Path(folder, source.with_suffix(".pdf").name), temporary)


if __name__ == "__main__":
    run(compile_document, snakemake, source=snakemake.input.document, output=snakemake.output[0])
