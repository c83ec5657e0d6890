"""A training that was stopped goes on to the same bytes.

It was asked to end, killed, its files are damaged, its memory is too small.
"""

import functools
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import made_up
from conftest import RECIPE, ROOT, group, made_up_data, made_up_split
from ils.errors import UserError
from ils.files import load_arrays, save_arrays
from ils.networks.build import build
from ils.plan.records import Cell
from ils.training.checkpoints import Checkpoint, Checkpoints, digest
from ils.training.shard import Inputs, Outputs
from ils.training.trainer import train, train_chunks
from train_students import train_students

ADAM = replace(RECIPE, optimizer="adam", learning_rate=0.01, epochs=6)
SGD = replace(RECIPE, epochs=6, patience=5)


def halves(x, onehot, memory, *, share):
    """Scale the inputs by a number that halves in each step."""
    memory["scale"] = memory.get("scale", 1) * share
    return memory["scale"].view(-1, *[1] * x.dim()) * x, onehot


SHORT_MEMORY = {"ema_confidence": {"decay": 0.5}}
ILS2 = group("ils2", {"epsilon": [0.1, 0.2], "temperature": [1.0, 2.0]})
PS_KD = group("ps_kd", {"alpha": [0.5, 0.8]})
BETA = group("beta", {"epsilon": [0.1, 0.2], "alpha": [0.4, 0.4]})
ONLINE = group("online_ls", {"alpha": [0.5, 0.1]})
MIXED = [group("no_ls", {"alpha": [0.2, 1.0]}, name="mixup", transform="mixup")]
MIXED += [group("online_ls", {"alpha": [0.5], "share": [0.5]}, transform=halves)]
SHORT = group("beta", {"epsilon": [0.1], "alpha": [0.2]}, 1, "short", SHORT_MEMORY)
CASES = {  # a network's coins, Adam's count of steps, the memories of targets, their own noise
    "resnet": (
        ("resnet", {"depth": 8, "width": 4, "survival": 0.5}, (1, 8, 8)),
        [ILS2, BETA, PS_KD, ONLINE],
        SGD,
    ),
    "alexnet": (
        ("alexnet", {"width": 2, "hidden": (8, 8), "stride": 1}, (1, 8, 8)),
        [PS_KD],
        ADAM,
    ),
    "mlp": (("mlp", {"hidden": [8]}, (5,)), [SHORT, ILS2, BETA], SGD),
    "inputs of their own": (("mlp", {"hidden": [8]}, (5,)), MIXED, ADAM),
    "searched options": (
        ("mlp", {"hidden": [8]}, (5,)),
        [group("beta", {"epsilon": [0.1] * 3, "alpha": [0.4] * 3, "decay": [0.1, 0.9, 0.9]})],
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
    (family, options, shape), groups, recipe = CASES[case]
    students = sum(len(of_method.points) for of_method in groups)

    def train_toy(checkpoint):
        cell = make_cell(shape, teacher=True)
        network = build(family, options, shape, 3, students, 0)
        return train(network, cell, groups, recipe, 0, "toy job", checkpoint=checkpoint)

    undisturbed, stops = train_toy(None), 0
    for _ in range(recipe.epochs):
        checkpoints = Checkpoints(tmp_path / "shard", "digest", minutes=1e9)
        checkpoints.told_to_end = stops < 3  # after every epoch that it trains
        try:
            trained = train_toy(checkpoints.chunk(0, students))
            break
        except UserError as error:
            stops += 1
            assert f"toy job: told to end by a signal after epoch {stops}," in str(
                error
            ) and "run again" in str(error)
    assert stops == 3 and same(trained, undisturbed)


CELLS = Cell("toy", "ResNet8", 0), Cell("toy", "ResNet8", 1)
INPUTS = Inputs("data", "splits", ["soft"])
STUDENTS = f"shard.partial/{CELLS[0].name}"


def training(cells=1, **recipe):
    """Two chunks of students of three methods, which train for some seconds, in each cell.

    Two of the methods remember something, and the students of one are in both chunks.
    """
    network = "resnet", {"depth": 8, "width": 4, "survival": 0.5}
    methods = {
        "ps_kd": {"alpha": [0.5]},
        "beta": {"epsilon": [0.1, 0.2], "alpha": [0.4]},
        "ils2": {"epsilon": [0.1], "temperature": [2.0]},
    }
    recipe = replace(RECIPE, **{"epochs": 60} | recipe)
    return made_up.training(methods, recipe, network, CELLS[:cells], pad=1)


def run(training, inputs=(INPUTS,), minutes=1e9):
    """The job itself, in the working directory."""
    outputs = Outputs("shard", "tests", [], minutes, len(training.cells))
    train_students(training, 0, made_up.at_once(training), list(inputs), outputs)


HALVING = {"epochs": [20, 40], "keep": [0.6, 0.5]}  # of beta's two both go on, and then one
JOB = "import test_checkpoints as job; job.run(job.training(halving=job.HALVING), minutes=0)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with the files that the job reads."""
    monkeypatch.chdir(tmp_path)
    data = made_up_data((1, 8, 8))
    parts = made_up_split(data)
    save_arrays("data", data)
    splits = {f"{cell.split}/{name}": parts[name] for cell in CELLS for name in parts}
    save_arrays("splits", splits)
    logits = np.random.default_rng(1).normal(size=(len(parts["train"]), 9, 3)).astype(np.float32)
    soft = {"logits": logits, "ids": data["ids"][parts["train"]]}
    save_arrays("soft", {f"{cell.name}/{name}": soft[name] for cell in CELLS for name in soft})
    return tmp_path


def start():
    """The same job in a process of its own, with a checkpoint after each epoch."""
    paths = (ROOT / "scripts", ROOT / "tests", ROOT / "tests/training")
    environment = {"PYTHONPATH": ":".join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    command, pipe = [sys.executable, "-c", JOB], subprocess.PIPE
    return subprocess.Popen(command, env=os.environ | environment, stderr=pipe, text=True)


def test_killed_at_random_moments_it_leaves_the_bytes_of_an_undisturbed_run(folder):
    results = folder / "shard", folder / "tests"
    assert start().wait() == 0
    undisturbed = [path.read_bytes() for path in results]
    for path in results:
        path.unlink()
    moments = random.Random()

    def newest():
        checkpoints = (folder / STUDENTS).glob("*.safetensors")
        return max((path.stat().st_mtime_ns for path in checkpoints), default=0)

    for number in [signal.SIGKILL] * 3 + [signal.SIGTERM]:
        before, process = newest(), start()
        while newest() == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5) if number == signal.SIGKILL else 0)
        process.send_signal(number)
        ended = -signal.SIGKILL if number == signal.SIGKILL else 1  # by an error of its own
        assert process.wait() == ended, "it was done before it was killed"
        assert not any(path.exists() for path in results)
        assert any((folder / STUDENTS).iterdir())
    assert start().wait() == 0
    assert [path.read_bytes() for path in results] == undisturbed
    assert not (folder / "shard.partial").exists()


def test_sigterm_ends_a_job_after_its_epoch_with_one_line(folder):
    process = start()
    while not (folder / STUDENTS).exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    error = process.communicate()[1]
    assert process.returncode and "UserError: toy ResNet8 seed 0 1-2/4: told to end" in error
    assert "told to end by a signal after epoch" in error


def interrupted(training, monkeypatch):
    """Run the job until its second chunk has been in training for two epochs."""
    calls, original = [], Checkpoint.keep

    def stop(self, state, epoch):
        calls.append(epoch)
        epochs = training.recipes[0].epochs
        self.job.told_to_end = len(calls) == epochs + 2  # those of the first chunk, and two
        return original(self, state, epoch)

    monkeypatch.setattr(Checkpoint, "keep", stop)
    with pytest.raises(UserError, match="after epoch 2"):
        run(training)
    monkeypatch.setattr(Checkpoint, "keep", original)
    assert sorted(os.listdir(STUDENTS)) == ["0-1.safetensors", "2-3.safetensors"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "none"])
def test_a_damaged_checkpoint_is_set_aside_and_one_of_another_job_not_trusted(
    damage, folder, monkeypatch, capsys, caplog
):
    job = training(epochs=10)
    interrupted(job, monkeypatch)
    path = folder / STUDENTS / "2-3.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "foreign":
        job = training(epochs=10, learning_rate=0.04)
    elif damage == "flipped":
        content[-5] ^= 1
    path.write_bytes(content[:-9] if damage == "cut" else content)
    caplog.set_level("INFO")
    run(job)
    said = capsys.readouterr().err + caplog.text
    aside = "2-3.safetensors: damaged" in said and "set aside as 2-3.damaged" in said
    assert aside == (damage in ("cut", "flipped"))
    assert ("goes on after epoch 2" in said) == (damage == "none")
    assert ("finished before" in said) == (damage != "foreign")
    assert ("of another config" in said) == (damage == "foreign")
    resumed = [(folder / name).read_bytes() for name in ("shard", "tests")]
    (folder / "shard").unlink()
    assert not (folder / "shard.partial").exists()
    run(job)
    assert [(folder / name).read_bytes() for name in ("shard", "tests")] == resumed


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


def test_out_of_memory_halves_the_students_trained_at_once(make_cell, tmp_path, caplog):
    cell, sizes, most = make_cell((5,)), [], 2
    groups = [group("ls", {"epsilon": [0.05 * i for i in range(4)]}), group("no_ls")]
    recipe = replace(RECIPE, epochs=2)
    learn = functools.partial(train, cell=cell, recipe=recipe, seed=0)

    def limited(network, **told):
        sizes.append(network.students)
        if network.students > most:
            raise torch.OutOfMemoryError
        return learn(network, **told)

    def chunks(at_once):
        make = lambda students: build("mlp", {"hidden": [8]}, (5,), 3, students, 0)  # noqa: E731
        checkpoints = Checkpoints(tmp_path / str(at_once), "digest", 1e9)
        return train_chunks(groups, at_once, make, limited, "toy", checkpoints)

    halved = chunks(5)
    assert sizes == [5, 3, 2, 2, 1]
    assert [len(students.best_epoch) for students in halved] == [2, 2, 1]
    assert "toy 1-5/5: out of device memory; 3 students at once go on" in caplog.text
    assert all(same(a, b) for a, b in zip(halved, chunks(2), strict=True))
    most = 0
    with pytest.raises(UserError, match="toy 1-1/5: one student does not fit"):
        chunks(1)


def test_a_file_whose_bytes_changed_is_damaged(tmp_path):
    save_arrays(tmp_path / "a", {"logits": np.arange(100.0)})
    content = bytearray((tmp_path / "a").read_bytes())
    content[-3] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(
        UserError, match=r"a: damaged .the checksum of logits is another.; delete the file"
    ):
        load_arrays(tmp_path / "a")


def test_the_finished_cells_of_a_job_that_fails_later_are_not_trained_again(folder, caplog):
    job, both = training(cells=2, epochs=2), [INPUTS, INPUTS]
    run(job, both)
    undisturbed = [(folder / name).read_bytes() for name in ("shard", "tests")]
    for name in ("shard", "tests"):
        (folder / name).unlink()
    with pytest.raises(UserError, match="missing: no such file"):
        run(job, [INPUTS, replace(INPUTS, splits="missing")])
    assert not (folder / "shard").exists() and not (folder / "tests").exists()
    caplog.set_level("INFO")
    run(job, both)
    assert caplog.text.count("finished before") == 2  # both chunks of the first cell
    assert [(folder / name).read_bytes() for name in ("shard", "tests")] == undisturbed
    assert not list(folder.glob("*.partial"))
