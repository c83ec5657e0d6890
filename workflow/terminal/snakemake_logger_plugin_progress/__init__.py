"""What `make results` shows: a line a job, the time left, errors, and at the end where to look.

`snakemake --logger progress` finds this package where the folder above it is on PYTHONPATH. What it
leaves out is in Snakemake's own log, .snakemake/log/.
"""

import logging
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from .time_left import TimeLeft, in_words

LOOK_AT = {
    "results/report.html": "everything on one page",
    "results/reproduction.pdf": "all tables and figures in the paper's order",
    "results/table3.tex": "Table III",
}
# What of Snakemake's own words is not shown: it tells a reader nothing, or is said here in others.
EVENTS = ("workflow_started", "job_started", "job_finished", "resources_info", "progress")
NOISE = re.compile(
    r"Config file .* is extended|Assuming unrestricted|Building DAG|Using shell"
    r"|Group jobs: inactive|(Conda environments|Singularity containers): ignored|Select jobs"
    r"|Removing output files of failed|Creating report|Adding .*B\)\.$|Loading \w+ code"
    r"|Report created|Elapsed time|Activating conda|Job \d+ has been submitted with|Exiting because"
    r"|Reasons:|Some jobs were triggered|Rules with provenance"
    r"|(?s:.*Command .* returned non-zero exit status)"
)
INTERRUPTED = re.compile(r"Command .* died with <Signals\.SIG(INT|TERM)", re.DOTALL)
COLORS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m"}


def shortened(reason: str) -> str:
    """Why a job runs, with the first of its files only."""
    parts = [part.split(", ") for part in reason.split("; ")]
    more = [f" and {len(others)} more" if others else "" for _, *others in parts]
    return "; ".join(first[:150] + rest for (first, *_), rest in zip(parts, more))


def counted(jobs: int) -> str:
    """So many jobs."""
    return f"{jobs} job{'s' if jobs > 1 else ''}"


def last_line(path: str) -> str:
    """The last line of a log."""
    try:
        lines = Path(path).read_text(errors="replace").split("\n")
    except OSError:
        return "(not there)"
    return next((line for line in reversed(lines) if line.strip()), "(empty)")


class LogHandler(LogHandlerBase):
    """Writes lines to the terminal, or to the pipe or file in its place."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.dry = self.common_settings.dryrun
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.terminal = self.stream.isatty()
        self.start = self.wrote = time.monotonic()
        self.messages: dict[int, str] = {}
        self.time_left: TimeLeft | None = None
        self.done = self.total = self.cores = 0
        self.failed = self.interrupted = self.reported = False
        self.closed = threading.Event()
        threading.Thread(target=self.break_silence, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record of Snakemake's, where it tells a reader something."""
        try:
            if text := self.words(record):
                self.write(text, COLORS.get(record.levelno, ""))
        except Exception:
            self.handleError(record)

    def words(self, record: Any) -> str:
        """What is shown of a record, which has more attributes the more Snakemake says."""
        event, now = getattr(record, "event", None), time.monotonic()
        if event == LogEvent.RUN_INFO:
            return self.of_run(record.stats, now)
        if event == LogEvent.JOB_INFO:
            return self.of_job(record, now)
        if event == LogEvent.JOB_ERROR:
            return self.of_failure(record, now)
        if event == LogEvent.RESOURCES_INFO:
            self.cores = getattr(record, "cores", self.cores)
        elif event == LogEvent.PROGRESS:
            self.done, self.total = record.done, record.total
        elif event == LogEvent.JOB_FINISHED and self.time_left:
            self.time_left.end(record.job_id, now)
        return "" if event in EVENTS else self.of_text(self.format(record))

    def of_text(self, text: str) -> str:
        """What is shown of a text of Snakemake's or of the workflow's."""
        self.reported |= text == "Report created."
        self.interrupted |= text.startswith("Terminating processes on user request")
        if self.interrupted and INTERRUPTED.search(text):
            return ""
        if text.startswith("Complete log"):
            return text if self.failed else ""
        return "" if NOISE.match(text) else text

    def of_run(self, jobs: dict[str, int], now: float) -> str:
        """How much there is to do and how long it may take; of a dry run how much, at its end."""
        first, self.total = not self.total, jobs["total"]
        if self.dry:
            return "" if first else f"{counted(self.total)} would run."
        rules = {rule: count for rule, count in jobs.items() if rule not in ("total", "all")}
        self.time_left = TimeLeft(rules, self.cores, now)
        at_a_time = f", {self.cores} at a time" if self.cores else ""
        left = self.time_left.words(now)
        by = f"{left}, by the times of {self.time_left.source}" if left else "no times to go by yet"
        return f"{counted(self.total)}{at_a_time}: {by}"

    def of_job(self, job: Any, now: float) -> str:
        """What starts, or in a dry run would, and why; nothing of a mere target such as `all`."""
        if not job.output:
            return ""
        message = (job.rule_msg or " ".join([job.rule_name, *job.wildcards.values()])).strip()
        self.messages[job.jobid] = message
        if self.dry:
            return f"{message}\n    {shortened(job.reason)}"
        if self.time_left:
            self.time_left.begin(job.jobid, job.rule_name, now)
        return self.progress(message, now)

    def of_failure(self, job: Any, now: float) -> str:
        """What failed, and where it says why."""
        self.failed, message = True, self.messages.get(job.jobid, "")
        if self.time_left:
            self.time_left.end(job.jobid, now, finished=False)
        if self.interrupted:
            return f"Stopped: {message}"
        if not job.log:
            return self.format(job)
        lines = [f"Error in rule {job.rule_name}: {message}"]
        for path in job.log:
            lines += [f"    log: {path}", f"         ends with: {last_line(path)}"]
        return "\n".join(lines + [f"    {key}: {value}" for key, value in job.aux.items()])

    def progress(self, message: str, now: float) -> str:
        """One line: how many jobs are done, the time left and a message; in a log also the time."""
        done = f"{self.done}/{self.total}".rjust(2 * len(str(self.total)) + 1)
        left = self.time_left.words(now) if self.time_left else ""
        line = f"{done}  {left:<19}  {message}"
        if not self.terminal:
            return f"{time.strftime('%H:%M:%S')}  {line}"
        width = shutil.get_terminal_size().columns
        return line if len(line) <= width else line[: width - 1] + "…"

    def break_silence(self) -> None:
        """After a minute without a line, later a tenth of the time so far, say that jobs run."""
        while not self.closed.wait(1):
            with self.lock:  # type: ignore[union-attr]
                now = time.monotonic()
                running = self.time_left.running.values() if self.time_left else ()
                if running and now - self.wrote > max(60, (now - self.start) / 10):
                    longest = in_words(max(now - start for *_, start in running))
                    text = f"({len(running)} running, the longest for {longest})"
                    self.write(self.progress(text, now))

    def write(self, text: str, color: str = "") -> None:
        """Write lines; on a terminal over the progress bar that a job may have left there."""
        if self.terminal:
            colored = color and not self.common_settings.nocolor
            text = "\r\033[K" + (f"{color}{text}\033[0m" if colored else text)
        self.stream.write(text + "\n")
        self.stream.flush()
        self.wrote = time.monotonic()

    def close(self) -> None:
        """Say where to look, after a whole study: only that ends in a report."""
        if self.reported and not self.closed.is_set():
            there = [f"  {path:<26}{what}" for path, what in LOOK_AT.items() if Path(path).exists()]
            taken = in_words(time.monotonic() - self.start)
            self.write("\n".join([f"Done in {taken}. Where to look:", *there]))
        self.closed.set()
        super().close()
