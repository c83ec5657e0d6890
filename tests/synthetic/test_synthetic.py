"""The synthetic study: generator, Bayes-optimal model, curves, one small study, comparison."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.stats import multivariate_normal, norm

from ils.document.tables import comparison_table
from ils.evaluation.measures import measure
from ils.probabilities import softmax
from ils.statistics.comparison import COLUMNS, compare, paired_differences, read_printed
from ils.synthetic import perceptrons, study
from ils.synthetic.curves import best_epsilon, group_sums, histograms
from ils.synthetic.gaussians import density, log_joint, replicate, sample
from ils.synthetic.study import Task, run_replicates

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())["synthetic"]
PAPER = CONFIG["geometries"][0]


def test_the_paper_geometry_is_the_papers():
    means = [[component["mean"] for component in components] for components in PAPER["classes"]]
    assert means == [[[-4, 1], [2, 1]], [[-4, -1], [2, -1]], [[-1, 0], [5, 0]]]
    assert PAPER["covariance"] == [[1, 0], [0, 1]]
    assert all([c["weight"] for c in components] == [0.8, 0.2] for components in PAPER["classes"])


def test_samples_have_the_moments_of_their_components():
    drawn = sample(PAPER, 40000, np.random.default_rng(0))
    assert np.bincount(drawn.y).tolist() == [40000] * 3
    for label, components in enumerate(PAPER["classes"]):
        for part, component in enumerate(components):
            x = drawn.x[(drawn.y == label) & (drawn.part == part)]
            # five standard errors of a mean, a share and a variance
            assert np.abs(x.mean(0) - component["mean"]).max() < 5 / len(x) ** 0.5
            assert abs(len(x) / 40000 - component["weight"]) < 5 * (0.16 / 40000) ** 0.5
            assert np.abs(np.cov(x.T) - np.eye(2)).max() < 5 * (2 / len(x)) ** 0.5


def test_another_covariance_is_drawn_and_known():
    geometry = {"covariance": [[2.0, 0.6], [0.6, 0.5]], "classes": copy.deepcopy(PAPER["classes"])}
    drawn = sample(geometry, 40000, np.random.default_rng(0))
    x = drawn.x[(drawn.y == 1) & (drawn.part == 0)]
    assert np.abs(np.cov(x.T) - geometry["covariance"]).max() < 5 * 2 * (2 / len(x)) ** 0.5
    expected = sum(
        c["weight"] * multivariate_normal([*c["mean"]], geometry["covariance"]).pdf([0.3, -0.2])
        for components in geometry["classes"]
        for c in components
    )
    assert density(geometry, np.array([[0.3, -0.2]]))[0] == pytest.approx(expected / 3)


def test_bayes_probabilities_are_ratios_of_densities():
    x = np.random.default_rng(1).normal(size=(50, 2)) * 4
    joint = np.zeros((50, 3))
    for label, components in enumerate(PAPER["classes"]):
        for c in components:  # unit covariance: a product of two one-dimensional normal densities
            joint[:, label] += (
                c["weight"] * norm.pdf(x[:, 0], c["mean"][0]) * norm.pdf(x[:, 1], c["mean"][1])
            )
    np.testing.assert_allclose(
        softmax(log_joint(PAPER, x)), joint / joint.sum(1, keepdims=True), rtol=1e-10
    )
    np.testing.assert_allclose(density(PAPER, x), joint.sum(1) / 3, rtol=1e-10)
    axes = np.linspace(-12, 12, 481), np.linspace(-9, 9, 361)
    grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    assert density(PAPER, grid).sum() * 0.05**2 == pytest.approx(1, abs=1e-6)


def test_bayes_probabilities_agree_with_counted_labels():
    """Among the samples in a small square the classes are as frequent as the closed form says.

    And it is calibrated.
    """
    drawn = sample(PAPER, 200000, np.random.default_rng(2))
    inside = (np.abs(drawn.x - [-2.5, 0.3]) < 0.1).all(1)
    counted = np.bincount(drawn.y[inside], minlength=3) / inside.sum()
    expected = softmax(log_joint(PAPER, drawn.x[inside])).mean(0)
    assert np.abs(counted - expected).max() < 4 * (0.25 / inside.sum()) ** 0.5
    assert measure(["ece"], log_joint(PAPER, drawn.x), drawn.y)["ece"] < 0.003


def test_the_bayes_optimal_model_scores_its_exact_values():
    """Accuracy and cross-entropy agree by integration over a fine grid and by sampling.

    They are 82.05 % and 0.4429.
    """
    axes = np.arange(-12, 13, 0.05), np.arange(-8, 8, 0.05)
    grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    joint = log_joint(PAPER, grid)
    mass = np.exp(joint) / 3 * 0.05**2
    exact = mass.max(1).sum(), -(mass * np.log(softmax(joint))).sum()
    assert exact == pytest.approx((0.82049, 0.44289), abs=1e-4)
    drawn = sample(PAPER, 100000, np.random.default_rng(3))
    probabilities = softmax(log_joint(PAPER, drawn.x))
    hit = probabilities.argmax(1) == drawn.y
    loss = -np.log(probabilities[np.arange(300000), drawn.y])
    for values, expected in ((hit, exact[0]), (loss, exact[1])):
        assert abs(values.mean() - expected) < 4 * values.std() / 300000**0.5


def test_a_replicate_depends_on_its_seed_and_number_only():

    def draw(number, seed=1):
        return replicate(PAPER, seed, number, 5, 6, 7)

    a, b = draw(3), draw(3)
    assert a.network_seed == b.network_seed and all(
        (x.x == y.x).all() for x, y in zip(a[:3], b[:3])
    )
    assert [len(samples.y) for samples in a[:3]] == [15, 18, 21]
    others = [draw(4), draw(3, seed=2)]
    assert all(
        (a.training.x != other.training.x).all() and a.network_seed != other.network_seed
        for other in others
    )
    assert not np.isin(a.training.x, a.test.x).any()


def test_groups_add_up_p_of_teacher_and_students():
    teacher = np.array([0.1, 0.2, 0.25, 0.6, 1.0, 0.9])
    students = np.array([[0.5, 0.3, 0.1, 0.7, 0.8, 0.6], [0.5, 0.2, 0.2, 0.5, 1.0, 1.0]])
    count, teacher_sum, student_sum = group_sums(teacher, students, edges=np.array([0.2, 0.6, 1.0]))
    assert count.tolist() == [2, 3]  # 0.1 is left out, 0.6 opens the second group, 1.0 closes it
    assert teacher_sum == pytest.approx([0.45, 2.5])
    np.testing.assert_allclose(student_sum, [[0.4, 2.1], [0.4, 2.5]])
    student_sum[1, 0] = 0.44
    best = best_epsilon(count, teacher_sum, student_sum, np.array([0.05, 0.1]))
    assert best.tolist() == [0.1, 0.1]
    empty = best_epsilon(np.array([0]), np.array([0.0]), np.zeros((2, 1)), np.array([0.05, 0.1]))
    assert np.isnan(empty).all()


def test_histograms_count_highest_others_and_true():
    highest, others, true = histograms(
        np.array([[0.71, 0.21, 0.08], [0.15, 0.04, 0.81]]), np.array([1, 2])
    )
    assert np.flatnonzero(highest).tolist() == [35, 40] and highest.sum() == 2 and others.sum() == 4
    assert np.flatnonzero(true).tolist() == [10, 40]


@pytest.fixture(scope="module")
def small():
    """The study with small grids and networks: (setup, methods, options)."""
    grids = {
        "ls": {"epsilon": [0.05, 0.1]},
        "ils1": {"p1": [0.8], "p2": [1, 2]},
        "ils2": {"epsilon": [0.1], "temperature": [1, 4]},
    }
    grids["ils"] = grids["ils1"] | {"temperature": [2]}
    grids["sinusoidal"] = {"shift": [0.7], "rate": [-4]}
    methods = [
        method | {"grid": grids.get(method["name"], method["grid"])} for method in CONFIG["methods"]
    ]
    options = {
        key: CONFIG[key]
        for key in ("seed", "training_per_class", "validation_per_class", "temperature_bounds")
    }
    options |= {
        "test_per_class": 300,
        "training": CONFIG["training"],
        "long_grid": {"p1": [0.7, 0.9, 0.95], "p2": [1, 3]},
    }
    setup = {
        "name": "small",
        "geometry": PAPER,
        "hidden": [16, 16],
        "methods": [m["name"] for m in methods],
        "long_grid": True,
    }
    return setup, methods, options


def test_replicates_are_the_same_whatever_job_runs_them(small):
    rows, arrays = run_replicates(*small, range(3))
    parts = [run_replicates(*small, numbers) for numbers in ([2], [0, 1])]
    by_number = parts[1][0] + parts[0][0]
    assert pd.DataFrame(rows).to_csv() == pd.DataFrame(by_number).to_csv()
    for name, values in arrays.items():
        assert values.tobytes() == np.concatenate([parts[1][1][name], parts[0][1][name]]).tobytes()


def test_equal_targets_are_trained_once_and_every_grid_gets_its_students_in_order(monkeypatch):
    data = replicate(PAPER, 1, 0, 50, 50, 300)
    task = Task(data, [16, 16], 3, CONFIG["temperature_bounds"], CONFIG["training"])
    grids = {"some": [0.1, 0.05], "others": [0.2, 0.1, 0.05]}
    methods = [
        {"name": name, "targets": "ls", "grid": {"epsilon": values}}
        for name, values in grids.items()
    ]
    wanted = task.grids(methods)
    alone = {name: task.train({name: wanted[name]}) for name in wanted}
    counts = []

    def counting(network, initial, x, targets, *arguments, **options):
        counts.append(len(targets))
        return perceptrons.train(network, initial, x, targets, *arguments, **options)

    monkeypatch.setattr(study, "train", counting)
    together = task.train(wanted)
    assert counts == [3]
    for name, grid in together.items():
        assert all(map(torch.equal, grid.trained, alone[name][name].trained))
    first, last = (grid.trained.weights for grid in together.values())
    assert torch.equal(first, last[1:]) and not torch.equal(first[0], first[1])


def test_every_model_is_there_and_finite(small):
    rows, arrays = run_replicates(*small, [0])
    models = pd.DataFrame(rows).set_index("model")
    expected = {"bayes", "ls dense", "ls sparse", "from bayes", "from no_ls", "from ls", "from ils"}
    expected |= {name + tail for name in small[0]["methods"] for tail in ("", "+temps")}
    assert set(models.index) == expected
    metrics = ["accuracy", "accuracy_dense", "accuracy_sparse", "cross_entropy", "ece", "cwece"]
    metrics += ["cwece_printed", "validation_ce", "temperature"]
    assert np.isfinite(models[metrics].to_numpy(float)).all()
    assert all(np.isfinite(values).all() for values in arrays.values())
    assert models.cross_entropy["bayes"] == models.cross_entropy.min()
    scaled = models[models.temperature_scaling.astype(bool)]
    raw = models.validation_ce[scaled.index.str.removesuffix("+temps")]
    assert (scaled.validation_ce <= raw.to_numpy()).all()
    assert ((scaled.temperature >= 0.8) & (scaled.temperature <= 3)).all()
    assert models.accuracy["no_ls"] == models.accuracy["no_ls+temps"]
    assert models.validation_ce["ls"] <= min(models.validation_ce["no_ls"], 1)
    assert arrays["long_grid"].shape == (1, 3, 2)
    assert arrays["histogram"].sum((0, 3)).tolist() == [[900, 1800, 900]] * 4
    assert arrays["curve_epsilon"].tolist() == [[0.05, 0.1, 0.2]]


def printed_rows(table):
    return read_printed(ROOT / f"config/published/table{table}.csv", CONFIG["methods"])


def test_the_printed_tables_are_read_with_their_known_twists():
    rows = {title: (model, printed) for title, model, printed in printed_rows(5)}
    model, printed = rows["ILS"]
    assert model == "ils" and printed["p1"] == 0.80 and printed["p2"] == 1.63
    assert printed["cwece_printed"] == 0.0449
    assert rows["Standard LS-0.2+TempS"][0] == "ls_0.2+temps" and "cwece" not in printed
    models = [model for _, model, _ in printed_rows(1)]
    assert models[-2:] == ["ls dense", "ls sparse"] and models[0] == "bayes"
    models = [model for _, model, _ in printed_rows(6)]
    assert models == ["from bayes", "from no_ls", "from ls", "from ils"]


def test_a_comparison_is_mean_error_and_mark():
    values = [0.80, 0.82, 0.84, 0.86]  # mean 83 %, standard deviation 2.58 %, standard error 1.29 %
    models = pd.DataFrame(
        {"setup": "one", "replicate": range(4), "model": "ls", "accuracy": values}
    )
    columns = [column for column in COLUMNS["1"] if column.name == "accuracy"]
    for printed, differs in ((85.5, False), (85.6, True)):
        row = compare(models, [("LS", "ls", {"accuracy": printed})], columns).iloc[0]
        assert row["mean"] == pytest.approx(83)
        assert row.standard_error == pytest.approx(1.290994) and row.differs == differs
    other = models.assign(model="no_ls", accuracy=[0.79, 0.80, 0.81, 0.86])
    difference = paired_differences(pd.concat([models, other]), [("ls", "no_ls")], columns).iloc[0]
    assert difference["mean"] == pytest.approx(1.5)
    assert difference.standard_error == pytest.approx(0.6454972)
    assert difference.significant


def test_a_comparison_table_marks_what_differs():
    models = pd.DataFrame(
        {
            "setup": "as_written",
            "replicate": range(4),
            "model": "ls",
            "accuracy": [0.80, 0.82, 0.84, 0.86],
        }
    )
    columns = [column for column in COLUMNS["1"] if column.name == "accuracy"]
    for printed, text in ((83.5, "83.00"), (86.0, r"\textbf{83.00}"), (87.0, r"\textbf{83.00}")):
        rows = [("LS", "ls", {"accuracy": printed}), ("ILS", "ils", {"accuracy": 80.0})]
        table = comparison_table(
            compare(models, rows, columns), rows, columns, "Caption.", "tab:x", 4
        )
        mark = r"$^\dagger$" if printed == 87.0 else ""
        assert rf"as\_written & {text}\,{{\tiny$\pm$1.29}}{mark} \\" in table
        assert f"printed & {printed:.2f}" in table and "over 4 replicates" in table
        assert table.count("as") >= 1


def test_a_comparison_table_too_long_for_a_page_becomes_two():
    models = pd.DataFrame(
        {"setup": "as_written", "replicate": [0, 1], "model": "ls", "accuracy": [0.80, 0.82]}
    )
    columns = [column for column in COLUMNS["1"] if column.name == "accuracy"]
    rows = [(f"row {i}", "ls", {"accuracy": 80.0}) for i in range(19)]  # two lines each
    table = comparison_table(
        compare(models, rows, columns), rows, columns, "Table IX: long.", "tab:x", 2
    )
    first, second = table.split(r"\end{table*}")[:2]
    assert "row 8}" in first and "row 9}" not in first
    assert "row 9}" in second and "row 18}" in second
    assert r"\caption{Table IX: long. Mean" in first
    assert r"\caption{Table IX, continued.}" in second and r"\label{tab:xb}" in second
