"""What every rule's script shares: a log file and one-line errors."""

import ctypes
import logging
import os
import platform
import sys
from pathlib import Path

from ils.errors import UserError

log = logging.getLogger("ils")


def keep_freed_memory():
    """Let glibc keep what is freed instead of giving it back to the system.

    Every mini-batch frees and asks for the same tensors; mapping them anew took a fifth of LeNet's training time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**26)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(option, value)


def run(function, snakemake, **arguments):
    """Call `function(**arguments)` as the body of a Snakemake job.

    Lines go to the rule's log file. A UserError ends the job with its one line on the terminal and in the log; any
    other exception leaves its traceback in the log, because it is a defect and not the user's.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=path, filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.captureWarnings(True)
    wildcards = " ".join(f"{key}={value}" for key, value in snakemake.wildcards.items())
    job = f"{snakemake.rule} {wildcards}".strip()
    where = ", ".join(f"{name} {os.environ[name]}" for name in ("SLURM_JOB_ID", "CUDA_VISIBLE_DEVICES") if name in os.environ)
    log.info("start: %s on %s %s", job, platform.node(), where)
    keep_freed_memory()
    try:
        function(**arguments)
    except UserError as error:
        log.error("%s", error)
        sys.exit(f"error in {job}: {error}")
    except BaseException:
        log.exception("%s stopped", job)
        raise
    log.info("done: %s", job)


def run_each(function, snakemake):
    """Run `function` with each mapping of keyword arguments in the rule's parameter `jobs`, one after another."""

    def each(jobs):
        for job in jobs:
            function(**job)

    run(each, snakemake, jobs=snakemake.params.jobs)
