"""Temperature scaling finds the known temperature; selection follows validation cross-entropy."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ils.errors import UserError
from ils.evaluation.calibrators import AS_TRAINED, temperature, uncalibrated
from ils.evaluation.grids import on_test, on_validation
from ils.evaluation.measures import measure
from ils.evaluation.selection import select
from ils.evaluation.temperature import fit_temperature
from ils.probabilities import cross_entropy
from made_up import NAMES

BOUNDS = (0.05, 20.0)


def calibrated(samples, classes, seed, scale=2.0):
    """Return logits and labels drawn from their softmax, so that T = 1 is the truth."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(samples, classes))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(-1)


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_factor_by_which_calibrated_logits_are_scaled_is_recovered(factor):
    logits, labels = calibrated(50_000, 5, seed=1)
    assert fit_temperature(factor * logits, labels, BOUNDS) == pytest.approx(factor, rel=0.02)


def test_agrees_with_a_numerical_minimiser():
    for seed in range(4):
        logits, labels = calibrated(80, 3, seed)
        logits = logits * 1.7

        def loss(log_t, logits=logits, labels=labels):
            return cross_entropy(logits / np.exp(log_t), labels)

        minimum = minimize_scalar(
            loss, bounds=np.log(BOUNDS), method="bounded", options={"xatol": 1e-10}
        )
        temperature = fit_temperature(logits, labels, BOUNDS)
        assert math.log(temperature) == pytest.approx(minimum.x, abs=1e-5)
        assert loss(math.log(temperature)) <= minimum.fun + 1e-14


def test_temperatures_of_many_models_equal_one_by_one():
    logits, labels = calibrated(60, 4, seed=3)
    models = np.stack([0.5 * logits, logits, 4 * logits])
    together = fit_temperature(models, labels, BOUNDS)
    assert together.tolist() == [float(fit_temperature(model, labels, BOUNDS)) for model in models]
    assert together[2] / together[0] == pytest.approx(8)


def test_the_bounds_are_reached_where_there_is_no_minimum():
    labels = np.array([0, 1, 2])
    right = 3.0 * np.eye(3)
    assert fit_temperature(right, labels, BOUNDS) == pytest.approx(BOUNDS[0])
    assert fit_temperature(-right, labels, BOUNDS) == pytest.approx(BOUNDS[1])
    assert fit_temperature(right, labels, (0.5, 5.0)) == pytest.approx(0.5)


def grid():
    """Return three students: a diverged, a calibrated but vague, a sharp and overconfident one.

    The last is ten times too confident.
    """
    logits, labels = calibrated(2000, 3, seed=4)
    vague, sharp = 0.5 * logits, 10 * logits
    return (
        np.stack([np.full_like(logits, np.nan), vague, sharp]),
        labels,
        np.array([True, False, False]),
    )


def test_joint_selection_sees_the_student_that_scaling_improves():
    logits, labels, failed = grid()
    vague_ce, sharp_ce = cross_entropy(logits[1], labels), cross_entropy(logits[2], labels)
    assert vague_ce < sharp_ce

    raw = select(logits, labels, failed)
    assert astuple(raw) == (1, AS_TRAINED, pytest.approx(vague_ce))

    # students 1 and 2 are one model at two scales: add noise to the vague one, so that only
    # scaling shows who is best
    logits[1] += np.random.default_rng(0).normal(scale=0.5, size=logits[1].shape)
    assert select(logits, labels, failed).index == 1
    selected = select(logits, labels, failed, temperature, "selected")
    joint = select(logits, labels, failed, temperature, "joint")
    assert selected.index == 1 and joint.index == 2
    assert joint.fitted.temperature == pytest.approx(10, rel=0.1)
    assert joint.validation_ce < selected.validation_ce < cross_entropy(logits[1], labels)
    for choice in (selected, joint):
        scaled = logits[choice.index] / choice.fitted.temperature
        assert choice.validation_ce == pytest.approx(cross_entropy(scaled, labels), rel=1e-12)


@pytest.mark.parametrize("reading", ["selected", "joint"])
@pytest.mark.parametrize("fit", [uncalibrated, temperature])
def test_a_diverged_student_is_never_chosen(fit, reading):
    logits, labels, failed = grid()
    # a student is also skipped when its logits look perfect but its training failed
    logits[0] = 100 * np.eye(3)[labels]
    assert select(logits, labels, failed, fit, reading).index in (1, 2)
    with pytest.raises(UserError, match="every student"):
        select(logits, labels, np.ones(3, bool), fit, reading)


def test_every_student_of_a_grid_is_fitted_and_tested_a_few_at_a_time(monkeypatch):
    logits, labels, failed = grid()
    calibrators, fits, fitted, tested = [uncalibrated, temperature], [], [], []
    for most in (10**9, 1):  # all at once, one by one
        monkeypatch.setattr("ils.evaluation.grids.AT_ONCE", most)
        fits, on = on_validation(logits, labels, failed, calibrators)
        fitted.append(on)
        tested.append(on_test(NAMES, logits, labels, failed, fits))
    for of_all, of_each in (fitted, tested):
        for name in of_all:
            np.testing.assert_array_equal(of_all[name], of_each[name])
    by, ce = fitted[0]["temperature"], fitted[0]["validation_ce"]
    assert np.isnan(by[:, 0]).all() and np.isnan(ce[:, 0]).all()
    for student in (1, 2):
        raw = select(logits[[student]], labels, failed[[student]])
        own = select(logits[[student]], labels, failed[[student]], temperature, "joint")
        assert (ce[:, student] == [raw.validation_ce, own.validation_ce]).all()
        assert by[:, student].tolist() == [1, own.fitted.temperature]
        scaled = measure(NAMES, logits[student] / own.fitted.temperature, labels)
        for name, values in tested[0].items():
            assert values.shape == (2, 3) and np.isnan(values[:, 0]).all()
            assert values[1, student] == pytest.approx(scaled[name], rel=1e-12)
    assert tested[0]["cross_entropy"][0, 1] == cross_entropy(logits[1], labels)
    _, nothing = on_validation(logits, labels, np.ones(3, bool), calibrators)
    assert all(np.isnan(array).all() for array in nothing.values())
