"""The bootstrap: its metrics are of the samples drawn, its standard errors those of theory."""

import numpy as np
import pytest

from ils.evaluation import bootstrap
from ils.evaluation.metrics import all_metrics
from ils.probabilities import softmax

RNG = np.random.default_rng(0)
LOGITS, LABELS = 2 * RNG.normal(size=(300, 4)), RNG.integers(0, 4, 300)


def test_every_sample_once_gives_the_metrics_themselves():
    drawn = bootstrap.metrics(LOGITS, LABELS, np.ones((1, 300)))
    expected = all_metrics(LOGITS, LABELS)
    assert drawn.keys() == expected.keys()
    for name, values in drawn.items():
        assert values == pytest.approx([expected[name]])


def test_a_draw_gives_the_metrics_of_the_samples_drawn():
    weights = bootstrap.weights(300, 3, seed=1)
    drawn = bootstrap.metrics(LOGITS, LABELS, weights)
    for draw, row in enumerate(weights.astype(int)):
        rows = np.repeat(np.arange(300), row)
        expected = all_metrics(LOGITS[rows], LABELS[rows])
        for name, values in drawn.items():
            assert values[draw] == pytest.approx(expected[name])


def test_weights_count_draws_of_all_samples_and_follow_from_the_seed():
    weights = bootstrap.weights(50, 20)
    assert (weights.sum(1) == 50).all() and weights.min() == 0 and weights.max() > 1
    np.testing.assert_array_equal(weights, bootstrap.weights(50, 20))


def test_the_standard_error_of_an_accuracy_is_binomial():
    accuracy = all_metrics(LOGITS, LABELS)["accuracy"]
    draws = bootstrap.metrics(LOGITS, LABELS, bootstrap.weights(300, 2000))["accuracy"]
    error, low, high = bootstrap.interval(accuracy, draws)
    expected = np.sqrt(accuracy * (1 - accuracy) / 300)
    assert error == pytest.approx(expected, rel=0.05)
    assert (low, high) == pytest.approx(
        (accuracy - 1.96 * expected, accuracy + 1.96 * expected), abs=0.01
    )


def test_the_interval_of_a_perfectly_calibrated_model_reaches_zero():
    p = softmax(2 * RNG.normal(size=(2000, 3)))
    labels = (p.cumsum(1) > RNG.uniform(size=(2000, 1))).argmax(1)
    ece = all_metrics(np.log(p), labels)["ece"]
    draws = bootstrap.metrics(np.log(p), labels, bootstrap.weights(2000, 400))["ece"]
    assert draws.mean() > ece  # noise only raises it
    error, low, high = bootstrap.interval(ece, draws)
    assert low < 0.01 and high < ece + 3 * error


def test_a_class_that_no_draw_has_is_left_out():
    labels = np.where(np.arange(300) == 0, 3, LABELS % 3)
    draws = bootstrap.metrics(LOGITS, labels, bootstrap.weights(300, 50))["cwece_printed"]
    assert np.isfinite(draws).all()
