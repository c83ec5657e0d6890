"""Labels drawn from predictions, standard errors, and intervals that cover."""

import numpy as np
import pytest

from ils.evaluation import analytic, noise
from ils.evaluation.measures import measure
from ils.probabilities import log_softmax, softmax
from made_up import METRICS, NAMES

RNG = np.random.default_rng(0)
LOGITS, LABELS = 2 * RNG.normal(size=(300, 4)), RNG.integers(0, 4, 300)


def measured(logits, labels, draws=200):
    """Return the metrics of logits (N, K) and their intervals."""
    drawn = noise.calibrated(METRICS, logits, noise.uniforms(len(labels), draws))
    values = {name: float(value) for name, value in measure(NAMES, logits, labels).items()}
    return values, noise.intervals(METRICS, logits, labels, values, drawn, draws)


def test_errors_of_drawn_labels_are_those_of_the_metrics_functions():
    logits = 2 * RNG.normal(size=(200, 12))
    p, uniform = softmax(logits), noise.uniforms(200, 8)
    labels = noise.drawn_labels(p, uniform)
    by_class = np.array(list(analytic.drawn_classes(p, uniform)))
    assert (by_class.sum(0) == 1).all() and (labels == by_class.argmax(0)).all()  # one label each
    for name, values in analytic.drawn_errors(p, uniform).items():
        assert measure([name], logits, labels)[name] == pytest.approx(values, abs=5e-5), name


def test_standard_errors_are_those_of_samples_drawn_again():
    """Of a model that is off, as where gaps are nothing but noise the formulas give more."""
    logits = 2 * np.random.default_rng(3).normal(size=(1500, 3))
    labels = (logits / 3 + RNG.gumbel(size=logits.shape)).argmax(1)
    drawn = noise.resampled_errors(NAMES, logits, labels, 300)
    for name, influence in analytic.influences(logits, labels).items():
        assert drawn[name] == pytest.approx(influence.std() / 1499**0.5, rel=0.15), name


def test_drawn_labels_have_the_predicted_frequencies():
    p = np.tile([0.5, 0.3, 0.2], (50, 1))
    uniform = noise.uniforms(50, 2000)
    shares = [members.mean() for members in analytic.drawn_classes(p, uniform)]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.005)
    hits = analytic.drawn_hits(p, uniform)
    assert hits.mean() == pytest.approx(0.5, abs=0.005)
    np.testing.assert_array_equal(uniform, noise.uniforms(50, 2000))


@pytest.mark.parametrize("classes", [4, 12])
def test_influences_are_what_one_more_copy_of_a_sample_changes(classes):
    logits = np.tile(2 * RNG.normal(size=(200, classes)), (50, 1))  # one copy flips no bin's sign
    labels = np.tile((logits + RNG.gumbel(size=logits.shape))[:200].argmax(1), 50)
    influence, before = analytic.influences(logits, labels), measure(NAMES, logits, labels)
    for sample in range(2):
        rows = [*range(len(labels)), sample]
        after = measure(NAMES, logits[rows], labels[rows])
        for name in sorted(influence.keys() - {"smece", "ace"}):  # whose bins move, too
            change = len(rows) * (after[name] - before[name])
            expected = influence[name][sample] - influence[name].mean()
            assert change == pytest.approx(expected, rel=0.01, abs=0.01), name
    for name in influence.keys() - {"cwece_printed"}:
        assert influence[name].mean() == pytest.approx(before[name], rel=1e-4)


def test_the_standard_error_is_the_spread_over_test_sets_of_a_model_that_is_off():
    found, errors = [], []
    for seed in range(150):
        logits = 2 * np.random.default_rng(seed).normal(size=(400, 3))
        labels = (logits + np.random.default_rng([seed, 1]).gumbel(size=logits.shape)).argmax(1)
        found.append(measure(NAMES, logits / 2, labels))
        influence = analytic.influences(logits / 2, labels)
        errors.append({name: values.std() / 20 for name, values in influence.items()})
    for name in errors[0]:
        spread = np.std([values[name] for values in found])
        assert 0.85 < np.mean([error[name] for error in errors]) / spread < 1.35, name


def test_intervals_stay_in_the_metrics_range_and_hold_its_value():
    for logits, labels in ((LOGITS, LABELS), (60 * np.eye(3), np.arange(3))):
        values, intervals = measured(logits, labels)
        for name, (error, low, high) in intervals.items():
            highest = {"cross_entropy": np.inf, "brier": 2}.get(name, 1)
            assert 0 <= low <= values[name] + 1e-12 and values[name] <= high + 1e-12
            assert high <= highest and error >= 0
    assert intervals["accuracy"][1] == pytest.approx(3 / (3 + 1.96**2), rel=1e-3)  # Wilson, 3 of 3


def test_intervals_cover_the_truth_of_a_calibrated_model():
    """Those of the plain bootstrap cover 0, the truth of four of these, in 0 to 60 %."""
    covered = {name: [] for name in ("ece", "cwece", "smece", "ace", "accuracy", "cross_entropy")}
    rng = np.random.default_rng(1)
    entropy = 2 * rng.normal(size=(100_000, 5))
    true = dict.fromkeys(covered, 0.0) | {
        "accuracy": softmax(entropy).max(-1).mean(),
        "cross_entropy": -(softmax(entropy) * log_softmax(entropy)).sum(-1).mean(),
    }
    for _ in range(100):
        logits = 2 * rng.normal(size=(150, 5))
        intervals = measured(logits, (logits + rng.gumbel(size=logits.shape)).argmax(1), 100)[1]
        for name, hits in covered.items():
            _, low, high = intervals[name]
            hits.append(low <= true[name] <= high)
    assert min(np.mean(hits) for hits in covered.values()) >= 0.88  # 95 % less 3 of its errors


def test_a_class_that_no_draw_has_is_left_out():
    logits = LOGITS + [0, 0, 0, -50]
    values, intervals = measured(logits, LABELS % 3)
    assert np.isfinite(values["cwece_printed"]) and np.isfinite(intervals["cwece_printed"]).all()
