"""A training that was stopped goes on to the same bytes: asked to end, killed, its files damaged, its memory too small."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import RECIPE, ROOT, made_up_data
from ils.data.splits import split
from ils.errors import UserError
from ils.files import load_arrays, save_arrays
from ils.networks.build import build
from ils.plan.checks import trained_as
from ils.plan.plugins import load
from ils.training.checkpoints import Checkpoint, Checkpoints, digest, forget
from ils.training.trainer import train, train_chunks
from ils.training.trainer import trainer as training
from train_students import train_cells, train_students

ADAM = RECIPE._replace(optimizer="adam", learning_rate=0.01, epochs=6)
SGD = RECIPE._replace(epochs=6, patience=5)
CASES = {  # a network's coins, Adam's count of steps, the memory of targets, their own noise
    "resnet": (
        ("resnet", {"depth": 8, "width": 4, "survival": 0.5}, (1, 8, 8)),
        "ils2",
        {"epsilon": [0.1, 0.2], "temperature": [1.0, 2.0]},
        SGD,
    ),
    "alexnet": (
        ("alexnet", {"width": 2, "hidden": (8, 8), "stride": 1}, (1, 8, 8)),
        "ps_kd",
        {"alpha": [0.5, 0.8]},
        ADAM,
    ),
    "mlp": (
        ("mlp", {"hidden": [8]}, (5,)),
        "beta",
        {"epsilon": [0.1, 0.2], "alpha": [0.4, 0.4]},
        SGD,
    ),
}


def same(a, b):
    a, b = a.arrays(), b.arrays()
    return a.keys() == b.keys() and all(
        np.array_equal(a[name], b[name], equal_nan=True) for name in a
    )


@pytest.mark.parametrize("case", CASES)
def test_a_training_that_was_told_to_end_goes_on_to_the_same_numbers(case, make_cell, tmp_path):
    (family, options, shape), method, grid, recipe = CASES[case]

    def run(checkpoint):
        cell = make_cell(shape, teacher=True)
        network = build(family, options, shape, 3, 2, 0)
        return train(
            network, cell, load("method", method), grid, recipe, 0, "toy job", checkpoint=checkpoint
        )

    undisturbed, stops = run(None), 0
    for _ in range(recipe.epochs):
        checkpoints = Checkpoints(tmp_path / "shard", "digest", minutes=1e9)
        checkpoints.told_to_end = stops < 3  # after every epoch that it trains
        try:
            students = run(checkpoints.chunk(0, 2))
            break
        except UserError as error:
            stops += 1
            assert f"toy job: told to end by a signal after epoch {stops}," in str(
                error
            ) and "run again" in str(error)
    assert stops == 3 and same(students, undisturbed)


JOB = """
import json, sys
from train_students import train_cells
train_cells([json.load(open(sys.argv[1]))], code=[], minutes=0)
"""


@pytest.fixture
def job(tmp_path):
    """The arguments of a job that trains two chunks of students for some seconds, and the command that runs it."""
    shape = (1, 8, 8)
    data = made_up_data(shape)
    parts = split(
        data["inputs"],
        data["labels"],
        data["official_test"],
        0,
        name="made up",
        test=0.2,
        validation=0.25,
    )
    save_arrays(tmp_path / "data", data)
    save_arrays(tmp_path / "split", parts)
    logits = np.random.default_rng(1).normal(size=(len(parts["train"]), 9, 3)).astype(np.float32)
    save_arrays(
        tmp_path / "soft", {"logits": logits, "ids": data["ids"][parts["train"]]}, temperature=1.5
    )
    network = trained_as(
        {
            "family": "resnet",
            "options": {"depth": 8, "width": 4, "survival": 0.5},
            "students_at_once": {"cpu": 2, "cuda": 2},
        }
    )
    method = {
        "targets": "ils2",
        "grid": {"epsilon": [0.1, 0.2, 0.3], "temperature": [2.0]},
        "inputs": {},
        "temperature_scaling": "none",
    }
    arguments = {
        "data": "data",
        "split": "split",
        "soft_targets": ["soft"],
        "inherited": {},
        "output": "shard",
        "job": "toy",
    }
    arguments |= {
        "seed": 0,
        "shard": 0,
        "device": "cpu",
        "augmentation": {"pad": 1, "flip": False},
        "network": network,
    }
    arguments |= {
        "recipe": RECIPE._replace(epochs=60)._asdict(),
        "method": method | {"shards": 1},
        "bounds": [0.5, 5.0],
    }
    (tmp_path / "job.json").write_text(json.dumps(arguments))

    def start():
        environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", JOB, "job.json"],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    return arguments, start


def test_killed_at_three_random_moments_it_leaves_the_bytes_of_an_undisturbed_run(job, tmp_path):
    _, start = job
    assert start().wait() == 0
    undisturbed = (tmp_path / "shard").read_bytes()
    (tmp_path / "shard").unlink()
    folder, moments = tmp_path / "shard.partial", random.Random()

    def newest():
        return max((path.stat().st_mtime_ns for path in folder.glob("*.safetensors")), default=0)

    for _ in range(3):
        before, process = newest(), start()
        while newest() == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it was done before it was killed"
        assert not (tmp_path / "shard").exists() and any(folder.iterdir())
    assert start().wait() == 0
    assert (tmp_path / "shard").read_bytes() == undisturbed and not folder.exists()


def test_sigterm_ends_a_job_after_its_epoch_with_one_line(job, tmp_path):
    _, start = job
    process = start()
    while not (tmp_path / "shard.partial").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    error = process.communicate()[1]
    assert (
        process.returncode
        and "UserError: toy" in error
        and "told to end by a signal after epoch" in error
    )


def interrupted(arguments, folder, monkeypatch):
    """Run the job until its second chunk has been in training for two epochs."""
    monkeypatch.chdir(folder)
    calls, original = [], Checkpoint.keep

    def stop(self, state, epoch):
        calls.append(epoch)
        self.job.told_to_end = len(calls) == 62  # 60 epochs of the first chunk, two of the second
        return original(self, state, epoch)

    monkeypatch.setattr(Checkpoint, "keep", stop)
    with pytest.raises(UserError, match="after epoch 2"):
        train_students(**arguments, code=[], minutes=1e9)
    monkeypatch.setattr(Checkpoint, "keep", original)
    assert sorted(path.name for path in (folder / "shard.partial").iterdir()) == [
        "0-1.safetensors",
        "2-2.safetensors",
    ]


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "none"])
def test_a_damaged_checkpoint_is_set_aside_and_one_of_another_job_not_trusted(
    damage, job, tmp_path, monkeypatch, capsys, caplog
):
    arguments, _ = job
    interrupted(arguments, tmp_path, monkeypatch)
    path = tmp_path / "shard.partial" / "2-2.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "foreign":
        arguments["recipe"]["learning_rate"] = 0.04
    elif damage == "flipped":
        content[-5] ^= 1
    path.write_bytes(content[:-9] if damage == "cut" else content)
    caplog.set_level("INFO")
    train_students(**arguments, code=[], minutes=1e9)
    said = capsys.readouterr().err + caplog.text
    assert ("2-2.safetensors: damaged" in said and "set aside as 2-2.damaged" in said) == (
        damage in ("cut", "flipped")
    )
    assert ("goes on after epoch 2" in said) == (damage == "none")
    assert ("finished before" in said) == (damage != "foreign") and (
        "of another config" in said
    ) == (damage == "foreign")
    resumed = (tmp_path / "shard").read_bytes()
    (tmp_path / "shard").unlink()
    forget(["shard"])
    train_students(**arguments, code=[], minutes=1e9)
    assert (tmp_path / "shard").read_bytes() == resumed


def test_the_digest_changes_with_arguments_and_files(tmp_path):
    (tmp_path / "a").write_text("1")
    first = digest([{"epsilon": 0.1}], [tmp_path / "a"])
    assert (
        first
        == digest([{"epsilon": 0.1}], [tmp_path / "a"])
        != digest([{"epsilon": 0.2}], [tmp_path / "a"])
    )
    (tmp_path / "a").write_text("2")
    assert digest([{"epsilon": 0.1}], [tmp_path / "a"]) != first


def test_out_of_memory_halves_the_students_trained_at_once(
    make_cell, tmp_path, monkeypatch, caplog
):
    cell, sizes, original = make_cell((5,)), [], training.train

    def too_large(network, *given):
        sizes.append(network.students)
        if network.students > 2:
            raise torch.OutOfMemoryError
        return original(network, *given)

    monkeypatch.setattr(training, "train", too_large)
    points = [{"epsilon": 0.05 * i} for i in range(5)]
    recipe = RECIPE._replace(epochs=2)

    def chunks(at_once, most=2):
        make = lambda students: build("mlp", {"hidden": [8]}, (5,), 3, students, 0)  # noqa: E731
        given = make, cell, load("method", "ls"), recipe, 0, "toy", {}
        return train_chunks(
            points, at_once, *given, Checkpoints(tmp_path / str(at_once), "digest", 1e9)
        )

    found = chunks(5)
    assert sizes == [5, 3, 2, 2, 1] and [len(students.best_epoch) for students in found] == [
        2,
        2,
        1,
    ]
    assert "toy 1-5/5: out of device memory; goes on with 3 students at once" in caplog.text
    assert all(same(a, b) for a, b in zip(found, chunks(2), strict=True))
    monkeypatch.setattr(
        training, "train", lambda *given: (_ for _ in ()).throw(torch.OutOfMemoryError())
    )
    with pytest.raises(UserError, match="toy 1-1/5: one student does not fit"):
        chunks(1)


def test_a_file_whose_bytes_changed_is_damaged(tmp_path):
    save_arrays(tmp_path / "a", {"logits": np.arange(100.0)})
    content = bytearray((tmp_path / "a").read_bytes())
    content[-3] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(
        UserError, match="a: damaged .the checksum of logits is another.; delete the file"
    ):
        load_arrays(tmp_path / "a")


def test_the_finished_cells_of_a_job_that_fails_later_are_not_trained_again(
    job, tmp_path, monkeypatch, caplog
):
    arguments, _ = job
    monkeypatch.chdir(tmp_path)
    arguments["recipe"]["epochs"] = 2
    broken = arguments | {"output": "other", "split": "missing"}
    with pytest.raises(UserError, match="missing: no such file"):
        train_cells([arguments, broken], code=[], minutes=1e9)
    first = (tmp_path / "shard").read_bytes()
    (tmp_path / "shard").unlink()  # as Snakemake does with all outputs of a failed job
    caplog.set_level("INFO")
    train_cells([arguments, arguments | {"output": "other"}], code=[], minutes=1e9)
    assert caplog.text.count("finished before") == 2 and (tmp_path / "shard").read_bytes() == first
    assert not list(tmp_path.glob("*.partial"))
