"""The forecast: counts against hand counts, arithmetic, the paper's size against a model."""

import copy
import itertools
import re
import subprocess
import sys
import types
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from forecast import advice, short
from ils.data.sources import Raw
from ils.data.splits import split
from ils.errors import UserError
from ils.networks.build import build
from ils.plan.grids import count_points, grid_points, shares
from ils.plan.plan import Plan
from ils.plan.records import Architecture, Recipe
from ils.training.costs import (
    STEPS,
    Costs,
    Pair,
    Sizes,
    activations,
    costs,
    forward_flops,
    kept_bytes,
    known_sizes,
    sizes,
    step_seconds,
)
from ils.training.forecast import ALL, forecast, pairs_of, speeds
from prepare_dataset import check_expected

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
DEFAULT = yaml.safe_load((ROOT / "config/config.yaml").read_text())
NINE = yaml.safe_load((ROOT / "tests/nine_pairs.yaml").read_text())
RECIPE = Recipe("sgd", 0.1, 0.9, True, 1e-4, [], 0.1, 100, 10, None)


def unset(default, given, key=""):
    """The keys of `default`, at every depth outside lists, that `given` leaves to it."""
    if not isinstance(default, dict):
        return []
    if not isinstance(given, dict):
        return [key]
    inner = (
        unset(value, given.get(name), f"{key}.{name}") if name in given else [f"{key}.{name}"]
        for name, value in default.items()
    )
    return list(itertools.chain(*inner))


def paths(mapping, *parents):
    """The path of every key of a mapping, at every depth outside lists."""
    for name, value in mapping.items():
        yield (*parents, name)
        if isinstance(value, dict):
            yield from paths(value, *parents, name)


def test_the_papers_config_leaves_no_key_to_the_default():
    assert unset(DEFAULT, PAPER) == []


@pytest.mark.parametrize("path", list(paths(DEFAULT)), ids=".".join)
def test_a_key_that_the_papers_config_lost_would_be_noticed(path):
    config = copy.deepcopy(PAPER)
    owner = config
    for name in path[:-1]:
        owner = owner[name]
    del owner[path[-1]]
    assert unset(DEFAULT, config) == ["." + ".".join(path)]


def test_the_papers_config_is_the_papers_size():
    pairs = [(experiment["dataset"], experiment["network"]) for experiment in PAPER["experiments"]]
    networks = ("LeNet", "ResNet110", "ResNet110SD", "DenseNet40", "ResNet32W")
    assert pairs == [*itertools.product(("CIFAR10", "CIFAR100"), networks), ("SVHN", "ResNet152SD")]
    plan = Plan(PAPER)
    assert [c["column"] for c in plan.columns] == [c["column"] for c in Plan(DEFAULT).columns]
    assert {name: count_points(entry["grid"]) for name, entry in plan.methods.items()} == {
        **{"no_ls": 1, "dis": 1, "cls": 5, "bs_soft": 1, "beta": 1},
        **{"ls": 5, "ils1": 25, "ils2": 25, "ils": 125},
    }
    trained = Counter()
    for job in plan.trainings("compared", "teaching"):
        for cell in plan.batches[job["batch"]].cells:
            trained[cell.dataset, cell.network, cell.seed] += job["students"]
    compared = [trained.pop((cell.dataset, cell.network, cell.seed)) for cell in plan.compared]
    assert len(compared) == 22 and set(compared) == {189} and sum(compared) == 4158
    pairs = (
        ("CIFAR10", "ResNet18"),
        ("CIFAR10", "InceptionV4"),
        ("CIFAR100", "ResNet50"),
        ("FashionMNIST", "DenseNet40"),
    )
    # Table IV: No LS, LS, ILS
    assert trained == {(*pair, seed): 1 + 5 + 8 for pair in pairs for seed in range(3)}
    assert plan.summary().startswith("11 pairs x 2 seeds, 12 columns: 4,158 trainings in ")


def test_a_dry_run_of_the_papers_config_plans_every_training(tmp_path):
    command = [sys.executable, "-m", "snakemake", "results/metrics.csv", "--dry-run"]
    command += ["--directory", tmp_path, "--configfile", "config/paper.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    output = done.stdout + done.stderr
    planned = re.findall(r"Training (\w+) students, shard (\d+): (\w+)", output)
    teachers = re.findall(r"Training the teachers, (\w+), shard (\d+): (\w+)", output)
    planned = {*planned, *teachers}
    jobs = Plan(PAPER).trainings("compared")
    assert f"12 columns: 4,158 trainings in {len(jobs)} jobs" in output
    assert planned == {(job["round"], str(job["shard"]), job["batch"]) for job in jobs}
    grids = {method["name"]: method["grid"] for method in PAPER["methods"]}
    shards = Counter((method, batch) for method, _, batch in planned)
    students = Counter()
    for method, shard, batch in planned:  # the grid points that this job will train
        points = shares(grid_points(grids[method]), shards[method, batch])[int(shard)]
        students[batch] += len(points)
    assert len(students) == 22 and set(students.values()) == {189}


def one_second(pair, students):
    """What any step of training takes."""
    return 1.0


def test_the_papers_splits_are_the_appendixs():
    known = known_sizes(Plan(PAPER), {})
    assert known["CIFAR10"] == Sizes(45000, 5000, 10000, (3, 32, 32), 10, 1)
    assert known["CIFAR100"] == Sizes(45000, 5000, 10000, (3, 32, 32), 100, 1)
    assert known["SVHN"] == Sizes(598388, 6000, 26032, (3, 32, 32), 10, 1)


def test_the_papers_operations_are_near_those_modelled_beforehand():
    """496 EFLOP in all, 178 of them SVHN, 0.36 for one WRN-34-10."""
    plan, alone = Plan(PAPER), Plan(PAPER | {"distillation": None})
    known, device = known_sizes(plan, {}), torch.device("cuda")
    *rows, total = forecast(alone, known, device, one_second)
    by_pair = {(row["dataset"], row["network"]): row for row in rows}
    assert total["trainings"] == 4158 and total["jobs"] == len(alone.trainings(*ALL))
    assert 1 / 2 < total["eflop"] / 496 < 2
    assert 1 / 2 < by_pair["SVHN", "ResNet152SD"]["eflop"] / 178 < 2
    assert 1 / 2 < by_pair["CIFAR10", "ResNet32W"]["eflop"] / 378 / 0.36 < 2
    *rows, whole = forecast(plan, known, device, one_second)
    assert whole["trainings"] == 4158 + 168 + 36
    assert total["eflop"] < whole["eflop"] < 1.5 * total["eflop"]
    students = [(row["trainings"], row["jobs"]) for row in rows if row["network"] == "AlexNet"]
    assert students == [(18, 2), (9, 1), (9, 1)]
    by_pair = {(row["dataset"], row["network"]): row for row in rows if row["network"] != "AlexNet"}
    hours = {
        (e["dataset"], e["network"]): e["hours"]
        for e in PAPER["experiments"] + PAPER["distillation"]["pairs"]
    }
    for pair, row in by_pair.items():  # as config/paper.yaml says of its `hours`
        assert hours[pair] == pytest.approx(
            row["eflop"] / row["trainings"] * 1e18 / 57e12 / 3600, rel=0.15, abs=0.001
        )


def flops(family, options, students=1, shape=(3, 32, 32)):
    with torch.device("meta"):
        return forward_flops(build(family, options, shape, 10, students, 0), shape)


@pytest.mark.parametrize("students", [1, 3])
def test_operations_equal_hand_counts(students):
    convolutions = 28 * 28 * 6 * 3 * 25 + 10 * 10 * 16 * 6 * 25
    lenet = 2 * (convolutions + 400 * 120 + 120 * 84 + 84 * 10)
    assert flops("lenet", {}, students) == (students * lenet, students * lenet)
    stem, stages = (
        32**2 * 16 * 27,
        32**2 * 2 * 16 * 16 * 9 + 16**2 * (16 + 32) * 32 * 9 + 8**2 * (32 + 64) * 64 * 9,
    )
    resnet = 2 * (stem + stages + 64 * 10)
    assert flops("resnet", {"depth": 8}, students) == (students * resnet, students * resnet)


def test_stochastic_depth_skips_its_share_of_the_operations():
    stem = 32**2 * 16 * 27 + 64 * 10
    blocks = ([2] + [2] * 17 + [1.5] + [2] * 17 + [1.5] + [2] * 17) * np.array(32**2 * 16 * 16 * 9)
    survival = 1 - np.arange(1, 55) / 54 * 0.5
    evaluation, training = flops("resnet", {"depth": 110, "survival": 0.5})
    assert evaluation == 2 * (stem + blocks.sum())
    assert training == pytest.approx(2 * (stem + (survival * blocks).sum()), rel=0.01)


@pytest.mark.parametrize("official", [0, 30])
@pytest.mark.parametrize(
    "entry", [{"test": 0.3, "validation": 25}, {"test": 40, "validation": 0.25, "train": 20}]
)
def test_sizes_are_those_of_the_splits(entry, official):
    labels = np.arange(150) % 3
    parts = split(
        np.zeros((150, 4), np.float32),
        labels,
        np.arange(150) < official,
        0,
        name="made up",
        **entry,
    )
    expected = sizes(entry, samples=150, test=official, shape=[4], classes=3)
    assert expected == (*(len(parts[part]) for part in ("train", "validation", "test")), (4,), 3, 4)


def test_times_and_bytes_follow_from_the_measured_steps():
    sizes = Sizes(train=950, validation=300, test=60, shape=(4,), classes=2, itemsize=4)
    measured = {"at_once": 4, "alone": 1.0, "together": 2.5, "activations": 0, "inputs": 0}
    pair = Costs(sizes, RECIPE, views=2, flops=(10, 10), weights=400, **measured)
    assert [pair.step(students) for students in (1, 3, 4)] == [1, 2, 2.5]
    assert pair.steps(300) == 1  # three batches forward are one step of training
    assert pair.epoch(4) == (10 + 1) * 2.5
    assert pair.steps(60) == 0.2  # the test predictions of each student
    assert pair.training(4) == 10 * 27.5 + 0.2 * 2.5
    assert pair.training(9) == pytest.approx(2 * pair.training(4) + pair.training(1))
    assert pair.training(1) == 10 * 11 + 0.2 and pair.training(2) == (110 + 0.2) * 1.5
    assert pair.training(8, [(10, 8)]) == pair.training(8)
    halved = 3 * 2 * 27.5 + 7 * 1.5 * 11  # 8 in two networks, and then 2 in one
    assert pair.training(8, [(3, 8), (7, 2)]) == halved + 2 * 0.2 * 2.5  # all are tested
    assert pair.training_flops(1, 10) == 10 * (3 * 950 + 300) * 10 + 60 * 10
    assert pair.training_flops(8, 3 * 8 + 7 * 2) == 38 * (3 * 950 + 300) * 10 + 8 * 60 * 10
    assert pair.soft_targets_bytes(2) == 950 * (2 * 2 * 2 + 8)
    assert pair.predictions_bytes(6) == 60 * (6 * 2 * 4 + 16)
    labels = 300 * 8 + 60 * 16
    student = (300 + 60) * 2 * 4 + 10 * 16 + 24
    assert pair.shard_bytes(5, 2) == 5 * student + labels + 2 * 400
    assert pair.shard_bytes(1, 1) == student + labels + 400


@pytest.mark.parametrize("tick, calls", [(0.01, STEPS - 1), (3.0, 2)])
@pytest.mark.parametrize(
    "family, options, shape", [("mlp", {"hidden": [5]}, (4,)), ("lenet", {}, (3, 32, 32))]
)
def test_a_step_is_timed_in_training_itself_and_not_for_long(
    monkeypatch, tick, calls, family, options, shape
):
    clock = itertools.count(0, tick)
    monkeypatch.setattr(
        "ils.training.costs.time", types.SimpleNamespace(process_time=lambda: next(clock))
    )
    architecture = Architecture(family, options, {"cpu": "float32"}, 0, "code")
    augmentation = {"pad": 2 * (len(shape) == 3), "flip": len(shape) == 3}
    recipe, about = replace(RECIPE, batch_size=16), ("data", "N", "recipe")
    told = Sizes(40, 10, 10, shape, 3, 1), augmentation, architecture, recipe, torch.device("cpu")
    pair = Pair(*about, *told, students_at_once=2)
    seconds = step_seconds(pair, 2)
    assert seconds == pytest.approx(tick) and next(clock) == pytest.approx(tick * calls)
    small = 2 * 2 * activations(pair) * 4  # half of it has room for four of 16 samples
    monkeypatch.setattr("ils.training.costs.memory", lambda: small)
    assert step_seconds(pair, 2) == pytest.approx(4 * tick)


NAMES = "digits", "wine", "iris", "breast_cancer"
KNOWN = dict.fromkeys(NAMES, Sizes(40, 10, 10, (1, 8, 8), 3, 4))


def test_students_that_do_not_fit_are_one_clear_error():
    def measure(pair, students):
        if students > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1.0

    message = r"network LeNet: 18 students do not fit .* lower students_at_once\.cuda"
    with pytest.raises(UserError, match=message):
        forecast(Plan(NINE), KNOWN, torch.device("cpu"), measure)


def test_a_network_of_which_not_one_student_fits_is_one_clear_error():
    def measure(pair, students):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UserError, match="network LeNet: one student does not fit"):
        speeds(Plan(NINE), KNOWN, torch.device("cpu"), measure)


def test_the_suggested_number_of_students_is_the_smallest_that_is_as_fast_as_any():
    """MLP is fastest with 6, hardly more so than with 5; LeNet's memory ends at 4.

    ResNet8 is fastest alone.
    """
    tried = {}

    def measure(pair, students):
        tried.setdefault(pair.network, []).append(students)
        if pair.network == "LeNet" and students > 4:
            raise torch.OutOfMemoryError
        slowed = {"MLP": abs(students - 6) / 50, "ResNet8": 2 * students}.get(pair.network, 0)
        return students * (1 + slowed) if pair.network == "ResNet8" else 10 + students * slowed

    plan = Plan(NINE | {"trained_together": "method"})
    rows = speeds(plan, KNOWN, torch.device("cpu"), measure)
    suggested = {row["network"]: row["students"] for row in rows if row["suggested"]}
    assert tried["LeNet"] == [1, 2, 3, 4, 5] and suggested["LeNet"] == 4
    assert tried["ResNet8"] == [1, 2, 3, 4] and suggested["ResNet8"] == 1
    # 8 is what the largest grid has
    assert tried["MLP"] == [1, 2, 3, 4, 5, 6, 8] and suggested["MLP"] == 8
    lenet = [row["samples_per_second"] for row in rows if row["network"] == "LeNet"]
    assert lenet == [32 * students / 10 for students in (1, 2, 3, 4)]
    assert [row["configured"] for row in rows if row["network"] == "ResNet8"] == [False] * 4
    assert len(suggested) == len(NINE["networks"])


def test_as_many_students_are_tried_as_the_largest_round_has():
    rows = speeds(Plan(NINE), KNOWN, torch.device("cpu"), lambda pair, students: 1.0)
    tried = {}
    for row in rows:
        tried.setdefault(row["network"], []).append(row["students"])
    assert tried["MLP"] == [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 18]
    assert tried["AlexNet"] == [1, 2, 3]  # a student of each of three teachers


def test_jobs_of_several_cells_count_for_each_pair_and_once_in_the_total():
    plan = Plan(NINE)
    *rows, total = forecast(plan, KNOWN, torch.device("cpu"), one_second)
    assert total["jobs"] == len(plan.trainings(*ALL)) < sum(row["jobs"] for row in rows)
    students = 504 + 26 + 18  # as the summary says
    assert total["trainings"] == sum(row["trainings"] for row in rows) == students
    logits = students * (10 + 10) * 3 * 4 / 1e9
    assert total["logits_gb"] == pytest.approx(logits) and total["disk_gb"] > logits


def test_of_grids_that_are_halved_the_hours_are_known_with_and_without():
    """Of the 40 epochs of LeNet's students: 10 for all, 15 for half, 15 for one of each method."""
    config = copy.deepcopy(NINE)
    recipe = next(r for r in config["recipes"] if r["name"] == config["experiments"][0]["recipe"])
    recipe |= {"epochs": 40, "milestones": [], "halving": {"epochs": [10, 25], "keep": [0.5, 0.1]}}
    for entry in config["networks"]:
        entry["students_at_once"] = {"cpu": 1, "cuda": 1}
    plan = Plan(config | {"trained_together": "round", "distillation": None})
    rows = forecast(plan, KNOWN, torch.device("cpu"), one_second)
    for row, (cell, *others) in zip(rows, plan.cells_of_pairs, strict=False):
        if plan.recipe(cell).halving is None:
            assert row["epochs"] == row["trainings"] * plan.recipe(cell).epochs
            assert row["device_hours"] == row["full_grid_hours"]
            continue
        sizes = [count_points(plan.grid(plan.batch_of(cell), name)) for name in plan.methods]
        of_cell = sum(10 * n + 15 * (-(-n // 2)) + 15 for n in sizes)  # ceil(ceil(n / 2) / 10) is 1
        assert max(sizes) <= 20 and row["epochs"] == (1 + len(others)) * of_cell
        assert row["device_hours"] < row["full_grid_hours"]
        plain = Plan(
            plan.config
            | {"recipes": [{k: r[k] for k in r if k != "halving"} for r in plan.config["recipes"]]}
        )
        full = forecast(plain, KNOWN, torch.device("cpu"), one_second)[rows.index(row)]
        assert full["device_hours"] == full["full_grid_hours"] == row["full_grid_hours"]
    assert rows[0]["epochs"] < rows[0]["trainings"] * 40


def test_memory_on_the_device_is_what_its_parts_take():
    with torch.device("meta"):
        network = build("mlp", {"hidden": [7]}, (5,), 3, 1, 0)
    kept = 4 * (5 + 7)  # the inputs of both layers
    weights = 4 * (6 * 7 + 8 * 3)
    assert kept_bytes(network, (5,)) == kept
    plan = Plan(NINE)
    pairs, _ = pairs_of(plan, KNOWN, torch.device("cpu"))
    pair = next(pair for pair in pairs.values() if pair.network == "MLP")
    pair = pair._replace(
        sizes=Sizes(100, 20, 10, (5,), 3, 4),
        architecture=replace(pair.architecture, family="mlp", options={"hidden": [7]}),
        augmentation={"pad": 0, "flip": False},
        recipe=replace(pair.recipe, optimizer="sgd", momentum=0.9, batch_size=32),
    )
    data, labels = 120 * 5 * 4, 100 * 3 * 4
    students = 8 * (4 * weights + 32 * kept)
    assert costs(pair, 1.0, 1.0, 8).device_bytes(2, 4) == data + 3 * labels + students
    assert costs(pair, 1.0, 1.0, 8).device_bytes(2, 2) == data + 2 * labels + students
    image = pair._replace(
        sizes=Sizes(100, 20, 10, (1, 8, 8), 3, 1), augmentation={"pad": 1, "flip": True}
    )
    assert costs(image, 1.0, 1.0, 8).inputs == 120 * (64 + 100)  # as they are, and padded
    by_teachers = [costs(image, 1.0, 1.0, 8).device_bytes(teachers, 4) for teachers in (0, 1)]
    assert by_teachers[1] - by_teachers[0] == 18 * labels


def test_activations_of_the_papers_networks_are_those_that_its_config_tells():
    for network, gigabytes in (("ResNet110", 1.1), ("ResNet152SD", 1.5), ("ResNet32W", 3.0)):
        entry = Plan(PAPER).networks[network]
        with torch.device("meta"):
            built = build(entry["family"], entry["options"], (3, 32, 32), 10, 1, 0)
        assert round(128 * kept_bytes(built, (3, 32, 32)) / 1e9, 1) == gigabytes


def test_the_advice_compares_the_longest_job_with_the_limit():
    import pandas as pd

    table = pd.DataFrame({"longest_job_hours": [3.0, 23.0], "hours": [1.0, np.nan]})
    assert advice(table, 24).startswith(
        "The longest job takes 23 h, which keeps to hours_per_job (24). The column `hours`"
    )
    assert "which exceeds hours_per_job (12)" in advice(table, 12) and "raising" not in advice(
        table, 12
    )
    assert "after raising hours_per_job above 1: one student cannot be split" in advice(table, 0.5)
    assert [short(number) for number in (0.000123456, 2.3456, 27468.4)] == [
        "0.000123",
        "2.35",
        "27,468",
    ]


def test_a_dataset_must_be_what_the_config_expects():
    raw = Raw(np.zeros((5, 2)), np.array([0, 1, 0, 1, 2]), ["a", "b", "c"], np.arange(5) > 2)
    expect = {"samples": 5, "test": 2, "shape": [2], "classes": 3}
    check_expected(raw, "mine", None)
    check_expected(raw, "mine", expect)
    for key, other in (("samples", 6), ("test", 0), ("shape", [1, 2, 2]), ("classes", 10)):
        with pytest.raises(UserError) as error:
            check_expected(raw, "mine", expect | {key: other})
        expected, found = str(error.value).split(", but the source has ")
        assert expected.startswith("dataset mine: expected ") and f"{key} {other}" in expected
        assert found.startswith("samples 5, test 2, shape [2], classes 3;")
