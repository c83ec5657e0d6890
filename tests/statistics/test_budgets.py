"""Tables of budgets: from the metrics of every student to gains of columns at equal cost."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from grid_metrics import rows_of
from ils.errors import UserError
from ils.evaluation.budget import expected
from ils.plan.records import Matched, Searched
from ils.statistics.budgets import budgets, equal_budgets, reached
from made_up import METRICS, NAMES

NO_LS = Searched("No LS+TempS", "No LS", "temperature", "selected", 1, 0, False)
LS = Searched("LS", "LS", "none", "selected", 2, 0, False)
JOINT = Searched("LS+TempS", "LS", "temperature", "joint", 2, 0, False)
ILS = Searched("ILS", "ILS", "none", "selected", 4, 1, False)
SELECTED = Searched("ILS+TempS", "ILS", "temperature", "selected", 4, 1, False)
CELLS = [("iris", "MLP", 0), ("iris", "MLP", 1), ("iris", "Net", 0), ("wine", "MLP", 0)]
SCALINGS = "none", "temperature"
SIZES = {"No LS": 1, "LS": 2, "ILS": 4}


def table():
    """Metrics of the students of three methods in four cells, of two datasets."""
    rng, rows = np.random.default_rng(0), []
    for cell, (method, size) in itertools.product(CELLS, SIZES.items()):
        key = dict(zip(("dataset", "network", "seed"), cell)) | {"method": method}
        grid = {name: rng.normal(size=(2, size)) for name in ("validation_ce", *NAMES)}
        grid |= {"temperature": rng.uniform(1, 2, (2, size)), "best_epoch": np.arange(size)}
        grid["dropped_epoch"] = np.zeros(size, int)
        points = [{"restart": n % 2, "p": n // 2} for n in range(size)]
        rows += rows_of(grid, points, SCALINGS, key)
    return pd.DataFrame(rows)


def of_cell(metrics, cell, method, scaling, name):
    """The numbers of a method's students in a cell."""
    rows = metrics[(metrics[["dataset", "network", "seed"]] == cell).all(axis=1)]
    return rows[(rows["method"] == method) & (rows["scaling"] == scaling)][name].to_numpy()


def test_a_student_has_two_rows_with_all_that_is_known_of_it():
    values = np.array([[0.1, np.nan], [0.3, np.nan]])
    grid = {"validation_ce": values, "accuracy": values + 1, "best_epoch": np.array([4, 5])}
    grid |= {"temperature": np.array([[1, np.nan], [1.5, np.nan]]), "dropped_epoch": [0, 3]}
    points = [{"restart": 1, "epsilon": 0.1}, {"epsilon": 0.2}]
    rows = list(rows_of(grid, points, SCALINGS, {"seed": 3}))
    first = {"seed": 3, "point": json.dumps({"epsilon": 0.1}), "restart": 1, "best_epoch": 4}
    raw = first | {"scaling": "none", "temperature": 1, "validation_ce": 0.1, "accuracy": 1.1}
    own = first | {
        "scaling": "temperature",
        "temperature": 1.5,
        "validation_ce": 0.3,
        "accuracy": 1.3,
    }
    kept = {"failed": False, "dropped": False}
    assert rows[:2] == [raw | kept, own | kept]
    assert [row["dropped"] for row in rows[2:]] == [True, True]
    assert [row["failed"] for row in rows[2:]] == [True, True] and rows[2]["restart"] == 0
    assert np.isnan([row["temperature"] for row in rows[2:]]).all()


@pytest.mark.parametrize(
    "column, judged, tested",
    [
        (LS, "none", "none"),
        (JOINT, "temperature", "temperature"),
        (SELECTED, "none", "temperature"),
    ],
)
def test_who_judges_and_who_is_tested_depends_on_the_scaling(column, judged, tested):
    metrics, drawn = table(), range(1, column.points + 1)
    found = reached(metrics, column, "ece", drawn)
    by_cell = {
        cell: expected(
            of_cell(metrics, cell, column.method, judged, "validation_ce"),
            of_cell(metrics, cell, column.method, tested, "ece"),
            drawn,
        )
        for cell in CELLS
    }
    perceptron = (by_cell[CELLS[0]] + by_cell[CELLS[1]]) / 2  # seeds first, then networks
    np.testing.assert_allclose(found.loc["iris"], (perceptron + by_cell[CELLS[2]]) / 2)
    np.testing.assert_allclose(found.loc["wine"], by_cell[CELLS[3]])
    assert list(found.index) == ["iris", "wine"]


def test_a_budget_counts_what_comes_first_and_is_compared_with_the_reference():
    metrics = table()
    found = budgets(metrics, METRICS, [NO_LS, SELECTED], NO_LS)
    own = found[(found["metric"] == "brier") & (found["column"] == "ILS+TempS")]
    assert own["trainings"].tolist() == [2, 3, 4, 5] and set(own["datasets"]) == {2}
    base = reached(metrics, NO_LS, "brier", [1])[1]
    last = reached(metrics, SELECTED, "brier", [4])[4] - base
    assert own["difference"].iloc[-1] == pytest.approx(last.mean())
    assert own["estimate"].iloc[-1] == pytest.approx(last.mean(), abs=1e-11)  # of two
    assert np.isinf(own["low"]).all()  # two datasets give no interval
    assert (found[found["column"] == NO_LS.column]["difference"] == 0).all()
    assert set(found["metric"]) == set(NAMES)


def test_two_columns_spend_equally_many_trainings():
    metrics = table()
    found = equal_budgets(metrics, METRICS, [Matched(ILS, LS, 2), Matched(SELECTED, JOINT, 2)])
    assert len(found) == 2 * 2 * len(NAMES) and set(found["trainings"]) == {2}
    for metric, sign in (("cross_entropy", -1), ("accuracy", 1)):
        gains = found[(found["metric"] == metric) & (found["better"] == "ILS")]
        one, two = reached(metrics, ILS, metric, [1])[1], reached(metrics, LS, metric, [2])[2]
        np.testing.assert_allclose(gains["gain"], sign * (one - two))
        assert gains["dataset"].tolist() == ["iris", "wine"] and set(gains["worse"]) == {"LS"}


def test_of_a_halved_search_only_the_whole_is_known_at_what_it_costs():
    metrics, halved = table(), replace(SELECTED, halved=2.5)
    own = (metrics["method"] == "ILS") & (metrics["scaling"] == "none")
    best = metrics[own].groupby(["dataset", "network", "seed"])["validation_ce"].idxmin()
    points = metrics.loc[best, ["dataset", "network", "seed", "point", "restart"]]
    keys = [*points]
    lost = metrics.merge(points.assign(dropped_best=True), how="left", on=keys)["dropped_best"]
    metrics["dropped"] = lost.fillna(False).to_numpy(bool) & (metrics["method"] == "ILS")
    found = budgets(metrics, METRICS, [NO_LS, halved], NO_LS)
    rows = found[(found["metric"] == "ece") & (found["column"] == "ILS+TempS")]
    assert rows["trainings"].tolist() == [3.5]
    reach = []  # the second best by validation, as the best was dropped
    for cell in CELLS:
        ce = of_cell(metrics, cell, "ILS", "none", "validation_ce")
        reach.append(of_cell(metrics, cell, "ILS", "temperature", "ece")[ce.argsort()[1]])
    iris, wine = ((reach[0] + reach[1]) / 2 + reach[2]) / 2, reach[3]
    base = reached(metrics, NO_LS, "ece", [1])[1]
    difference = ((iris - base["iris"]) + (wine - base["wine"])) / 2
    assert rows["difference"].item() == pytest.approx(difference)


def test_a_halved_search_is_matched_at_its_own_cost_alone():
    halved = replace(ILS, halved=2.0)
    assert [halved.cost(4), halved.trainings, ILS.trainings] == [3, 3, 5]
    assert [ILS.drawn(n) for n in (1, 2, 4.5, 5, 6)] == [None, 1, None, 4, None]
    assert [halved.drawn(n) for n in (2, 3, 4)] == [None, 4, None]


def test_students_that_are_missing_or_diverged_are_one_error():
    metrics = table()
    student = metrics.index[metrics["method"] == "ILS"][-2:]
    with pytest.raises(UserError, match="not 4 students of ILS in every cell; delete it"):
        reached(metrics.drop(index=student), ILS, "ece", [1])
    with pytest.raises(UserError, match="not 3 students of LS"):
        reached(metrics, Searched("LS", "LS", "none", "selected", 3, 0, False), "ece", [1])
    lost = (metrics["method"] == "LS") & (metrics["network"] == "Net")
    metrics.loc[lost, ["validation_ce", "ece"]] = np.nan
    with pytest.raises(UserError, match="iris Net 0: every student of LS diverged"):
        reached(metrics, LS, "ece", [1])
