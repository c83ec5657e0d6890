"""A disk that is full, read-only or in the way: one line that names the file, the old file kept.

The disks are real: a tmpfs of 64 kB, mounted read-only for some tests. Where mounting is not
permitted, a limit on the size of files makes the same writes fail (EFBIG), and a file in a folder's
place stands for one that cannot be written.
"""

import contextlib
import functools
import os
import re
import resource
import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import made_up
from conftest import RECIPE, ROOT, Clone, group, made_up_data, made_up_split
from ils.errors import UserError
from ils.figures.style import save
from ils.files import load_arrays, save_arrays, save_json, write_csv, write_text
from ils.networks.build import build
from ils.training.checkpoints import Checkpoints
from ils.training.shard import Inputs, Outputs
from ils.training.trainer import train, train_chunks
from train_students import train_students

SIZE = 64 * 1024


def mount(folder, options):
    """Whether mounting is permitted here and worked."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    )
    return done.returncode == 0


def unmount(folder):
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def small_disk(folder, size=SIZE):
    """A folder on a disk of `size` bytes."""
    folder.mkdir(exist_ok=True)
    if mount(folder, f"size={size}"):
        try:
            yield
        finally:
            unmount(folder)
    else:
        with small_files(size):
            yield


@contextlib.contextmanager
def small_files(size=SIZE):
    """No file can grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(folder):
    """A disk in place of a folder, with the file `old` on it, that takes no more writes."""
    folder.mkdir()
    if mount(folder, f"size={SIZE}"):
        try:
            (folder / "old").write_text("old")
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            yield
        finally:
            unmount(folder)
    else:
        folder.rmdir()
        folder.write_text("")
        yield


RNG = np.random.default_rng(0)


def large_figure():
    figure, axes = plt.subplots()
    axes.plot(RNG.normal(size=(400, 60)))
    return figure


WRITERS = {
    "arrays": lambda path: save_arrays(path, {"a": RNG.normal(size=20_000)}),
    "csv": lambda path: write_csv(path, pd.DataFrame({"a": RNG.normal(size=10_000)})),
    "text": lambda path: write_text(path, "x" * 200_000),
    "json": lambda path: save_json(path, {"a": RNG.normal(size=20_000).tolist()}),
    "pdf": lambda path: save(large_figure(), path),
    "png": lambda path: save(large_figure(), path),
}


@pytest.mark.parametrize(
    "disk", [small_disk, lambda folder: small_files()], ids=["full disk", "limited files"]
)
@pytest.mark.parametrize("kind", WRITERS)
def test_on_a_full_disk_a_write_names_the_file_and_keeps_the_old_one(kind, disk, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    with disk(folder):
        path = folder / f"file.{kind}"
        path.write_bytes(b"old")
        reason = "(No space left on device|File too large); free some"
        with pytest.raises(UserError, match=rf"file.{kind}: cannot write: {reason}"):
            WRITERS[kind](path)
        assert os.listdir(folder) == [path.name] and path.read_bytes() == b"old"
    plt.close("all")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_folder_that_cannot_be_written_is_named(kind, tmp_path):
    folder = tmp_path / "results"
    with read_only(folder):
        for path in (folder / f"file.{kind}", folder / "new" / f"file.{kind}"):
            reason = "(Read-only file|Not a dir|File exists).*rights"
            with pytest.raises(UserError, match=rf"file.{kind}: cannot write: {reason}"):
                WRITERS[kind](path)
        assert not folder.is_dir() or os.listdir(folder) == ["old"]
    plt.close("all")


def toy(make_cell, checkpoints, students=2, epochs=4):
    """Train a toy grid, two students at once, with a checkpoint after each epoch."""
    groups = [group("ls", {"epsilon": [0.1 * i for i in range(students)]})]
    make = lambda count: build("mlp", {"hidden": [500]}, (5,), 3, count, 0)  # noqa: E731
    told = {"cell": make_cell((5,)), "recipe": replace(RECIPE, epochs=epochs), "seed": 0}
    return train_chunks(groups, 2, make, functools.partial(train, **told), "toy", checkpoints)


def test_a_training_whose_checkpoint_does_not_fit_warns_once_and_goes_on(
    make_cell, tmp_path, capsys, caplog
):
    undisturbed = toy(make_cell, Checkpoints(tmp_path / "elsewhere", "digest", 1e9), students=4)
    with small_disk(tmp_path / "results"):
        checkpoints = Checkpoints(tmp_path / "results" / "shard", "digest", minutes=0)
        trained = toy(make_cell, checkpoints, students=4)
        assert os.listdir(checkpoints.folder) == []
    for a, b in zip(trained, undisturbed, strict=True):
        np.testing.assert_array_equal(a.validation_logits, b.validation_logits)
    said = [line for line in capsys.readouterr().err.splitlines() if "cannot write" in line]
    assert len(said) == 1 and "0-1.safetensors: cannot write" in said[0]
    assert "goes on without a checkpoint" in said[0]
    assert caplog.text.count("goes on without a checkpoint") == 1


def test_students_that_do_not_fit_end_their_job_with_one_line(tmp_path):
    data, results = made_up_data((5,)), tmp_path / "results"
    save_arrays(tmp_path / "data", data)
    split, cell = made_up_split(data), made_up.CELL
    save_arrays(tmp_path / "splits", {f"{cell.split}/{part}": split[part] for part in split})
    recipe, network = replace(RECIPE, epochs=1), ("mlp", {"hidden": [5000]})
    training = made_up.training({"no_ls": {}}, recipe, network)
    inputs = Inputs(str(tmp_path / "data"), str(tmp_path / "splits"))
    outputs = Outputs(results / "students", results / "tests", [], 1e9, 1)
    told = training, 0, made_up.at_once(training), [inputs], outputs
    with small_disk(results):
        with pytest.raises(UserError, match="students: cannot write"):
            train_students(*told)
        assert os.listdir(results) == ["tests"]
    train_students(*told)
    assert sorted(os.listdir(results)) == ["students", "tests"]


def test_the_last_checkpoint_that_fitted_is_kept(make_cell, tmp_path):
    with small_disk(tmp_path / "results", 2 * SIZE):
        checkpoints = Checkpoints(tmp_path / "results" / "shard", "digest", minutes=0)
        assert checkpoints.chunk(0, 2).save({"a": np.arange(3)}, finished=True)
        assert not checkpoints.chunk(0, 2).save({"a": np.zeros(10**6)}, finished=True)
        assert load_arrays(checkpoints.folder / "0-1.safetensors")[0]["a"].tolist() == [0, 1, 2]


def test_told_to_end_on_a_full_disk_it_says_that_nothing_was_kept(make_cell, tmp_path):
    with small_disk(tmp_path / "results"):
        checkpoints = Checkpoints(tmp_path / "results" / "shard", "digest", minutes=1e9)
        checkpoints.told_to_end = True
        with pytest.raises(
            UserError, match="after epoch 1, which is not kept; free some space and run again"
        ):
            toy(make_cell, checkpoints)


PROGRAM = """
import sys, types, warnings
from pathlib import Path
from ils.job import log, run
from ils.errors import UserError

def work(what):
    for i in range(3000):
        log.info("a line %d of a job that says much", i)
    warnings.warn("a warning of another library")
    if what == "fails":
        raise UserError("config: something: is wrong; correct it")
    if what == "cache":
        Path(sys.argv[1], "cache").write_bytes(bytes(10**6))

log_file = sys.argv[1] + "/logs/toy.log"
job = types.SimpleNamespace(rule="toy", log=[log_file], wildcards={"seed": 0})
run(work, job, what=sys.argv[2])
print("the job's last line")
"""


def job(folder, what):
    """Run a job whose log is in `folder`; returns its exit code and what it said."""
    command = [sys.executable, "-c", PROGRAM, str(folder), what]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True)
    for words in ("Traceback", "Logging error", "Exception ignored"):
        assert words not in done.stderr
    return done.returncode, done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("what", ["works", "fails", "cache"])
def test_a_log_that_fills_the_disk_is_one_warning(what, tmp_path):
    with small_disk(tmp_path / "results"):
        code, out, said = job(tmp_path / "results", what)
    assert "toy.log: cannot write the log: [Errno" in said[0] and said[0].startswith("warning: ")
    last = {
        "fails": "config: something: is wrong; correct it",
        "cache": ".*: cannot write: .*; free some space and run again",
    }
    assert (code == 0) == (what == "works") == bool(out) and len(said) == 1 + (what != "works")
    assert what == "works" or re.fullmatch(f"error in toy seed=0: {last[what]}", said[1])


@pytest.mark.parametrize("disk", ["read-only", "a file"])
def test_without_a_log_the_job_ends_with_one_line_and_does_nothing(disk, tmp_path):
    folder = tmp_path / "results"
    if disk == "a file":
        folder.write_text("")
    with read_only(folder) if disk == "read-only" else contextlib.nullcontext():
        code, out, said = job(folder, "works")
    assert code and not out and len(said) == 1
    assert re.match(
        "error in toy seed=0: .*toy.log: cannot write: .*; free some space or check", said[0]
    )


LIMIT = """
import resource, sys
if any("prepare_dataset" in word for word in sys.orig_argv):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


@contextlib.contextmanager
def small_results(folder, monkeypatch):
    """A workflow's folder `results` on a small disk.

    Without one a limit for its jobs, as Snakemake itself needs some room.
    """
    (folder / "results").mkdir()
    if mount(folder / "results", "size=8k"):
        try:
            yield
        finally:
            unmount(folder / "results")
    else:
        (folder / "sitecustomize.py").write_text(LIMIT)
        with monkeypatch.context() as changed:
            changed.setenv("PYTHONPATH", str(folder))
            yield


def test_snakemake_on_a_full_disk_shows_one_line_for_the_job_and_goes_on_when_there_is_room(
    tmp_path, monkeypatch
):
    clone = Clone(tmp_path)
    target = "results/splits/iris_MLP_distilled.safetensors"
    with small_results(tmp_path, monkeypatch):
        output = clone.snakemake(target, "--cores", "1", check=False)
    line = "error in dataset dataset=iris: results/data/iris.safetensors: cannot write: .*; free"
    assert len(re.findall(f"^{line} some space", output, re.M)) == 1, output
    assert "Traceback" not in output, output
    clone.snakemake(target, "--cores", "1")
    assert load_arrays(tmp_path / target)[0]["iris/seed0/train"].size


def test_an_unwritable_cache_folder_stops_no_job(tmp_path):
    """matplotlib's font cache, say: it warns and takes a temporary folder."""
    (tmp_path / "file").write_text("")
    program = "import sys; from ils.figures.style import canvas, save; "
    program += "save(canvas(50, 50)[0], sys.argv[1])"
    places = {
        name: str(tmp_path / "file")
        for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
    }
    command = [sys.executable, "-c", program, str(tmp_path / "figure.png")]
    done = subprocess.run(
        command, cwd=ROOT / "scripts", env=os.environ | places, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "figure.png").exists()
