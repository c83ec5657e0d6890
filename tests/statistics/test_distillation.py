"""Distillation: students reach a perfect teacher, each a teacher of its own; Table IV's numbers."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from conftest import group
from ils.document import findings
from ils.document.tables import decimals_of, table4
from ils.errors import UserError
from ils.files import save_arrays
from ils.networks.build import build
from ils.plan.records import Cell, Column, Recipe
from ils.statistics.claims import DISTILLATION, Claim
from ils.statistics.distillation import compared, difference
from ils.statistics.ledger import Distilled
from ils.training.cell import CellData
from ils.training.predictions import choose
from ils.training.students import Grid, best_student, shard_arrays
from ils.training.trainer import train

N = 90
CELL = Cell("separable", "MLP", 0)
RECIPE = {
    "optimizer": "adam",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 0.0,
    "milestones": [],
    "decay": 0.1,
    "batch_size": 20,
    "patience": None,
}


def separable(teachers):
    """A cell of three separable classes, (4, 0), (0, 4) and (-4, -4) with a little noise.

    teachers: logits (N, K) of each.
    """
    labels = np.arange(N) % 3
    centres = np.array([[4, 0], [0, 4], [-4, -4]], np.float32)[labels]
    noise = np.random.default_rng(0).normal(0, 0.3, (N, 2)).astype(np.float32)
    data = {
        "inputs": centres + noise,
        "labels": labels,
        "ids": np.arange(N),
        "official_test": np.zeros(N, bool),
    }
    parts = {
        "train": np.arange(60),
        "validation": np.arange(60, 75),
        "test": np.arange(75, N),
        "mean": np.zeros(2),
        "std": np.ones(2),
    }
    soft = [{"logits": logits[:60, None], "ids": np.arange(60)} for logits in teachers]
    augmentation = {"pad": 0, "flip": False}
    return CellData(data, parts, augmentation, torch.device("cpu"), soft, 1.0, torch.float64)


def distilled(cell, epochs=150, **changed):
    teachers = len(cell.teacher_logits)
    hyperparameters = {
        "teacher": range(teachers),
        "weight": [0.9],
        "teacher_temperature": [20.0],
        "student_temperature": [1.0],
    }
    hyperparameters |= {"times_t_squared": [0.0]} | changed
    values = {
        name: list(v) * (teachers if len(v) == 1 else 1) for name, v in hyperparameters.items()
    }
    network = build("mlp", {"hidden": [16]}, (2,), 3, teachers, 0)
    recipe = Recipe(epochs=epochs, **RECIPE)
    return train(network, cell, [group("distil", values)], recipe, 0, "distil")


def perfect(scale):
    """Logits of a teacher that knows the label: `scale` on the true class."""
    return scale * np.eye(3)[np.arange(N) % 3]


def test_a_student_of_a_perfect_teacher_on_separable_data_reaches_it():
    students = distilled(separable([perfect(60.0)]))
    assert (students.validation_logits[0].argmax(-1) == np.arange(60, 75) % 3).all()
    # at temperature 20 this teacher gives e^3 / (e^3 + 2) to the class; with a tenth of the labels
    # the target is
    target = 0.9 * math.exp(3) / (math.exp(3) + 2) + 0.1
    # the lowest loss that there is
    entropy = -target * math.log(target) - (1 - target) * math.log((1 - target) / 2)
    assert students.train_loss[0, -1] == pytest.approx(entropy, abs=0.002)
    p = torch.tensor(students.validation_logits[0]).softmax(-1).max(-1).values
    assert p.mean().item() == pytest.approx(target, abs=0.03)


def test_students_trained_together_each_follow_their_own_teacher_as_if_alone():
    wrong = np.roll(perfect(60.0), 1, axis=1)  # a teacher that takes every class for the next
    together = distilled(separable([perfect(60.0), wrong]), weight=[1.0], epochs=40)
    alone = [
        distilled(separable([logits]), weight=[1.0], epochs=40) for logits in (perfect(60.0), wrong)
    ]
    for student, single in enumerate(alone):
        np.testing.assert_allclose(together.train_loss[student], single.train_loss[0], rtol=1e-9)
        np.testing.assert_allclose(
            together.validation_logits[student], single.validation_logits[0], atol=1e-9
        )
    assert (together.validation_logits[0].argmax(-1) == np.arange(60, 75) % 3).all()
    # it learns what its teacher says, not the labels
    assert together.train_loss[1, -1] < 0.5 < together.validation_ce[1, 39]


def test_the_best_student_of_each_teacher_is_chosen(tmp_path):
    students = distilled(
        separable([perfect(60.0), perfect(20.0)] * 2),
        epochs=5,
        teacher=[0, 1, 0, 1],
        weight=[0.9, 0.9, 0.1, 0.1],
    )
    points = [{"teacher": t, "weight": w} for t, w in ((0, 0.9), (1, 0.9), (0, 0.1), (1, 0.1))]
    labels = np.arange(60, 75) % 3
    about = {"methods": ["distil"] * 4, "points": points}
    arrays = shard_arrays([students], about["methods"], labels).items()
    named = {f"{CELL.name}/{name}": array for name, array in arrays}
    save_arrays(tmp_path / "s", named, cells={CELL.name: about})
    grid, ce = Grid([tmp_path / "s"], CELL.name, "distil"), students.validation_ce.min(1)
    columns = [Column("", "distil", among={"teacher": teacher}) for teacher in (0, 1)]
    for teacher, column in enumerate(columns):
        chosen, _ = choose(grid, column, "job")
        assert chosen.index == min((teacher, teacher + 2), key=lambda i: ce[i])
    best = best_student([tmp_path / "s"], CELL, "distil")  # of all: it teaches on
    assert best.point == points[ce.argmin()]
    assert all(len(array) == 1 for array in best.weights.values())
    grid.failed[[0, 2]] = True
    with pytest.raises(UserError, match="job distil: every student of the grid diverged"):
        choose(grid, columns[0], "job")


def students(gain, noise=0.01, seeds=3):
    """Metrics of students of two pairs: from ils `gain` lower in cross-entropy than from ls.

    Pairs differ much more.
    """
    rng, rows = np.random.default_rng(0), []
    for network, dataset, level in (("ResNet8", "digits", 0.3), ("MLP", "wine", 0.9)):
        for seed in range(seeds):
            shared = level + 0.1 * rng.normal()
            for method, below in (("no_ls", 0.0), ("ls", 0.0), ("ils", gain)):
                ce = shared - below + noise * rng.normal()
                rows.append((dataset, network, seed, "AlexNet", method, ce, 1 - ce / 3))
    names = ["dataset", "network", "seed", "student", "method", "cross_entropy", "accuracy"]
    return pd.DataFrame(rows, columns=names)


def test_a_difference_is_paired_within_seeds_and_pairs_count_alike():
    rows = [
        ("n", "a", 0, 1.0, 0.5),
        ("n", "a", 1, 3.0, 2.1),
        ("m", "b", 0, 0.2, 0.1),
        ("m", "b", 1, 0.4, 0.1),
        ("m", "b", 2, 0.3, 0.1),
    ]
    table = pd.DataFrame(
        [(n, d, s, m, v) for n, d, s, x, y in rows for m, v in (("x", x), ("y", y))]
    )
    table.columns = ["network", "dataset", "seed", "method", "ece"]
    gap = difference(table, "ece", "x", "y")
    assert gap.pairs == {"n a": pytest.approx(0.7), "m b": pytest.approx(0.2)}
    assert gap.mean == pytest.approx(0.45)
    # variances of the differences 0.08 over 2 seeds and 0.01 over 3
    a, b = 0.08 / 2, 0.01 / 3
    assert gap.error == pytest.approx(math.sqrt(a + b) / 2)
    assert gap.freedom == pytest.approx((a + b) ** 2 / (a**2 / 1 + b**2 / 2))  # Welch-Satterthwaite
    one = table.query("dataset == 'b'")
    test = stats.ttest_rel(one.query("method == 'x'")["ece"], one.query("method == 'y'")["ece"])
    assert difference(one, "ece", "x", "y").p == pytest.approx(test.pvalue)


def test_unequal_variances_do_not_find_what_is_not_there():
    """Five seeds a pair, variances of 1 and 100, no difference: Student's pooled test says there is
    one in 10 % of the cases."""
    rng, p_values = np.random.default_rng(0), []
    for _ in range(400):
        rows = [
            ("n", pair, seed, method, scale * rng.normal() if method == "x" else 0.0)
            for pair, scale in (("a", 1), ("b", 10))
            for seed in range(5)
            for method in "xy"
        ]
        names = ["network", "dataset", "seed", "method", "ece"]
        p_values.append(difference(pd.DataFrame(rows, columns=names), "ece", "x", "y").p)
    assert np.mean(np.array(p_values) < 0.05) < 0.07


CLAIM = Claim("", "", "", DISTILLATION, [("cross_entropy", "ils", "ls"), ("accuracy", "ils", "ls")])


def on_datasets(gain, count):
    """The students of the two pairs again, on `count` / 2 pairs of datasets."""
    copies = [students(gain) for _ in range(count // 2)]
    return pd.concat([t.assign(dataset=t["dataset"] + str(i)) for i, t in enumerate(copies)])


@pytest.mark.parametrize(
    "gain, pairs, verdict",
    [(0.1, 10, "holds"), (-0.1, 10, "fails"), (0.001, 10, "practically equivalent")],
)
def test_claims_on_distilled_students(gain, pairs, verdict):
    study = Distilled("this run", on_datasets(gain, pairs))
    check = study.check(CLAIM)
    assert check.verdict == verdict and "10 pairs" in check.test
    assert study.measured("cross_entropy", "ils")
    assert not study.measured("ece", "ils") and not study.measured("accuracy", "beta")


def test_fewer_than_ten_pairs_decide_nothing():
    check = Distilled("this run", on_datasets(0.1, 8)).check(CLAIM)
    assert check.verdict == "undecided" and check.test.startswith("8 pairs: 10 are needed")


PRINTED = {
    "ResNet8 digits": {
        "no_ls": {"cross_entropy": 0.9, "accuracy": 85.1},
        "ls": {"cross_entropy": 0.8, "accuracy": 84.0},
    }
}
PRINTED["Big far"] = PRINTED["ResNet8 digits"]


def test_table_iv_has_the_printed_rows_and_ours():
    rows = compared(students(0.1), PRINTED, ["no_ls", "ls"])
    cells = rows.set_index(["network", "dataset", "teacher", "column"])
    values = 100 * students(0.1).query("network == 'ResNet8' and method == 'ls'")["accuracy"]
    cell = cells.loc["ResNet8", "digits", "ls", "accuracy"]
    assert cell["mean"] == pytest.approx(values.mean())
    assert cell["standard_error"] == pytest.approx(values.sem())
    assert cell["printed"] == 84.0 and cell["seeds"] == 3 and cell["student"] == "AlexNet"
    assert np.isnan(cells.loc["Big", "far", "ls", "accuracy"]["mean"])
    assert np.isnan(cells.loc["MLP", "wine", "ls", "accuracy"]["printed"])
    labels = {"no_ls": "No LS", "ls": "LS"}
    text = table4(rows, labels, "Caption.")
    assert "cross-entropy, No LS & cross-entropy, LS & accuracy" in text
    assert text.count("printed & 0.900 & 0.800 & 85.10 & 84.00") == 2
    assert text.count("this run") == 2
    assert r"{\tiny$\pm$" in text
    one_seed = compared(students(0.1, seeds=1), PRINTED, ["no_ls", "ls"])
    alone = table4(one_seed, labels, "Caption.")
    assert "pm" not in alone.split(r"\midrule", 1)[1]


def test_decimals_end_with_the_second_digit_of_the_error():
    errors = (0.0123, 0.00123, 0.123, 1.23, 12.3, math.nan)
    decimals = [decimals_of(pd.Series([error]), 4) for error in errors]
    assert decimals == [3, 4, 2, 1, 0, 4]


def test_the_sentence_on_table_iv():
    sentence = findings.distilled(students(0.1))
    assert sentence.startswith(
        "Students by their teachers, paired within a seed, mean over 2 pairs: cross-entropy, ILS "
        "less No LS: -0.0967 ± 0.0039"
    )
    assert "accuracy in %, ILS less LS: +3." in sentence and sentence.count("p = ") == 4
    assert findings.distilled(students(0.1).query("method != 'ils'")).endswith(
        "none has an ILS teacher to compare."
    )
