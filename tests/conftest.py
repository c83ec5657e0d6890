"""Shared by the tests: one thread, small cells to train on, a copy of the repository to run."""

import collections
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from dry_runs import dry_run
from ils.data.splits import split
from ils.plan.plugins import load
from ils.plan.records import Recipe
from ils.training.cell import CellData
from ils.training.step import Group

torch.set_num_threads(1)

ROOT = Path(__file__).parent.parent
# These take the longest, so that none of them is the last that `pytest -n` waits for; the second
# mostly waits for Slurm while the first runs the small study.
FIRST = ("workflow/test_workflow", "workflow/test_slurm", "workflow/test_conda")
FIRST += ("workflow/test_rerun", "workflow/test_module", "training/test_checkpoints")
RECIPE = Recipe("sgd", 0.05, 0.9, True, 1e-4, [2], 0.1, 16, 3, None)


def pytest_collection_modifyitems(items):
    """Put the tests of the files in `FIRST` first, in that order."""
    paths = [str(ROOT / "tests" / f"{name}.py") for name in FIRST]
    last = len(paths)
    items.sort(key=lambda item: paths.index(str(item.path)) if str(item.path) in paths else last)


def made_up_data(shape, classes=3, n=90, seed=0):
    """Arrays of a prepared dataset whose classes differ in their mean input."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    inputs = rng.normal(size=(n, *shape)) + rng.normal(size=(classes, *shape))[labels]
    inputs = (
        np.clip(inputs * 30 + 128, 0, 255).astype(np.uint8)
        if len(shape) == 3
        else inputs.astype(np.float32)
    )
    return {
        "inputs": inputs,
        "labels": labels,
        "ids": np.arange(n) + 1000,
        "official_test": np.zeros(n, bool),
    }


def made_up_split(data):
    """The arrays of its split: 54 training samples of 90, 18 for validation, 18 for the test."""
    sizes = {"name": "made up", "test": 0.2, "validation": 0.25}
    return split(data["inputs"], data["labels"], data["official_test"], 0, **sizes)


@pytest.fixture
def make_cell():
    """Return a function (shape, pad, flip, with a teacher?) -> CellData in float64 on the CPU."""

    def make(shape, pad=0, flip=False, teacher=False):
        data = made_up_data(shape)
        parts = made_up_split(data)
        soft_targets, temperature = [], None
        if teacher:
            views = (2 * pad + 1) ** 2 * (1 + flip)
            logits = np.random.default_rng(1).normal(size=(len(parts["train"]), views, 3))
            soft_targets = [{"logits": logits, "ids": data["ids"][parts["train"]]}]
            temperature = 1.5
        augmentation, device = {"pad": pad, "flip": flip}, torch.device("cpu")
        return CellData(data, parts, augmentation, device, soft_targets, temperature, torch.float64)

    return make


def group(targets, grid=None, students=1, name="", options=None, transform=None):
    """So many students of one method (a function, or the name of one), or one for each of a grid's
    parallel lists {hyperparameter: values}."""
    function = load("method", targets) if isinstance(targets, str) else targets
    transform = load("transform", transform) if isinstance(transform, str) else transform
    points = (
        [dict(zip(grid, values)) for values in zip(*grid.values())] if grid else [{}] * students
    )
    return Group(name or function.__name__, function, points, options or {}, transform)


class Clone:
    """A copy of the repository's code in which Snakemake runs the small study."""

    def __init__(
        self, folder, source=ROOT, names=("workflow", "slurm", "scripts", "config", "envs", "tests")
    ):
        self.folder, ignored = folder, shutil.ignore_patterns("__pycache__")
        for name in names:
            if (source / name).is_symlink():
                (folder / name).symlink_to(os.readlink(source / name))
            else:
                shutil.copytree(source / name, folder / name, ignore=ignored)
        self.config = folder / "tests" / "small.yaml"
        self.more_configs = []  # that are given after it
        self.python, self.variables = sys.executable, {"OMP_NUM_THREADS": "1"}
        # Where Python may not keep bytecode, every job would compile all its modules anew.
        self.variables["PYTHONDONTWRITEBYTECODE"] = ""

    def snakemake(self, *arguments, check=True):
        configs = map(str, [self.config, *self.more_configs])
        arguments = [*arguments, "--configfile", *configs]
        environment = os.environ | self.variables
        if "--dry-run" in arguments:
            code, output = dry_run(self.folder, environment, arguments)
        else:
            done = subprocess.run(
                [self.python, "-m", "snakemake", *arguments],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
            )
            code, output = done.returncode, done.stdout + done.stderr
        assert not check or code == 0, output
        return output

    def planned(self, *targets):
        """How often a dry run would run each rule, and which later rounds it trains."""
        output = self.snakemake("--dry-run", "--cores", "1", *targets)
        stats = re.search(r"Job stats:\njob +count\n-+ +-+\n(.*?)\ntotal", output, re.S)
        lines = [line.split() for line in stats[1].splitlines()] if stats else []
        counts = collections.Counter({rule: int(count) for rule, count in lines})
        return counts, set(re.findall(r"^Job \d+: Training (\w+) students", output, re.M))

    def messages(self, *targets):
        """The message of each job that a dry run would run."""
        output = self.snakemake("--dry-run", "--cores", "1", *targets)
        return re.findall(r"^Job \d+: (.*)", output, re.M)

    def edit_config(self, change):
        config = yaml.safe_load(self.config.read_text())
        change(config)
        self.config.write_text(yaml.safe_dump(config))


def on_gpus(config):
    """Let the small study's networks ask for a GPU; where there is none, they run on the CPU."""
    config["device"], config["networks"][0]["gpu"] = "auto", 1


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A clone in which `all` has run on one core: once, whichever process of `pytest -n` needs it
    first, and of which each has a copy."""
    processes = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    original = (base.parent if processes else base) / "finished"
    with open(f"{original}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not original.exists():
            clone = Clone(tmp_path_factory.mktemp("one_core"))
            clone.snakemake("--cores", "1", "all")
            clone.folder.rename(original)
    names = [path.name for path in original.iterdir()]
    return Clone(tmp_path_factory.mktemp("finished_copy"), original, names)
