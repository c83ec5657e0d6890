"""Floors and p-values of calibration errors; cross-entropy split in two."""

import numpy as np
import pytest

import made_up
from compute_metrics import compute_metrics
from ils.evaluation import noise
from ils.evaluation.calibration import floors, folds_of, p_of, split_cross_entropy
from ils.evaluation.measures import measure
from ils.files import read_csv
from ils.probabilities import cross_entropy
from made_up import METRICS, NAMES, RANKED


def model(temperature, n=500, seed=0):
    """Return logits (n, 4) over the temperature, and labels drawn from the logits' softmax."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, 4))
    return logits / temperature, (logits + rng.gumbel(size=logits.shape)).argmax(1)


def floors_of(logits, labels, draws=200):
    uniform = noise.uniforms(len(labels), draws)
    values = measure(NAMES, logits, labels)
    return values, floors(values, noise.calibrated(METRICS, logits, uniform))


def test_a_model_that_is_off_has_a_p_as_small_as_the_draws_allow():
    values, floor = floors_of(*model(temperature=0.5))
    assert floor["ece_p"] == floor["cwece_p"] == 1 / 201
    assert floor["ece_above_floor"] == values["ece"] - floor["ece_floor"] > 0.02


def test_the_p_of_a_calibrated_model_is_uniform_and_its_error_the_floor():
    found = [floors_of(*model(1, 200, seed), 100) for seed in range(60)]
    for name in ("ece", "cwece"):
        p = np.array([floor[f"{name}_p"] for _, floor in found])
        assert abs(p.mean() - 0.5) < 0.12 and (p < 0.1).mean() < 0.25
    for name in ("ece", "cwece", "cwece_printed"):
        observed = np.mean([values[name] for values, _ in found])
        assert np.mean([floor[f"{name}_floor"] for _, floor in found]) == pytest.approx(
            observed, rel=0.07
        )
    assert "cwece_printed_p" not in found[0][1]


def test_p_counts_the_observed_value_and_equal_draws():
    drawn = np.array([0.1, 0.2, 0.3, 0.4])
    assert p_of(0.3, drawn) == 3 / 5 and p_of(0.3 + 1e-12, drawn) == 3 / 5
    assert p_of(0.5, drawn) == 1 / 5 and p_of(0.0, drawn) == 1


def test_folds_have_every_class_alike():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 23, 7]))
    counts = np.array([np.bincount(labels[folds_of(labels) == f], minlength=3) for f in range(5)])
    assert (counts.max(0) - counts.min(0) <= 1).all() and counts.sum() == 80
    assert set(folds_of(labels[:3])) == {0, 1, 2}


@pytest.mark.parametrize("temperature", [0.5, 1, 3])
def test_the_calibration_part_is_what_the_temperature_costs(temperature):
    logits, labels = model(temperature, 4000)
    parts = split_cross_entropy(logits, labels)
    whole, at_best = cross_entropy(logits, labels), cross_entropy(logits * temperature, labels)
    assert parts["refinement"] + parts["calibration"] == pytest.approx(float(whole), rel=1e-12)
    assert parts["refinement"] == pytest.approx(float(at_best), abs=0.001)
    if temperature == 1:
        assert parts["calibration"] == pytest.approx(0, abs=0.001)


def test_the_temperature_of_a_fold_is_fitted_to_the_others():
    logits, labels = model(0.5, 40)
    parts = split_cross_entropy(logits, labels)
    labels = labels.copy()
    labels[folds_of(labels) == 2] = 0  # changes the fits of the other folds
    assert split_cross_entropy(logits, labels)["refinement"] != parts["refinement"]
    few = split_cross_entropy(logits[:2], np.array([0, 1]))
    assert np.isfinite(list(few.values())).all()


def test_the_tables_of_a_run_have_all_that_is_ranked_and_its_noise(tmp_path):
    column = {"column": "LS", "method": "ls"}
    paths = [str(tmp_path / name) for name in ("p.safetensors", "metrics.csv", "intervals.csv")]
    made_up.predictions(paths[0], [column], {"ls": {"epsilon": [0.1]}}, {made_up.CELL: (80, 3)})
    compute_metrics(paths[:1], [made_up.CELL], 100, METRICS, *paths[1:])
    metrics, intervals = read_csv(paths[1]), read_csv(paths[2])
    noise = ["ece_floor", "ece_p", "cwece_floor", "cwece_p", "cwece_printed_floor"]
    row = metrics.loc[0, [*(metric.name for metric in RANKED), *noise]].astype(float)
    assert np.isfinite(row).all() and row["ece_above_floor"] == row["ece"] - row["ece_floor"]
    assert intervals["metric"].tolist() == list(NAMES)
    assert (intervals["low"] <= intervals["value"]).all()
    assert (intervals["value"] <= intervals["high"]).all()
