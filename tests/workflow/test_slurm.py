"""The workflow on a real one-node Slurm, undisturbed and disturbed: in the end the bytes are those
of a local run."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conftest import Clone, on_gpus
from slurm_cluster import client, lacking, processes, slurm, wait_for

# What this cluster lacks (accounts, their database), and shorter waits than shared files need.
LACKING = ["--slurm-no-account", "--slurm-status-command", "squeue", "--latency-wait", "5"]
LACKING += ["--slurm-init-seconds-before-status-checks", "2"]


@pytest.fixture(scope="module")
def cluster():
    if reason := lacking():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, slurm(Path(folder)) as node:
        yield node


def start(clone, *targets):
    """Start Snakemake as the README says, from the root of a clone, its output into a file."""
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *targets, *LACKING]
    command += ["--configfile", str(clone.config)]
    with open(clone.folder / "output", "a") as output:
        return subprocess.Popen(
            command,
            cwd=clone.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(process, clone, seconds=900):
    process.wait(seconds)
    output = (clone.folder / "output").read_text()
    assert process.returncode == 0, output
    return output


def jobs():
    """The cluster's jobs, {id: (name, state, time limit, memory)}."""
    lines = client("squeue", "--states=all", "-h", "-o", "%i|%j|%T|%l|%m").split()
    return {int(number): rest for number, *rest in (line.split("|") for line in lines)}


def starts(clone):
    """The first line of each log: {log: line}."""
    return {
        str(p.relative_to(clone.folder / "results/logs")): p.read_text().split("\n")[0]
        for p in clone.folder.glob("results/logs/**/*.log")
    }


IRIS, WINE = (
    f"results/students/{name}_MLP_seed0/round1/shard0.safetensors" for name in ("iris", "wine")
)


def lengthened(config):
    """Two jobs that train students of two methods for some seconds each, and keep a checkpoint of
    every one."""
    config["recipes"].append(config["recipes"][0] | {"name": "long", "epochs": 6000})
    for experiment in config["experiments"]:
        experiment["recipe"] = "long"
    config |= {"cells_per_job": 1, "checkpoint_minutes": 0.02, "distillation": None}
    config["trained_together"] = "round"
    on_gpus(config)


def made(clone, *targets):
    return [(clone.folder / target).read_bytes() for target in targets]


@pytest.fixture(scope="module")
def undisturbed(cluster, tmp_path_factory):
    """A clone in which a local run has made both."""
    clone = Clone(tmp_path_factory.mktemp("undisturbed"))
    clone.edit_config(lengthened)
    clone.snakemake("--cores", "2", IRIS, WINE)
    return clone


def kept(clone, *targets):
    """Whether the jobs that will write these have kept a checkpoint."""
    return all(
        list((clone.folder / f"{target}.partial").rglob("*.safetensors")) for target in targets
    )


def running():
    return [number for number, (_, state, *_) in jobs().items() if state == "RUNNING"]


def training_process(job):
    """The process id of the training in a Slurm job."""
    for process, command in processes(f"SLURM_JOB_ID={job}"):
        if b"train_students.py" in command and b"snakemake\0" not in command:
            return process


def log_of(clone, target):
    """The log of the job that writes a target."""
    batch = target.split("/")[2]
    return clone.folder / f"results/logs/train_teacher/{batch}-round1-0.log"


def slurm_job(clone, target):
    """The number of the Slurm job that writes a target."""
    return int(re.search(r"SLURM_JOB_ID (\d+)", log_of(clone, target).read_text())[1])


def test_a_killed_job_and_one_out_of_time_go_on_from_their_checkpoints(undisturbed, tmp_path):
    clone = Clone(tmp_path)
    clone.edit_config(lengthened)
    process = start(clone, IRIS, WINE)
    wait_for(lambda: kept(clone, IRIS, WINE), "checkpoints")
    late, killed = (slurm_job(clone, target) for target in (IRIS, WINE))
    os.kill(training_process(killed), signal.SIGKILL)
    # Slurm looks twice a minute, and wakes it up to end it.
    os.kill(training_process(late), signal.SIGSTOP)
    client("scontrol", "update", f"JobId={late}", "EndTime=now")
    finish(process, clone)
    first = min(late, killed)
    states = {number: state for number, (_, state, *_) in jobs().items() if number >= first}
    assert states.pop(killed) == "FAILED" and states.pop(late) == "TIMEOUT"
    assert list(states.values()) == ["COMPLETED"] * 2
    assert all(
        "goes on after epoch" in log_of(clone, target).read_text() for target in (IRIS, WINE)
    )
    assert made(clone, IRIS, WINE) == made(undisturbed, IRIS, WINE)


def test_a_node_that_fails_and_a_killed_main_process_lose_little(cluster, undisturbed, tmp_path):
    clone = Clone(tmp_path)
    clone.edit_config(lengthened)
    process = start(clone, WINE)
    wait_for(lambda: kept(clone, WINE), "a checkpoint")
    failed = slurm_job(clone, WINE)
    client("scontrol", "update", f"NodeName={cluster}", "State=DOWN", "Reason=test")
    wait_for(lambda: jobs()[failed][1] == "NODE_FAIL", "the failure of the job")
    # Unless it came back by itself.
    client("scontrol", "update", f"NodeName={cluster}", "State=RESUME", check=False)
    wait_for(running, "a second attempt", 120)

    process.kill()  # Snakemake itself
    process.wait()
    assert running(), "its job does not go on without it"
    # What workflow/RUNNING.md says to do.
    run = re.findall(r"SLURM run ID: (\S+)", (clone.folder / "output").read_text())[-1]
    client("scancel", "--name", run)
    wait_for(lambda: not running(), "the end of the job")
    clone.snakemake("--unlock")
    finish(start(clone, WINE), clone)
    assert made(clone, WINE) == made(undisturbed, WINE)
    assert "goes on after epoch" in log_of(clone, WINE).read_text()


def test_the_small_study_runs_on_slurm_to_the_bytes_of_a_local_run(cluster, finished, tmp_path):
    clone = Clone(tmp_path)
    clone.edit_config(on_gpus)
    earlier = jobs().keys()
    finish(start(clone, "results/table3.tex"), clone)
    files = [
        p.relative_to(tmp_path)
        for p in tmp_path.glob("results/**/*")
        if p.is_file() and "logs" not in p.parts and p.name != "study.json"  # of another device
    ]
    assert {
        Path("results/table3.tex"),
        Path("results/predictions/iris_MLP_and_1_more_seed0.safetensors"),
    } <= set(files)
    assert not [
        name
        for name in files
        if (tmp_path / name).read_bytes() != (finished.folder / name).read_bytes()
    ]

    devices = {
        log: re.search("SLURM_JOB_ID (\\d+)(, CUDA_VISIBLE_DEVICES [01]$)?", line)
        for log, line in starts(clone).items()
    }
    submitted = {log: bool(match[2]) for log, match in devices.items() if match}
    rules = {(log.split("/")[0], on_gpu) for log, on_gpu in submitted.items()}
    trained = {(rule, True) for rule in ("train_teacher", "train_students", "soft_targets")}
    assert rules == trained | {("evaluate", False), ("metrics.log", False)}  # these see no GPU
    assert not devices["rank_methods.log"] and not devices["table3.log"]  # on Snakemake's machine
    # Of one or two students in each of two cells: 90 minutes a student, 10 to start.
    one, two = "3:10:00", "6:10:00"
    limits = {(limit, memory) for n, (_, _, limit, memory) in jobs().items() if n not in earlier}
    assert limits == {
        (one, "8000M"),
        (two, "8000M"),
        ("1:00:00", "4000M"),
    }
