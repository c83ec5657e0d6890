"""What a person reads while `make results` runs: the lines of the logger in workflow/terminal."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
from snakemake_logger_plugin_progress.time_left import TimeLeft, in_words

from conftest import ROOT

TERMINAL = ROOT / "workflow" / "terminal"
SNAKEFILE = """
from snakemake.logging import logger
logger.info("1 pair x 1 seed: 2 trainings in 2 jobs")

rule all:
    input: "results/table3.tex"

rule students:
    output: "results/{seed}.txt"
    log: "results/logs/{seed}.log"
    message: "Training students, seed {wildcards.seed}"
    shell: "echo epochs >{log}; STUDENTS; echo {wildcards.seed} >{output}"

rule table3:
    input: expand("results/{seed}.txt", seed=[0, 1])
    output: "results/table3.tex"
    log: "results/logs/table3.log"
    message: "Typesetting Table III"
    shell: "cat {input} >{output}; echo >>{log}"
"""
FAILING = "echo 'ERROR no such set' >>{log}; echo 'error in students: no such set' >&2; exit 1"
REPORT = ["--report", "results/report.html", "--report-after-run"]
NOISE = r"Building DAG|Select jobs|Execute \d|Reason|input:|Loading script|Adding |jobid|Finished"


@pytest.fixture
def study(tmp_path):
    """A function that starts Snakemake on three jobs, given what a training does."""

    def start(*arguments, students="true", **options):
        (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("STUDENTS", students))
        command = [sys.executable, "-m", "snakemake", "all", "--logger", "progress"]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} | options
        return subprocess.Popen(
            [*command, "--cores", "2", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(TERMINAL)},
            text=True,
            start_new_session=True,
            # what runs in a shell's background is started with it ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **options,
        )

    return start


def read(process):
    """All that a process wrote, and its exit status."""
    output, _ = process.communicate(timeout=120)
    return output, process.returncode


def test_a_run_is_one_line_a_job_between_what_it_is_and_where_to_look(study):
    output, code = read(study(*REPORT))
    assert code == 0 and not re.search(NOISE, output) and not re.search(r"[\r\033]", output)
    first, jobs, *lines = output.splitlines()
    assert first == "1 pair x 1 seed: 2 trainings in 2 jobs"
    assert jobs == "4 jobs, 2 at a time: no times to go by yet"
    done = [re.sub(r"^\d\d:\d\d:\d\d +", "", line).split(maxsplit=1) for line in lines[:3]]
    seeds = sorted(words.rpartition("  ")[2] for _, words in done[:2])
    assert seeds == ["Training students, seed 0", "Training students, seed 1"]
    assert done[2][0] == "2/4" and done[2][1].endswith("Typesetting Table III")
    assert lines[3] == "Done in under 1 min. Where to look:"
    assert [line.split()[0] for line in lines[4:]] == ["results/report.html", "results/table3.tex"]
    again, code = read(study(*REPORT, "--forceall"))
    assert code == 0 and "4 jobs, 2 at a time: under 1 min left, by the times of earlier" in again
    nothing, code = read(study())
    assert code == 0 and "Nothing to be done" in nothing and "Where to look" not in nothing


def test_a_job_that_fails_says_what_why_and_where_to_read_on(study):
    output, code = read(study(*REPORT, students=FAILING))
    assert code == 1 and not re.search(NOISE, output) and "Where to look" not in output
    assert "\nerror in students: no such set\n" in output
    block = r"Error in rule students: Training students, seed (\d)\n +log: results/logs/\1\.log\n"
    assert re.search(block + " +ends with: ERROR no such set\n", output)
    assert re.search(r"\nComplete log\(s\): .*\.snakemake/log/", output)


def test_a_dry_run_lists_jobs_and_reasons(study):
    output, code = read(study("-n"))
    assert code == 0 and "Where to look" not in output
    assert "Training students, seed 1\n    Missing output files: results/1.txt\n" in output
    table = "Typesetting Table III\n    Missing output files: results/table3.tex; "
    assert re.search(table + r"Input files .*: results/\d\.txt and 1 more\n", output)
    assert output.count("4 jobs would run.") == 1 and "This was a dry-run" in output


def test_ctrl_c_stops_the_jobs_in_one_line_each(study, tmp_path):
    process = study(students="sleep 60")
    while len(list(tmp_path.glob("results/logs/*.log"))) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, code = read(process)
    assert code == 1 and "Terminating processes on user request" in output
    assert re.findall(r"Stopped: .*seed (\d)\n", output) in (["0", "1"], ["1", "0"])
    assert "Error in rule" not in output and "Where to look" not in output


def test_on_a_terminal_lines_replace_what_a_jobs_progress_bar_left(study):
    ours, theirs = pty.openpty()
    process = study(students=FAILING, stdout=theirs, stderr=theirs)
    os.close(theirs)
    output = b""
    with contextlib.suppress(OSError):  # Linux's end of file
        while some := os.read(ours, 1 << 16):
            output += some
    os.close(ours)
    assert process.wait(60) == 1
    assert b"\r\033[K0/4" in output and b"\r\033[K\033[31mError in rule students" in output
    assert not re.search(rb"\d\d:\d\d:\d\d", output)


def test_the_time_left_follows_an_earlier_run_at_the_speed_of_this_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = {"students_cells_0_seed0": 2, "students_cells_1_seed1": 2, "table3": 1}
    assert TimeLeft(counts, 2, 0).words(0) == ""
    metadata = tmp_path / ".snakemake" / "metadata"
    metadata.mkdir(parents=True)
    for number, seconds in enumerate([600, 600, 300, 300]):
        kept = {"rule": f"students_cells_{number % 2}_seed0", "job_hash": number}
        kept |= {"starttime": 1000 * number, "endtime": 1000 * number + seconds}
        (metadata / str(number)).write_text(json.dumps(kept))
    (metadata / "damaged").write_text("{")
    left = TimeLeft(counts, 2, 0)
    assert left.words(0) == "perhaps 15 min left"  # nothing is known of the table
    del counts["table3"]
    left = TimeLeft(counts, 2, 0)
    assert left.words(0) == "about 15 min left" and left.source == "earlier runs here"
    for job in range(2):
        left.begin(job, f"students_cells_{job}_seed{job}", 0)
    assert left.words(300) == "about 10 min left"
    for job in range(2):
        left.end(job, 1200)
    assert left.words(1200) == "about 10 min left"  # 2 x 300 s at half the speed, two at a time
    left.begin(2, "students_cells_0_seed0", 1200)
    left.end(2, 1201, finished=False)
    assert left.words(1201) == "about 10 min left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "under 1 min"), (400, "7 min"), (760, "15 min"), (7300, "2 h"), (400_000, "5 days")],
)
def test_times_are_rounded(seconds, words):
    assert in_words(seconds) == words
