"""What every rule's script shares: a log file and one-line errors."""

import contextlib
import ctypes
import errno
import logging
import os
import platform
import sys
from pathlib import Path

from ils.errors import UserError
from ils.files import writing

log = logging.getLogger("ils")
log.addHandler(
    logging.NullHandler()
)  # where no log file can be opened, nothing else repeats the error
DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
)  # what is the disk's fault, wherever it comes from


class LogFile(logging.FileHandler):
    """A log file which a disk that becomes full ends with one warning, not with a traceback for
    every line."""

    def handleError(self, record):  # noqa: N802 (logging's name)
        print(
            f"warning: {self.baseFilename}: cannot write the log: {sys.exc_info()[1]}; "
            "the job goes on",
            file=sys.stderr,
        )
        setattr(self, "emit", lambda record: None)  # noqa: B010


def keep_freed_memory():
    """Let glibc keep what is freed instead of giving it back to the system.

    Every mini-batch frees and asks for the same tensors; mapping them anew took a fifth of LeNet's
    training time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    for option, value in (
        (-4, 0),
        (-1, 2**31 - 1),
        (-2, 2**26),
    ):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(option, value)


@contextlib.contextmanager
def on_disk():
    """Turn what a full or read-only disk raises where no file of ours is written, for example a
    cache, into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK:
            raise
        place = error.filename or "a file"
        raise UserError(
            f"{place}: cannot write: {error.strerror}; free some space and run again"
        ) from error


def tell(level, message):
    """Say one line on the terminal and in the log, at a level of `logging` such as WARNING."""
    log.log(level, "%s", message)
    print(f"{logging.getLevelName(level).lower()}: {message}", file=sys.stderr)


def run(function, snakemake, **arguments):
    """Call `function(**arguments)` as the body of a Snakemake job.

    Lines go to the rule's log file. A UserError, or a full disk, ends the job with its one line on
    the terminal and in the log; any other exception leaves its traceback in the log, because it is
    a defect and not the user's.
    """
    wildcards = " ".join(f"{key}={value}" for key, value in snakemake.wildcards.items())
    job, path = f"{snakemake.rule} {wildcards}".strip(), Path(snakemake.log[0])
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handlers = [LogFile(path, "w")]
        logging.basicConfig(
            handlers=handlers, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
        )
        logging.captureWarnings(True)
        names = [name for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES") if name in os.environ]
        log.info(
            "start: %s on %s %s",
            job,
            platform.node(),
            ", ".join(f"{name} {os.environ[name]}" for name in names),
        )
        keep_freed_memory()
        with on_disk():
            function(**arguments)
    except UserError as error:
        log.error("%s", error)
        sys.exit(f"error in {job}: {error}")
    except BaseException:
        log.exception("%s stopped", job)
        raise
    log.info("done: %s", job)


def run_each_pair(function, snakemake, **arguments):
    """Run `function` for each dataset x network pair of a rule that draws figures of all pairs.

    It is called with `title`, e.g. "iris, MLP"; `predictions`, (file, cell) of each seed; and
    `outputs`, {folder: paths} of the pair's figures, which bear its name. params.pairs holds the
    cells of each pair, in the order of input.predictions.
    """

    def each(pairs, predictions, figures):
        files = iter(predictions)
        for cells in pairs:
            first = cells[0]
            outputs: dict[str, list[str]] = {}
            for path in map(Path, figures):
                if path.stem == f"{first.dataset}_{first.network}":
                    outputs.setdefault(path.parent.name, []).append(str(path))
            function(
                title=f"{first.dataset}, {first.network}",
                predictions=[(next(files), cell.name) for cell in cells],
                outputs=outputs,
                **arguments,
            )

    pairs, predictions = snakemake.params.pairs, snakemake.input.predictions
    run(each, snakemake, pairs=pairs, predictions=predictions, figures=list(snakemake.output))
