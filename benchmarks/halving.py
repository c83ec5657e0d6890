"""How much successive halving loses and saves, replayed on grids that were trained in full.

    python benchmarks/halving.py train [--part tables digits fashion cifar]
    python benchmarks/halving.py report [--part ...]

`train` trains No LS, LS (5 points) and ILS (125) with the paper's grids through the workflow, a
part after the other, in --folder; what is there is not trained again. `fashion` needs Debian's
package dataset-fashion-mnist, `cifar` what config/cifar10_jpeg.yaml says, unpacked in its folder
FOLDER/cifar. `report` races the students as a recipe's `halving` would: a survivor is what it is in
a full grid, so their histories tell who is dropped. Seconds are a model: measured steps of networks
of some sizes, those between by interpolation, times the steps and the validation of each stage.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np
import pandas as pd
import torch
import yaml
from scipy.stats import rankdata

from ils.evaluation.budget import expected
from ils.files import load_arrays
from ils.plan.grids import share_sizes
from ils.plan.paths import DATA, PREDICTIONS
from ils.plan.plan import Plan
from ils.plan.records import Cell, Recipe
from ils.training.costs import Costs, costs, known_sizes, step_seconds
from ils.training.forecast import key_of, pairs_of
from ils.training.race import survivors
from studies import ROOT, run_study

METHODS = "no_ls", "ls", "ils"
RAW, SCALED = 0, 1  # rows of a grid: as trained, and by each student's own temperature
READINGS = {  # the row that selects a method's student, and the row of the value that is ranked
    "": dict.fromkeys(METHODS, (RAW, RAW)),
    "+TempS": {"no_ls": (RAW, SCALED), "ls": (SCALED, SCALED), "ils": (RAW, SCALED)},
}
MEASURED = 1, 2, 5, 10  # students at once, and as many as the config says

# ---- the studies
# --------------------------------------------------------------------------------------------------


class Part(NamedTuple):
    """Experiments of a config, those of some recipe or dataset, and what is changed of entries."""

    config: str
    of: str
    jobs: int = 1  # cells a job
    seeds: int = 1
    dataset: dict = {}
    recipe: dict = {}


SUBSET = {"train": 2500, "validation": 2000}  # of official training images
SHORT = {"epochs": 20, "milestones": [10, 15]}
PARTS = {
    "tables": Part("config", "tables", 5),
    "digits": Part("config", "images", 1, 2),
    "fashion": Part("fashion", "fashion_mnist_5k", 1, 1, SUBSET),
    "cifar": Part("cifar10_jpeg", "cifar10_jpeg_5k", 1, 1, SUBSET, SHORT),
}


def read_config(name):
    """A file of config/."""
    return yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))


def study(part):
    """The config of a part: the paper's grids of `METHODS`."""
    config = read_config("config") | read_config(part.config)
    entries = [e for e in config["experiments"] if part.of in (e["recipe"], e["dataset"])]
    datasets, recipes = ({e[kind] for e in entries} for kind in ("dataset", "recipe"))
    return config | {
        "seeds": list(range(part.seeds)),
        "cells_per_job": part.jobs,
        "methods": [m for m in read_config("paper")["methods"] if m["name"] in METHODS],
        "headline": [["ILS", "LS"], ["ILS", "No LS"]],
        "experiments": [entry | {"seeds": part.seeds} for entry in entries],
        "datasets": [d | part.dataset for d in config["datasets"] if d["name"] in datasets],
        "recipes": [r | part.recipe for r in config["recipes"] if r["name"] in recipes],
        "distillation": None,
        "synthetic": None,
    }


def train(name, folder, cores):
    """Train what is missing of a part's grids."""
    config = study(PARTS[name])
    plan = Plan.checked(config)
    targets = {PREDICTIONS.format(**batch) for batch in plan.predicted(plan.compared)}
    run_study(config, folder, sorted(targets), cores, ["--keep-going"])


# ---- the race
# --------------------------------------------------------------------------------------------------


LATER = 0.05  # of the epochs, behind the first milestone M
SCHEDULES = {  # stages: after which share of M, and of all epochs, and the share that goes on
    "½ after 10, 20, 40, 60 %": [(0, share, 1 / 2) for share in (0.1, 0.2, 0.4, 0.6)],
    "⅓ after 5, 15, 45 %": [(0, share, 1 / 3) for share in (0.05, 0.15, 0.45)],
    "⅓ after 11, 33, 60 %": [(0, share, 1 / 3) for share in (0.11, 0.33, 0.6)],
    "⅕ after 20, 60 %": [(0, 0.2, 1 / 5), (0, 0.6, 1 / 5)],
    "⅖ after 20, 40 %": [(0, 0.2, 2 / 5), (0, 0.4, 2 / 5)],
    "⅓ at M/3, ⅓ at M": [(1 / 3, 0, 1 / 3), (1, 0, 1 / 3)],
    "⅕ at M/3, ⅕ at M": [(1 / 3, 0, 1 / 5), (1, 0, 1 / 5)],
    "⅕ at M/3, ⅕ past M": [(1 / 3, 0, 1 / 5), (1, LATER, 1 / 5)],
    "½ at M/3, ⅕ past M": [(1 / 3, 0, 1 / 2), (1, LATER, 1 / 5)],
    "⅕ at M": [(1, 0, 1 / 5)],
    "⅕ past M": [(1, LATER, 1 / 5)],
    "⅒ past M": [(1, LATER, 1 / 10)],
}


def stages_of(schedule: str, recipe: Recipe) -> list[tuple[int, float]]:
    """After which epochs of a recipe a schedule drops students, and the share it keeps."""
    first = recipe.milestones[0]
    return [(round(m * first + e * recipe.epochs), keep) for m, e, keep in SCHEDULES[schedule]]


class Race(NamedTuple):
    """Who survives, (G,), and the stages: how many students train for how many epochs."""

    survivors: np.ndarray
    stages: list[tuple[int, int]]

    @property
    def epochs(self) -> int:
        """The epochs that all students train together."""
        return sum(students * epochs for students, epochs in self.stages)


def race(history: np.ndarray, failed_epoch: np.ndarray, stages: list[tuple[int, float]]) -> Race:
    """Drop all but a share of the students after some epochs: `stages`, (epoch, share) each.

    history: validation cross-entropy after each epoch, (G, epochs), NaN once a student has stopped;
    failed_epoch (G,): when it diverged, 0 never. Those with the lowest so far go on, rounded up and
    one at least, of equal ones the first in the grid; one that diverged only where no others are.
    """
    alive = np.arange(len(history))
    best = np.minimum.accumulate(np.where(np.isfinite(history), history, np.inf), axis=1)
    trained, start = [], 0
    for epoch, keep in stages:
        trained.append((len(alive), epoch - start))
        diverged = (failed_epoch > 0) & (failed_epoch <= epoch)
        so_far = np.where(diverged, np.inf, best[:, epoch - 1])[alive]
        alive = alive[survivors([None] * len(alive), so_far, keep)]
        start = epoch
    left = np.isin(np.arange(len(history)), alive)
    return Race(left, [*trained, (len(alive), history.shape[1] - start)])


# ---- what it loses
# --------------------------------------------------------------------------------------------------


class Grid(NamedTuple):
    """The students of a method in a cell, trained in full: their histories, and by scaling, (S, G),
    the cross-entropy on validation and on test data."""

    history: np.ndarray
    failed_epoch: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def best(self, row: int, among: np.ndarray | None = None) -> int:
        """The student selected by validation, of all or `among` the survivors."""
        ce = np.where(np.isnan(self.validation[row]), np.inf, self.validation[row])
        return int(np.where(True if among is None else among, ce, np.inf).argmin())


def grids_of(path: str | Path, cell: Cell) -> dict[str, Grid]:
    """The grids of all methods in a file of predictions."""
    arrays, _ = load_arrays(path, under=f"{cell.name}/")
    names = "curves/{}/validation_ce", "curves/{}/failed_epoch"
    names += "grid/{}/validation_ce", "grid/{}/cross_entropy"
    return {m: Grid(*(arrays[name.format(m)] for name in names)) for m in METHODS}


def lost_by(grid: Grid, row: int, survivors: np.ndarray) -> dict[str, float]:
    """Whether selecting among the survivors alone, by a row, finds the same student, and what it
    loses on validation and on test data."""
    full, raced = grid.best(row), grid.best(row, survivors)
    values = {"validation": grid.validation[row], "test": grid.test[row]}
    return {"same": full == raced} | {of: v[raced] - v[full] for of, v in values.items()}


def ranks(grids: dict[str, Grid], reading: str, races: dict[str, Race]) -> np.ndarray:
    """The ranks on test data of what the methods select among the survivors of races."""
    rows = READINGS[reading].items()
    return rankdata(
        [grids[m].test[of, grids[m].best(by, races[m].survivors)] for m, (by, of) in rows]
    )


def outcome(grids: dict[str, Grid], races: dict[str, Race]) -> dict[str, float]:
    """What races of all grids lose in a cell.

    {method} {same, validation, test}, selected as trained, and {method} joint ..., selected with a
    temperature; ranks and ranks+TempS: whether those of the methods change, and ranks of ILS ...,
    where ILS alone is raced; epochs: the share that ILS keeps; drawn: what it loses on validation
    data, in the mean, where as many epochs are spent on points drawn at random and trained in full.
    """
    ils = grids["ils"]
    lost: dict[str, float] = {"epochs": races["ils"].epochs / ils.history.size}
    for m in ("ls", "ils"):
        for how, row in (("", RAW), ("joint ", SCALED)):
            of_row = lost_by(grids[m], row, races[m].survivors)
            lost |= {f"{m} {how}{of}": value for of, value in of_row.items()}
    whole = {m: race(*grid[:2], []) for m, grid in grids.items()}
    for raced, of_all in (("ranks", races), ("ranks of ILS", whole | {"ils": races["ils"]})):
        for reading in READINGS:
            changed = ranks(grids, reading, whole) != ranks(grids, reading, of_all)
            lost[raced + reading] = bool(changed.any())
    ce, points = ils.validation[RAW], len(ils.history)
    few, full = expected(ce, ce, [max(1, round(lost["epochs"] * points)), points])
    return lost | {"drawn": few - full}


def spread(grid: Grid, row: int) -> dict[str, float]:
    """The median of a grid less its selected student, on validation and on test data."""
    values = {"validation": grid.validation[row], "test": grid.test[row]}
    return {of: float(np.nanmedian(v) - v[grid.best(row)]) for of, v in values.items()}


# ---- what it saves
# --------------------------------------------------------------------------------------------------


class Steps(NamedTuple):
    """A pair's measured seconds of a training step by the number of students, and its `Costs`."""

    seconds: dict[int, float]
    costs: Costs

    def of(self, stages: list[tuple[int, int]]) -> float:
        """Modelled seconds of stages, each of as few networks as its students fit into."""
        known, c = sorted(self.seconds), self.costs
        batches = math.ceil(c.sizes.train / c.recipe.batch_size) + c.steps(c.sizes.validation)
        times = [self.seconds[size] for size in known]
        return sum(
            epochs * batches * np.interp(size, known, times)
            for students, epochs in stages
            for size in share_sizes(students, math.ceil(students / c.at_once))
        )


def measured(plan: Plan, folder: Path) -> dict[Cell, Steps]:
    """The steps of each cell's pair, from the folder's steps.json or measured now."""
    file, cpu = folder / "steps.json", torch.device("cpu")
    data = {name: str(folder / DATA.format(dataset=name)) for name in plan.unexpected}
    pairs, _ = pairs_of(plan, known_sizes(plan, data), cpu)
    kept = json.loads(file.read_text()) if file.exists() else {}
    steps = {}
    for cell in plan.compared:
        pair, name = pairs[key_of(plan, cell)], f"{cell.dataset} {cell.network}"
        most = pair.students_at_once
        if name not in kept:
            sizes = [n for n in MEASURED if n < most] + [most]
            kept[name] = {n: min(step_seconds(pair, n) for _ in range(3)) for n in sizes}
            file.write_text(json.dumps(kept))
        seconds = {int(n): s for n, s in kept[name].items()}
        steps[cell] = Steps(seconds, costs(pair, seconds[1], seconds[most], most))
    return steps


# ---- the report
# --------------------------------------------------------------------------------------------------


def mean(values) -> str:
    """Mean ± standard error over cells, in 10^-4 nats."""
    values = 1e4 * np.asarray(values, float)
    error = f" ± {values.std(ddof=1) / math.sqrt(len(values)):.0f}" if len(values) > 1 else ""
    return f"{values.mean():.0f}{error}"


def rows_of(plan: Plan, folder: Path) -> tuple[pd.DataFrame, list[dict[str, Grid]]]:
    """A row for each schedule and cell that is trained, and the grids of each such cell."""
    rows, known, steps = [], [], measured(plan, folder)
    for cell, batch in zip(plan.compared, plan.predicted(plan.compared), strict=True):
        path = folder / PREDICTIONS.format(**batch)
        if not path.exists():
            continue
        grids, recipe = grids_of(path, cell), plan.recipe(cell)
        known.append(grids)
        whole = steps[cell].of([(len(grids["ils"].history), recipe.epochs)])
        for name in SCHEDULES:
            races = {m: race(*g[:2], stages_of(name, recipe)) for m, g in grids.items()}
            times = {"seconds": steps[cell].of(races["ils"].stages), "whole": whole}
            rows.append({"schedule": name, **outcome(grids, races), **times})
    return pd.DataFrame(rows), known


COLUMNS = (
    "goes on",
    "epochs, seconds",
    "same: raw, joint",
    "validation, largest",
    "drawn",
    "test, largest",
    "joint",
    "LS joint: same, validation, test",
    "ranks: raw, +TempS",
    "ILS alone",
)


def line(schedule: str, of: pd.DataFrame) -> str:
    """A schedule's line of the table, from its rows."""
    cells = [
        schedule,
        f"{of['epochs'].mean():.0%}, {of['seconds'].sum() / of['whole'].sum():.0%}",
        f"{of['ils same'].mean():.0%}, {of['ils joint same'].mean():.0%}",
        f"{mean(of['ils validation'])}, {1e4 * of['ils validation'].max():.0f}",
        mean(of["drawn"]),
        f"{mean(of['ils test'])}, {1e4 * of['ils test'].max():.0f}",
        mean(of["ils joint validation"]),
        f"{of['ls joint same'].mean():.0%}, "
        f"{mean(of['ls joint validation'])}, {mean(of['ls joint test'])}",
        f"{of['ranks'].sum()}, {of['ranks+TempS'].sum()}",
        f"{of['ranks of ILS'].sum()}, {of['ranks of ILS+TempS'].sum()}",
    ]
    return f"| {' | '.join(cells)} |"


def selected_late(grid: Grid, recipe: Recipe) -> bool:
    """Whether the selected student's best epoch is after the first milestone."""
    return np.nanargmin(grid.history[grid.best(RAW)]) >= recipe.milestones[0]


def report(name: str, folder: Path) -> None:
    """Print the table of a part."""
    plan = Plan.checked(study(PARTS[name]))
    rows, known = rows_of(plan, folder)
    if not known:
        print(f"{name}: nothing is trained in {folder}")
        return
    seconds = rows["whole"].sum() / len(SCHEDULES)
    print(
        f"\n{name}: {len(known)} of {len(plan.compared)} cells, {seconds:.0f} s of full ILS grids"
    )
    for row, how in ((RAW, "as trained"), (SCALED, "with a temperature")):
        spreads = pd.DataFrame([spread(grids["ils"], row) for grids in known])
        of = ", ".join(f"{mean(values)} on {on} data" for on, values in spreads.items())
        print(f"the ILS grid's median less its selected student, {how}, 10^-4 nats: {of}")
    late = sum(selected_late(grids["ils"], plan.recipe(plan.compared[0])) for grids in known)
    print(f"the selected student is best after M, the first milestone, in {late} of them")
    print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for schedule, of in rows.groupby("schedule", sort=False):
        print(line(schedule, of))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["train", "report"])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache/ils_halving")
    parser.add_argument("--cores", type=int, default=1, help="of train")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.part:
        folder = options.folder.absolute() / name
        if options.what == "train":
            train(name, folder, options.cores)
        else:
            report(name, folder)


if __name__ == "__main__":
    main()
