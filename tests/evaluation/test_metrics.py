"""Every metric on an example worked by hand and on data with a known answer; torchmetrics' ECE."""

import math

import numpy as np
import pytest

from ils.evaluation import metrics
from ils.evaluation.measures import measure
from ils.evaluation.metrics import BINS, bin_index, equal_mass_index, even_weights
from ils.probabilities import cross_entropy, softmax
from made_up import NAMES


def plain(metric):
    """A metric of probabilities and labels whose samples count alike."""
    return lambda p, labels: metric(p, np.asarray(labels), even_weights(p.shape[-2]))


accuracy, ece, cwece = map(plain, (metrics.accuracy, metrics.ece, metrics.cwece))
cwece_printed, brier = map(plain, (metrics.cwece_printed, metrics.brier))
smece, ace = map(plain, (metrics.smece, metrics.ace))

# Four samples, three classes. Confidences .70 (right) and .68 (wrong) share the bin (10/15, 11/15];
# .85 (right) and .45 (wrong) lie alone.
PROBABILITIES = np.array(
    [[0.70, 0.20, 0.10], [0.68, 0.30, 0.02], [0.10, 0.85, 0.05], [0.30, 0.25, 0.45]]
)
LABELS = np.array([0, 1, 1, 0])

BY_HAND = {
    "accuracy": 2 / 4,
    "cross_entropy": -(math.log(0.7) + math.log(0.3) + math.log(0.85) + math.log(0.3)) / 4,
    "ece": (abs(1 - (0.70 + 0.68)) + abs(1 - 0.85) + abs(0 - 0.45)) / 4,
    # class 0: {.70, .68} with one hit, {.10} none, {.30} a hit; class 1: .20 and .25 no, .30 and
    # .85 yes, each alone; class 2: {.10} {.02, .05} {.45} and never a hit
    "cwece": ((0.38 + 0.10 + 0.70) + (0.20 + 0.25 + 0.70 + 0.15) + (0.10 + 0.07 + 0.45)) / 4 / 3,
    # true class 0: .70 right, .45 wrong; true class 1: .68 wrong, .85 right; class 2 has no sample
    "cwece_printed": ((0.30 + 0.45) / 2 + (0.68 + 0.15) / 2) / 2,
    "brier": (0.14 + 0.9528 + 0.035 + 0.755) / 4,
    "ace": (0.30 + 0.68 + 0.15 + 0.45) / 4,  # four samples are alone in four of 15 bins
}


WEIGHTS = np.array([0.4, 0.1, 0.2, 0.3])
WEIGHTED = {
    "accuracy": 0.4 + 0.2,
    "cross_entropy": -(0.4 * math.log(0.7) + 0.4 * math.log(0.3) + 0.2 * math.log(0.85)),
    "ece": abs(0.4 * 0.30 - 0.1 * 0.68) + 0.2 * 0.15 + 0.3 * 0.45,
    "cwece": (
        (0.4 * 0.30 - 0.1 * 0.68 + 0.2 * 0.10 + 0.3 * 0.70)
        + (0.4 * 0.20 + 0.1 * 0.70 + 0.2 * 0.15 + 0.3 * 0.25)
        + (0.4 * 0.10 + 0.1 * 0.02 + 0.2 * 0.05 + 0.3 * 0.45)
    )
    / 3,
    "cwece_printed": ((0.4 * 0.30 + 0.3 * 0.45) / 0.7 + (0.1 * 0.68 + 0.2 * 0.15) / 0.3) / 2,
    "brier": 0.4 * 0.14 + 0.1 * 0.9528 + 0.2 * 0.035 + 0.3 * 0.755,
    "ace": 0.4 * 0.30 + 0.1 * 0.68 + 0.2 * 0.15 + 0.3 * 0.45,
}


@pytest.mark.parametrize("weights, expected", [(None, BY_HAND), (WEIGHTS, WEIGHTED)])
def test_worked_example(weights, expected):
    found = measure(expected, np.log(PROBABILITIES), LABELS, weights)
    assert found == pytest.approx(expected, rel=1e-12)


def example(n=80, classes=12, seed=4):
    """Logits with a confidence that occurs twice, labels, and how often each sample is drawn."""
    rng = np.random.default_rng(seed)
    logits, labels = 2 * rng.normal(size=(n, classes)), rng.integers(0, classes, n)
    logits[1] = logits[0]
    return logits, labels, rng.multinomial(n, np.full(n, 1 / n), size=3)


def test_a_sample_of_twice_the_weight_counts_as_two():
    logits, labels, counts = example()
    at_once = measure(NAMES, logits, labels, counts / len(labels))
    for draw, times in enumerate(counts):
        again = measure(NAMES, logits.repeat(times, 0), labels.repeat(times))
        for name in NAMES:
            assert at_once[name][draw] == pytest.approx(again[name], abs=2e-7), name  # of smECE


def test_even_weights_are_those_that_are_equal():
    logits, labels, _ = example(n=49)
    even, equal = (measure(NAMES, logits, labels, w) for w in (None, np.full(49, 1 / 49)))
    for name in NAMES:
        assert equal[name] == pytest.approx(even[name], abs=2e-7), name
    index = equal_mass_index(softmax(logits).max(-1), np.full(49, 1 / 49))
    assert (index == equal_mass_index(softmax(logits).max(-1), even_weights(49))).all()


def test_models_draws_of_labels_and_of_weights_broadcast():
    logits, labels, counts = example()
    models = np.stack([logits, logits / 2])[:, None]
    drawn = np.stack([labels, labels[::-1], np.roll(labels, 1)])
    together = measure(NAMES, models, drawn, counts / len(labels))
    for model, draw in np.ndindex(2, 3):
        own = measure(NAMES, models[model, 0], drawn[draw], counts[draw] / len(labels))
        for name in NAMES:
            assert together[name].shape == (2, 3)
            assert together[name][model, draw] == pytest.approx(own[name], abs=2e-7), name


def test_several_models_at_once_equal_one_by_one():
    rng = np.random.default_rng(2)
    logits, labels = rng.normal(size=(2, 3, 40, 5)), rng.integers(0, 5, 40)
    together = measure(NAMES, logits, labels)
    for i in np.ndindex(2, 3):
        for name, value in measure(NAMES, logits[i], labels).items():
            assert together[name].shape == (2, 3) and together[name][i] == pytest.approx(
                value, rel=1e-12
            )


def test_bin_edges_belong_to_the_lower_bin():
    assert bin_index([0, 1 / 15, 1 / 15 + 1e-12, 0.5, 1]).tolist() == [0, 0, 1, 7, 14]
    assert bin_index(np.arange(1, 16) / 15).tolist() == list(range(15))
    # a miss at 1/15 and a hit at 0 cancel only when both lie in B1 = [0, 1/15]
    assert ece(np.array([[1 / 15, 0], [0, 0]]), np.array([1, 0])) == pytest.approx((1 - 1 / 15) / 2)


def test_cross_entropy_of_an_underflowing_probability_is_finite():
    assert cross_entropy(np.array([[1000.0, 0.0]]), np.array([1])) == 1000
    assert softmax(np.array([[1000.0, 0.0]])).tolist() == [[1, 0]]


def test_a_constant_prediction_has_a_known_error():
    labels = np.repeat([0, 1, 2], [60, 20, 20])
    right = np.tile([0.6, 0.2, 0.2], (100, 1))
    assert ece(right, labels) == pytest.approx(0, abs=1e-12) == cwece(right, labels)
    # the printed variant is no calibration error: within a true class the most probable class is
    # always or never hit
    assert cwece_printed(right, labels) == pytest.approx((0.4 + 0.6 + 0.6) / 3)
    over = np.tile([0.9, 0.05, 0.05], (100, 1))
    assert ece(over, labels) == pytest.approx(0.3)
    assert cwece(over, labels) == pytest.approx((0.3 + 0.15 + 0.15) / 3)
    assert brier(right, labels) == pytest.approx(0.6 * (0.16 + 0.08) + 0.4 * (0.36 + 0.64 + 0.04))


def draw(classes, samples, seed):
    """Return probabilities from a Dirichlet law and labels drawn from these very probabilities."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(classes), samples)
    labels = (rng.random((samples, 1)) > probabilities.cumsum(-1)).sum(-1).clip(max=classes - 1)
    return probabilities, labels


@pytest.mark.parametrize("classes", [2, 4, 10])
def test_calibrated_predictions_have_no_error_beyond_sampling(classes):
    samples = 100_000
    probabilities, labels = draw(classes, samples, classes)
    # in a bin of m samples the gap is a mean of m variables of variance <= 1/4: E sum m/N |gap| <=
    # sqrt(bins / 4N)
    bound = math.sqrt(BINS / 4 / samples)
    assert ece(probabilities, labels) < bound
    assert cwece(probabilities, labels) < bound
    assert accuracy(probabilities, labels) == pytest.approx(
        probabilities.max(-1).mean(), abs=4 * 0.5 / samples**0.5
    )


def test_overconfidence_of_a_known_size_is_found():
    # K = 2, p uniform. The prediction is squeezed towards the corners: (1 + 2p)/3 above one half
    # and 2p/3 below. So the top class is hit with p and predicted with (1 + 2p)/3: mean gap (1 -
    # p)/3 over p in [1/2, 1], which is 1/12.
    probabilities, labels = draw(2, 200_000, 0)
    squeezed = np.where(probabilities > 0.5, (1 + 2 * probabilities) / 3, 2 * probabilities / 3)
    assert ece(squeezed, labels) == pytest.approx(1 / 12, abs=0.004)
    assert cwece(squeezed, labels) == pytest.approx(1 / 12, abs=0.004)


@pytest.mark.parametrize("classes", [2, 7])
def test_ece_agrees_with_torchmetrics(classes):
    import torch
    from torchmetrics.classification import MulticlassCalibrationError

    rng = np.random.default_rng(classes)
    logits, labels = 3 * rng.normal(size=(500, classes)), rng.integers(0, classes, 500)
    metric = MulticlassCalibrationError(num_classes=classes, n_bins=BINS, norm="l1")
    probabilities = softmax(logits)
    expected = metric(torch.tensor(probabilities, dtype=torch.float64), torch.tensor(labels))
    assert ece(probabilities, labels) == pytest.approx(float(expected), rel=1e-5)


def test_the_printed_variant_stops_at_ten_classes(monkeypatch):
    probabilities, labels = draw(12, 3000, 5)
    first_ten = np.mean([ece(probabilities[labels == j], labels[labels == j]) for j in range(10)])
    assert cwece_printed(probabilities, labels) == pytest.approx(first_ten)
    monkeypatch.setattr(metrics, "PRINTED", 12)
    assert cwece_printed(probabilities, labels) != pytest.approx(first_ten)


def test_eq_2_stays_under_its_bound():
    # cwECE <= 2 (1 - mean p_t) / K <= 2 (1 - exp(-CE)) / K; the paper's printed cwECE does not
    for seed in range(5):
        rng = np.random.default_rng(seed)
        logits, labels = rng.normal(scale=4, size=(60, 10)), rng.integers(0, 10, 60)
        assert (
            cwece(softmax(logits), labels)
            <= 2 * (1 - np.exp(-cross_entropy(logits, labels))) / 10 + 1e-12
        )


def test_bins_of_equal_mass_hold_equally_many_and_do_not_part_equals():
    def index(confidence):
        return equal_mass_index(confidence, even_weights(len(confidence)))

    confidence = np.random.default_rng(0).permutation(np.linspace(0.2, 0.9, 45))
    assert (np.bincount(index(confidence)) == 3).all()
    assert (np.diff(index(confidence)[confidence.argsort()]) >= 0).all()
    assert index(np.array([0.9, 0.5, 0.9, 0.5])).tolist() == [7, 0, 7, 0]  # 2 of 4 are less sure
    assert set(index(np.full(30, 0.7))) == {0}
    # a hit and a miss of one confidence cancel, in whatever order they come
    p, labels = np.array([[0.5, 0.3, 0.2]] * 4), np.array([0, 1, 0, 1])
    assert ace(p, labels) == pytest.approx(0) == ace(p, labels[::-1])


# seed, samples, sharpness of the true law: by the authors' package `relplot`, whose search for the
# bandwidth was given 25 steps instead of 10
PUBLISHED = {
    (1, 300, 1): 0.0322897,
    (2, 2000, 1): 0.0216204,
    (3, 60, 1.6): 0.1073025,
    (4, 300, 0.4): 0.1894612,
    (5, 2000, 1): 0.0276418,
}


@pytest.mark.parametrize("seed, samples, sharpness", PUBLISHED)
def test_smooth_ece_is_that_of_its_authors_and_of_its_definition(seed, samples, sharpness):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(samples, 4))
    labels = (sharpness * logits + rng.gumbel(size=logits.shape)).argmax(1)
    p = softmax(logits)
    value = float(smece(p, labels))
    assert value == pytest.approx(PUBLISHED[seed, samples, sharpness], abs=5e-4)
    t, confidence = (np.arange(600) + 0.5) / 600, p.max(1)
    images = [centre + side * confidence for centre in (-2, 0, 2) for side in (-1, 1)]
    kernel = sum(np.exp(-(((t[:, None] - at) / value) ** 2) / 2) for at in images)
    smoothed = kernel @ ((p.argmax(1) == labels) - confidence) / samples
    error = np.abs(smoothed).mean() / (value * math.sqrt(2 * math.pi))
    assert error == pytest.approx(value, rel=0.005)  # the fixed point


def test_smooth_ece_of_known_answers():
    right = np.tile([0.6, 0.4], (100, 1))
    assert smece(right, np.repeat([0, 1], [60, 40])) == pytest.approx(0, abs=1e-6)
    # all gaps of one sign: no smoothing changes their sum
    assert smece(right, np.zeros(100, int)) == pytest.approx(0.4)
