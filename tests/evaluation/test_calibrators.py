"""Calibrators find what distorted the logits, keep what is calibrated, and bear awkward data."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.isotonic import IsotonicRegression

from ils.evaluation import linear_maps
from ils.evaluation.calibration import folds_of
from ils.evaluation.calibrators import Fitted, each_model, temperature, uncalibrated
from ils.evaluation.isotonic import isotonic, steps
from ils.evaluation.linear_maps import Problem, dirichlet, minimum, validated, vector, with_one
from ils.plan.plugins import load, plugins
from ils.probabilities import cross_entropy, log_softmax, softmax

CALIBRATORS = temperature, vector, dirichlet, isotonic
W = np.array([[1.6, 0.3, -0.2], [0.1, 0.7, 0.2], [-0.3, 0.2, 1.1]])
B = np.array([0.5, -0.7, 0.2])


def drawn(z, rng):
    """Labels by the probabilities that logits (N, K) say."""
    return (z + rng.gumbel(size=z.shape)).argmax(-1)


def sample(count, classes=3, seed=0, scale=2.0):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(count, classes)), rng


def test_the_config_may_name_all_of_them():
    assert {function.__name__ for function in CALIBRATORS} == set(plugins("calibrator"))
    assert all(load("calibrator", function.__name__) is function for function in CALIBRATORS)


def test_vector_scaling_finds_weights_and_intercepts():
    z, rng = sample(40_000)
    w, b = np.array([1.5, 0.6, 1.0]), np.array([0.5, -0.8, 0.3])
    (fitted,) = vector(z[None], drawn(w * z + b, rng), penalties=[1e-6])
    intercepts = fitted.map(np.zeros((1, 3)))[0]
    np.testing.assert_allclose(intercepts, b, atol=0.05)  # both add up to 0
    np.testing.assert_allclose(np.diag(fitted.map(np.eye(3)) - intercepts), w, atol=0.05)
    assert dict(fitted.parameters) == {"penalty": 1e-6} and fitted.temperature is None


def test_dirichlet_calibration_finds_the_map():
    z, rng = sample(40_000)
    log_p = log_softmax(z)
    truth = log_p @ W.T + B
    (fitted,) = dirichlet(z[None], drawn(truth, rng), penalties=[1e-5], intercept_penalties=[1e-5])
    apart = np.abs(softmax(fitted.map(z)) - softmax(truth))
    assert apart.mean() < 0.004 and apart.max() < 0.05
    assert np.abs(softmax(z) - softmax(truth)).mean() > 0.1
    np.testing.assert_allclose(fitted.map(z), fitted.map(z + 5), atol=1e-9)  # p alone counts


@pytest.mark.parametrize("fit", CALIBRATORS)
def test_calibrated_probabilities_stay_nearly_as_they_are(fit):
    z, rng = sample(5000)
    (fitted,) = fit(z[None], drawn(z, rng))
    fresh, _ = sample(1000, seed=1)
    assert np.abs(softmax(fitted.map(fresh)) - softmax(fresh)).mean() < 0.02


@pytest.mark.parametrize("fit", [vector, dirichlet, isotonic])
def test_what_no_temperature_mends_is_mended(fit):
    z, rng = sample(3000)
    said, labels = log_softmax(z) @ np.diag([0.4, 1.0, 2.0]) + B, drawn(z, rng)
    (fitted,), (scaled,) = fit(said[None], labels), temperature(said[None], labels)
    fresh, rng = sample(3000, seed=1)
    said, labels = log_softmax(fresh) @ np.diag([0.4, 1.0, 2.0]) + B, drawn(fresh, rng)
    least, own, by_t = (
        cross_entropy(z, labels) for z in (fresh, fitted.map(said), scaled.map(said))
    )
    assert own - least < 0.5 * (by_t - least)


def problem(free, seed=0):
    z, rng = sample(60, seed=seed)
    x, labels = with_one(z), drawn(z @ W.T, rng)
    return Problem(x, labels, free, np.where(free, rng.uniform(0.01, 0.1, free.shape), 0))


DIAGONAL = np.eye(3, 4, dtype=bool) | (np.arange(4) == 3)
FREE = pytest.mark.parametrize("free", [DIAGONAL, np.ones((3, 4), bool)], ids=["some", "all"])


@FREE
def test_derivatives_are_those_of_the_loss(free):
    own, w = problem(free), np.random.default_rng(1).normal(size=free.shape) * free

    def of(function):
        return lambda by: getattr(own, function)(own.moved(w, by))

    zeros = np.zeros(free.sum())
    assert check_grad(of("loss"), of("gradient"), zeros) < 1e-6
    for place in range(free.sum()):
        error = check_grad(
            lambda by, i=place: of("gradient")(by)[i],
            lambda by, i=place: of("hessian")(by)[i],
            zeros,
        )
        assert error < 1e-6


@FREE
def test_newton_and_gradients_end_in_the_minimum(free):
    own, identity = problem(free), np.eye(3, 4)
    w = minimum(own, identity, 1e-12)
    assert (w[~free] == identity[~free]).all()
    assert np.abs(own.gradient(w)).max() < 1e-7  # of a convex function
    far = minimum(own, identity + 30 * free, 1e-12)  # halved steps find back
    np.testing.assert_allclose(far, w, atol=1e-5)
    other = linear_maps.by_gradients(own, identity, 1e-14)
    np.testing.assert_allclose(other, w, atol=1e-4)


def test_many_classes_are_calibrated_without_a_hessian(monkeypatch):
    monkeypatch.setattr(Problem, "hessian", None)
    z, rng = sample(300, classes=40)
    labels = drawn(z, rng)
    one = {"penalties": [1.0], "intercept_penalties": [1.0]}
    (fitted,) = dirichlet(2 * z[None], labels, **one)
    assert cross_entropy(fitted.map(2 * z), labels) < cross_entropy(2 * z, labels)


def test_the_penalty_is_that_of_the_best_held_out_folds():
    z, rng = sample(80, seed=3)
    x, labels, free = with_one(z), drawn(z @ W.T + B, rng), np.ones((3, 4), bool)
    penalties, folds = [np.full(free.shape, weight) for weight in (10, 0.3, 0.03, 1e-4)], folds_of
    held_out = []
    for penalty in penalties:
        total = 0
        for fold in range(5):
            own = folds(labels) == fold
            w = minimum(Problem(x[~own], labels[~own], free, penalty), np.eye(3, 4), 1e-12)
            total += own.sum() * cross_entropy(x[own] @ w.T, labels[own])
        held_out.append(total)
    w, best = validated(x, labels, free, penalties)
    assert best == np.argmin(held_out) and 0 < best < 3
    whole = minimum(Problem(x, labels, free, penalties[best]), np.eye(3, 4), 1e-12)
    np.testing.assert_allclose(w, whole, atol=1e-4)
    assert validated(x[:4], labels[:4], free, penalties)[1] == 0  # less samples than folds


def test_isotonic_steps_are_scikit_learns():
    rng = np.random.default_rng(0)
    scores = np.round(rng.uniform(size=200), 2)  # with equal ones
    hits = (rng.uniform(size=200) < scores**2).astype(float)
    distinct, means = steps(scores, hits)
    grid = np.linspace(0, 1, 301)
    other = IsotonicRegression(out_of_bounds="clip").fit(scores, hits)
    np.testing.assert_allclose(np.interp(grid, distinct, means), other.predict(grid), atol=1e-12)


def test_isotonic_frequencies_are_smoothed_by_a_hit_below_and_a_miss_above():
    p = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8])
    z = np.log(np.stack([p, 1 - p], axis=1))
    (fitted,) = isotonic(z[None], np.array([1, 1, 1, 0, 0, 0]))
    q = softmax(fitted.map(z))
    # class 0: a hit at 0 and three misses are 1/4, three hits and a miss at 1 are 3/4
    np.testing.assert_allclose(q[:, 0], [0.25] * 3 + [0.75] * 3)
    between = np.log([[0.45, 0.55]])  # on the line between two steps
    np.testing.assert_allclose(softmax(fitted.map(between)), [[0.5, 0.5]])


AWKWARD = {
    "a class is missing": (2 * np.random.default_rng(0).normal(size=(40, 4)), np.arange(40) % 3),
    "all right": (5 * np.eye(3)[np.arange(30) % 3], np.arange(30) % 3),
    "all wrong": (5 * np.eye(3)[np.arange(30) % 3], (np.arange(30) + 1) % 3),
    "one class": (np.random.default_rng(1).normal(size=(30, 3)), np.ones(30, int)),
    "three samples": (np.random.default_rng(2).normal(size=(3, 3)), np.array([0, 1, 2])),
    "one sample": (np.array([[1.0, 2.0, 3.0]]), np.array([1])),
    "equal logits": (np.zeros((20, 3)), np.arange(20) % 3),
    "far apart": (np.eye(2)[np.arange(40) % 2] * 800.0, np.arange(40) // 2 % 2),
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("fit", CALIBRATORS)
def test_awkward_data_are_calibrated_to_probabilities(fit, case):
    z, labels = AWKWARD[case]
    (fitted,) = fit(z[None].astype(np.float32), labels)
    elsewhere = 3 * np.random.default_rng(3).normal(size=(50, z.shape[1]))
    for logits in (z, elsewhere):
        p = softmax(fitted.map(logits))
        assert p.shape == logits.shape and np.isfinite(p).all()
        np.testing.assert_allclose(p.sum(-1), 1)
    assert cross_entropy(fitted.map(z), labels) <= cross_entropy(z, labels) + 0.3
    assert np.isfinite(list(fitted.parameters.values())).all()


@pytest.mark.parametrize("fit", CALIBRATORS)
def test_a_model_is_calibrated_the_same_in_any_company(fit):
    z, rng = sample(60)
    labels, models = drawn(z, rng), np.stack([z, 3 * z, z**3])
    together = [fitted.map(z) for fitted in fit(models, labels)]
    alone = [fit(model[None], labels)[0].map(z) for model in models[::-1]][::-1]
    np.testing.assert_array_equal(together, alone)


def test_a_function_of_one_model_may_return_the_map_alone():
    @each_model
    def shifted(logits, labels, *, by=1):
        return lambda z: z + by * labels.sum()

    fits = shifted(np.zeros((2, 3, 2)), np.array([0, 1, 1]), by=2)
    assert all(isinstance(fitted, Fitted) and not fitted.parameters for fitted in fits)
    assert fits[1].map(np.ones(1)) == 5
    (as_trained,) = uncalibrated(np.zeros((1, 3, 2)), None)
    assert as_trained.temperature == 1 and as_trained.map("logits") == "logits"


def test_the_strongest_penalties_are_tried_first(monkeypatch):
    tried = []
    monkeypatch.setattr(linear_maps, "validated", lambda *a: tried.append([*a[3]]) or (W_ONE, 0))
    z, rng = sample(20)
    dirichlet(z[None], drawn(z, rng), penalties=[0.6, 6], intercept_penalties=[0.3, 3])
    vector(z[None], drawn(z, rng), penalties=[0.3, 3])
    odir, diagonal = tried
    np.testing.assert_allclose(
        [(p[0, 1], p[0, 3]) for p in odir], [(1, 1), (0.1, 1), (1, 0.1), (0.1, 0.1)]
    )
    assert all(p[1, 1] == linear_maps.LOOSE / 3 for p in odir)
    np.testing.assert_allclose(
        [(p[0, 0], p[0, 1], p[0, 3]) for p in diagonal], [(1, 0, 1), (0.1, 0, 0.1)]
    )


W_ONE = np.eye(3, 4)
