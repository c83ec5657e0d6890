"""Successive halving: who goes on, and that it goes on as if nobody had left."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import RECIPE, group
from ils.errors import UserError
from ils.evaluation.calibrators import temperature
from ils.files import save_arrays
from ils.networks.build import build
from ils.plan.grids import kept
from ils.plan.records import Cell, Column
from ils.training.checkpoints import Checkpoints, remembered
from ils.training.predictions import choose
from ils.training.race import survivors
from ils.training.students import Grid, best_student, raw_cross_entropy, shard_arrays
from ils.training.trainer import Students, train, train_chunks

INF = np.inf


@pytest.mark.parametrize(
    "ce, share, going",
    [
        ([3, 1, 2, 5, 4], 0.2, [1]),
        ([3, 1, 2, 5, 4], 0.21, [1, 2]),  # rounded up
        ([3, 1, 2, 5, 4], 0.6, [0, 1, 2]),  # in the grid's order
        ([2, 1, 1, 1], 0.5, [1, 2]),  # of equal ones the first
        ([INF, 9, INF, 8], 0.25, [3]),
        ([INF, 9, INF, 8], 0.5, [1, 3]),
        ([INF, 9, INF, 8], 0.75, [0, 1, 3]),  # of three one has diverged
        ([INF, INF], 0.5, [0]),
        ([7], 0.01, [0]),
    ],
)
def test_the_share_of_the_lowest_cross_entropy_goes_on(ce, share, going):
    assert survivors(["ls"] * len(ce), ce, share) == going


def test_each_method_and_each_teachers_students_race_apart():
    races = [("ls", None), ("distilled", 0), ("ls", None), ("distilled", 1), ("distilled", 0)]
    assert survivors(races, [1, 5, 2, 9, 4], 0.5) == [0, 3, 4]


def test_a_share_is_rounded_up_but_not_by_an_error_of_rounding():
    assert [kept(n, 0.2) for n in (1, 5, 6, 25, 125)] == [1, 1, 2, 5, 25]
    assert 0.07 * 100 > 7 and kept(100, 0.07) == 7


def halves(x, onehot, memory, *, share):
    """Scale the inputs by a number that halves in each step."""
    memory["scale"] = memory.get("scale", 1) * share
    return memory["scale"].view(-1, *[1] * x.dim()) * x, onehot


GROUPS = [
    group("no_ls"),
    group("ls", {"epsilon": [0.3, 0.05, 0.1, 0.2]}),
    group("ps_kd", {"alpha": [0.9, 0.1, 0.5]}),
    group(  # the first and the last of `decay` are neighbours once the others are dropped
        "beta",
        {
            "epsilon": [0.1, 0.9, 0.1, 0.2],
            "alpha": [0.4, 0.05, 0.1, 0.1],
            "decay": [0.9, 0.1, 0.9, 0.5],
        },
    ),
    group("online_ls", {"alpha": [0.9, 0.1, 0.5]}),
    group("no_ls", {"alpha": [2.0, 0.1, 1.0]}, name="mixup", transform="mixup"),
    group("online_ls", {"alpha": [0.5] * 3, "share": [0.9, 1.0, 0.5]}, name="h", transform=halves),
]
RACES = [(2, 0.6), (4, 0.5)]
NETWORKS = {
    "sgd": ("mlp", {"hidden": [8]}, (5,)),
    "adam": ("resnet", {"depth": 8, "width": 2, "survival": 0.5}, (1, 8, 8)),
}


def grow(optimizer, make_cell, tmp_path, races, at_once, groups=GROUPS, spared=(), **recipe):
    """Train the students, and return their arrays, joined."""
    family, options, shape = NETWORKS[optimizer]
    recipe = replace(RECIPE, optimizer=optimizer, epochs=6, **recipe)
    sizes = []

    def learn(network, **told):
        sizes.append(network.students)
        return train(network, make_cell(shape, teacher=True), recipe=recipe, seed=0, **told)

    make = functools.partial(build, family, options, shape, 3, seed=0)
    checkpoints = Checkpoints(tmp_path / f"{races} {at_once} {spared}", "digest", 1e9)
    results = train_chunks(groups, at_once, make, learn, "toy", checkpoints, races, spared)
    arrays = [chunk.arrays() for chunk in results]
    return {name: np.concatenate([of[name] for of in arrays]) for name in arrays[0]}, sizes


@pytest.mark.parametrize("optimizer", NETWORKS)
def test_who_goes_on_has_the_bytes_of_a_training_without_races(optimizer, make_cell, tmp_path):
    """In whatever networks; who is dropped has the history until then, and its best so far."""
    own = {"learning_rate": 0.01} if optimizer == "adam" else {"patience": 1, "learning_rate": 0.3}
    full, _ = grow(optimizer, make_cell, tmp_path, [], 21, **own)
    halved, sizes = grow(optimizer, make_cell, tmp_path, RACES, 6, **own)
    if optimizer == "adam":
        assert sizes == [5, 5, 5, 6, 6, 5, 4, 4, 3, 2]  # 15 without and 6 with inputs of their own
    else:  # stopped in time, some leave the network as well
        assert sum(sizes) < 21 + 15 + 9 and np.isnan(full["train_loss"][:, -1]).any()
    assert sorted(halved["dropped_epoch"].tolist()) == [0] * 9 + [2] * 6 + [4] * 6
    assert full.keys() == halved.keys() and not full["dropped_epoch"].any()
    methods = [each.method for each in GROUPS for _ in each.points]
    racing = list(range(21))
    for epoch, share in RACES:  # raced by hand, on the histories of full trainings
        ce = full["validation_ce"][racing, :epoch]
        ce = np.nanmin(ce, axis=1)
        racing = [racing[i] for i in survivors([methods[i] for i in racing], ce, share)]
        alive = (halved["dropped_epoch"] == 0) | (halved["dropped_epoch"] > epoch)
        assert np.flatnonzero(alive).tolist() == racing
    for name in full.keys() - {"dropped_epoch"}:
        np.testing.assert_array_equal(halved[name][racing], full[name][racing], name)
    for student, epoch in enumerate(halved["dropped_epoch"]):
        if epoch:
            for name in ("train_loss", "validation_ce"):
                until, then = np.split(halved[name][student], [epoch])
                np.testing.assert_array_equal(until, full[name][student, :epoch])
                assert np.isnan(then).all()
            assert halved["best_epoch"][student] == 1 + np.nanargmin(until)
            lowest = raw_cross_entropy(
                {name: halved[name][[student]] for name in ("validation_logits", "failed_epoch")}
                | {"dropped_epoch": np.zeros(1)}
                | {"validation_labels": make_cell(NETWORKS[optimizer][2]).validation_labels.numpy()}
            )
            assert lowest == pytest.approx(np.nanmin(until), abs=1e-9)
    if optimizer == "sgd":  # in other networks
        other, _ = grow(optimizer, make_cell, tmp_path, RACES, 4, **own)
        assert all(np.array_equal(other[name], halved[name], equal_nan=True) for name in halved)
    else:  # no one of a spared race is dropped, the others as before
        spared, _ = grow(optimizer, make_cell, tmp_path, RACES, 6, spared=[("ls", None)], **own)
        free = np.array(methods) == "ls"
        assert not spared["dropped_epoch"][free].any()
        for name in halved:
            np.testing.assert_array_equal(spared[name][~free], halved[name][~free], name)
            if name != "dropped_epoch":
                np.testing.assert_array_equal(spared[name][free], full[name][free], name)


def test_what_targets_remember_has_the_students_first():
    arrays = {"group/number": np.array([0, 1, 1]), "memory/1 own/epoch": np.array(3)}
    arrays |= {"memory/0 own/sums": np.zeros((1, 2)), "memory/1 own/sums": np.eye(2)}
    found = remembered(arrays, 2, "own")
    assert found["memory/epoch"] == 3 and found["memory/sums"].tolist() == [[0, 1]]
    arrays["memory/1 own/wrong"] = np.zeros(5)
    message = r"own: .* memory as 'wrong' has shape \(5,\); .* first, here 2, or be a number"
    with pytest.raises(UserError, match=message):
        remembered(arrays, 1, "own")


def test_a_dropped_student_is_never_selected_however_good_it_was(tmp_path):
    """Neither by what any column looks at nor as a teacher, and its weights are not kept."""
    labels, sharp = np.arange(12) % 3, np.array([1.0, 4.0, 2.0])
    logits = sharp[:, None, None] * np.eye(3)[labels]
    history, epochs = np.ones((3, 2)), np.array([1, 1, 2])
    weights = {"w": torch.arange(3.0)}
    dropped = np.array([0, 1, 0])
    students = Students(logits, epochs, 0 * epochs, dropped, history, history, weights)
    arrays = shard_arrays([students], ["ls"] * 3, labels)
    assert arrays["best"].tolist() == [2] and arrays["weights/w"].tolist() == [2.0]
    cell, path = Cell("toy", "MLP", 0), tmp_path / "shard0"
    about = {"methods": ["ls"] * 3, "points": [{"epsilon": 0.1 * n} for n in range(3)]}
    named = {f"{cell.name}/{name}": array for name, array in arrays.items()}
    save_arrays(path, named, cells={cell.name: about})
    assert best_student([path], cell, "ls").point == {"epsilon": 0.2}
    grid = Grid([path], cell.name, "ls")
    assert grid.dropped.tolist() == [False, True, False] and not grid.failed.any()
    assert choose(grid, Column("LS", "ls"), "toy")[0].index == 2
    of_all = choose(grid, Column("LS+TempS", "ls", "temperature", "joint"), "toy", temperature)
    assert of_all[0].index in (0, 2)
