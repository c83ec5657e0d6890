"""The bins of a reliability diagram add up to Eq. 1 and Eq. 2; examples done by hand."""

import numpy as np
import pytest

from ils.evaluation.analytic import drawn_errors
from ils.evaluation.measures import measure
from ils.evaluation.noise import uniforms
from ils.evaluation.reliability import (
    classwise_bins,
    classwise_draws,
    confidence_bins,
    confidence_draws,
    consistency,
)
from ils.probabilities import softmax


def predictions(samples=400, classes=7, seed=0):
    """Return random probabilities (N, K) and labels (N,) drawn from them."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(samples, classes))
    return softmax(logits), (logits + rng.gumbel(size=logits.shape)).argmax(-1)


def test_confidence_bins_of_a_small_example():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.0, 1.0]])
    bins = confidence_bins(probabilities, np.array([0, 1, 1, 1]), bins=5)
    assert bins.count.tolist() == [[0, 0, 0, 2, 2]]  # 0.8 closes the fourth bin
    assert bins.predicted[0, 3:] == pytest.approx([0.75, 0.95])
    assert np.isnan(bins.predicted[0, :3]).all()
    assert bins.actual[0, 3:].tolist() == [0.5, 1.0] and np.isnan(bins.actual[0, :3]).all()
    assert bins.error == pytest.approx((2 * 0.25 + 2 * 0.05) / 4)


def test_classwise_bins_of_a_small_example():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    bins = classwise_bins(probabilities, np.array([0, 1, 1]), bins=2)
    assert bins.count.tolist() == [[1, 2], [2, 1]]
    assert bins.probability_sum == pytest.approx(np.array([[0.2, 1.5], [0.5, 0.8]]))
    assert bins.hit_sum.tolist() == [[0, 1], [1, 1]]
    assert bins.error == pytest.approx(((0.2 + 0.5) / 3 + (0.5 + 0.2) / 3) / 2)
    pooled = bins.pooled()
    assert pooled.count.tolist() == [3, 3] and pooled.actual == pytest.approx([1 / 3, 2 / 3])
    assert pooled.predicted == pytest.approx([0.7 / 3, 2.3 / 3])
    # single classes miss by 0.2 / 1 and 0.25 in the first bin, which cancels in part in the pool
    assert bins.mean_gap()[0] == pytest.approx((0.2 + 0.5) / 3)
    assert abs(pooled.actual - pooled.predicted)[0] < 0.2


@pytest.mark.parametrize("classes", [2, 3, 7, 100])
def test_weighted_gaps_add_up_to_the_metrics(classes):
    probabilities, labels = predictions(classes=classes)
    confidence = confidence_bins(probabilities, labels)
    classwise = classwise_bins(probabilities, labels)
    metrics = measure(["ece", "cwece"], np.log(probabilities), labels)
    assert confidence.error == pytest.approx(metrics["ece"], rel=1e-12)
    assert classwise.error == pytest.approx(metrics["cwece"], rel=1e-12)
    filled = confidence.count > 0
    shares = confidence.count[filled] / len(labels)
    gaps = np.abs(confidence.actual - confidence.predicted)[filled]
    assert (shares * gaps).sum() == pytest.approx(confidence.error)
    weights = classwise.pooled().count / classwise.count.sum()
    assert np.nansum(weights * classwise.mean_gap()) == pytest.approx(classwise.error)
    assert confidence.count.sum() == len(labels) and (classwise.count.sum(1) == len(labels)).all()


def test_the_error_of_a_pool_is_at_most_the_mean_over_seeds():
    halves = [predictions(seed=seed) for seed in (1, 2)]
    pool = [np.concatenate(parts) for parts in zip(*halves)]
    for bins in (confidence_bins, classwise_bins):
        assert bins(*pool).error < np.mean([bins(*half).error for half in halves])


def test_bands_hold_most_bins_of_predictions_that_are_true():
    probabilities, labels = predictions(2000)
    uniform = uniforms(2000, 200)
    drawn = drawn_errors(probabilities, uniform)
    pairs = {"ece": (confidence_bins, confidence_draws), "cwece": (classwise_bins, classwise_draws)}
    for name, (bins_of, draws_of) in pairs.items():
        bins = bins_of(probabilities, labels)
        expected = consistency(bins, draws_of(probabilities, uniform))
        pooled = bins.pooled()
        filled = pooled.count > 0
        inside = (expected.low <= pooled.actual) & (pooled.actual <= expected.high)
        assert inside[filled].mean() > 0.7 and np.isnan(expected.low[~filled]).all()
        assert (expected.low < pooled.predicted)[filled].all()
        assert (pooled.predicted < expected.high)[filled].all()
        assert expected.floor == pytest.approx(drawn[name].mean()) and expected.p > 0.01


def test_a_band_is_binomial_and_a_bin_that_is_off_lies_outside():
    probabilities = np.tile([0.7, 0.3], (100, 1))
    bins = confidence_bins(probabilities, np.zeros(100, int))
    expected = consistency(bins, confidence_draws(probabilities, uniforms(100, 2000)))
    place = int(bins.count[0].argmax())
    reach = 1.645 * np.sqrt(0.7 * 0.3 / 100)
    assert expected.low[place] == pytest.approx(0.7 - reach, abs=0.012)
    assert expected.high[place] == pytest.approx(0.7 + reach, abs=0.012)
    assert bins.actual[0, place] == 1 > expected.high[place] and expected.p == 1 / 2001
