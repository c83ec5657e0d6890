"""Calibration and accuracy metrics, vectorised over leading dimensions.

A metric is a function under `@metric` in any file of this folder. Its parameters name what it looks
at: `probabilities` or `log_probabilities` (..., N, K) of any number of models, N samples, K
classes; `labels` (N,) or (..., N); `weights` (N,) or (..., N), which add up to 1, 1/N each for the
plain metric. A sample of weight 2/N counts as two. Leading dimensions broadcast, so that many
models, draws of labels or draws of weights are one call, and the metric returns (...): finite
numbers from 0 on, for any weights. All arithmetic is float64.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.fft import dct

from ils.probabilities import true_class

BINS = 15  # Roelofs et al., as used throughout the paper
PRINTED = 10  # how many classes the authors' code of cwECE looks at
MESH = 256  # intervals of [0, 1] on which smECE is computed; with 512 it differs by some 1e-5
FREQUENCIES = math.pi * np.arange(MESH + 1)


def metric(**about: Any) -> Callable[[Callable], Callable]:
    """Mark a function as one that the config may name as a metric.

    The keywords, plain values, are the fields of `ils.plan.metrics.Metric`: `title` and `rope` are
    needed, `short`, `digits`, `higher_is_better`, `factor`, `unit`, `mean_over_classes`,
    `calibration` and `highest` may follow. They are read off the source.
    """
    return lambda function: function


def even_weights(n: int) -> np.ndarray:
    """Return the weights (n,) of the plain metric, one number that stands for all."""
    return np.broadcast_to(1 / n, (n,))


def are_even(weights: np.ndarray) -> bool:
    """Whether weights are those of `even_weights`, with which no product is needed."""
    return weights.strides == (0,)


def counted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the values times what they weigh, of `total(weights)`; both are (..., N)."""
    return values if are_even(weights) else values * weights


def total(weights: np.ndarray) -> int:
    """Return what all weights add up to in `counted`: N of even ones, which count as 1, else 1."""
    return weights.shape[-1] if are_even(weights) else 1


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean over samples, (...); both are (..., N)."""
    return counted(values, weights).sum(-1) / total(weights)


def binned(places: np.ndarray, gaps: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return sum_b |sum of the counted gaps in bin b|, (...); all are (..., N), BINS bins."""
    return np.abs(sums(places, counted(gaps, weights), BINS)).sum(-1)


@metric(
    title="accuracy",
    factor=100,
    unit="points",
    digits=2,
    rope=0.005,
    higher_is_better=True,
    highest=1,
)
def accuracy(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of samples whose most probable class (the first of equals) is the label, in [0, 1]."""
    return mean(probabilities.argmax(-1) == labels, weights)


@metric(title="cross-entropy", short="CE", unit="nats", rope=0.01)
def cross_entropy(
    log_probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Mean -log p_t in nats; finite though a probability underflows to 0."""
    return -mean(true_class(log_probabilities, labels), weights)


def bin_index(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the 0-based bin of each confidence: B1 = [0, 1/bins], Bn = ((n-1)/bins, n/bins]."""
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(np.int64) - 1, 0, bins - 1)


def sums(places: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Return (..., size): the sum of the `values` at each place; both are (..., N)."""
    places, values = np.broadcast_arrays(places, values)
    rows = places.reshape(-1, places.shape[-1])
    cells = rows + size * np.arange(len(rows))[:, None]
    total = np.bincount(cells.ravel(), values.ravel(), minlength=size * len(rows))
    return total.reshape(*places.shape[:-1], size)


def top_gaps(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence, the highest probability, and hit less confidence, (..., N) each."""
    confidence = probabilities.max(-1)
    return confidence, (probabilities.argmax(-1) == labels) - confidence


@metric(title="ECE", rope=0.005, calibration=True, highest=1)
def ece(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Confidence-ECE, Eq. 1: sum_n |B_n|/N |accuracy(B_n) - confidence(B_n)|.

    Confidence is the probability of the most probable class.
    """
    confidence, gaps = top_gaps(probabilities, labels)
    return binned(bin_index(confidence), gaps, weights) / total(weights)


@metric(
    title="cwECE (Eq. 2)",
    short="cwECE",
    rope=0.01,
    mean_over_classes=True,
    calibration=True,
    highest=1,
)
def cwece(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Classwise-ECE, Eq. 2: the mean over classes j of sum_n |B_nj|/N |actual - predicted|(B_nj).

    B_nj holds the samples whose probability of class j is in bin n: `predicted` is its mean,
    `actual` the share of samples of class j.
    """
    by_class = np.moveaxis(probabilities, -1, 0)
    errors = [binned(bin_index(p), (labels == j) - p, weights) for j, p in enumerate(by_class)]
    return np.mean(errors, axis=0) / total(weights)


@metric(title="cwECE (as printed)", short="cwECE*", rope=0.005, calibration=True, highest=1)
def cwece_printed(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the paper's tables print as cwECE: Eq. 1 within each true class, averaged over classes.

    Confidence is the highest probability, accuracy the share predicted as the class. The authors'
    code stops at the first PRINTED classes, CIFAR100 included. Classes without weight are left out.
    """
    classes = probabilities.shape[-1]
    confidence, gaps = top_gaps(probabilities, labels)
    within = labels * BINS + bin_index(confidence)
    errors = np.abs(sums(within, counted(gaps, weights), classes * BINS))
    errors = errors.reshape(*errors.shape[:-1], classes, BINS).sum(-1)[..., :PRINTED]
    size = sums(labels, counted(np.ones(weights.shape), weights), classes)[..., :PRINTED]
    present = size > 0
    return (errors / np.where(present, size, 1)).sum(-1) / present.sum(-1)


@metric(title="Brier score", short="Brier", rope=0.005, highest=2)
def brier(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over samples of sum_j (p_j - y_j)^2, in [0, 2]."""
    return mean((probabilities**2).sum(-1) - 2 * true_class(probabilities, labels) + 1, weights)


def on_mesh(confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mesh point at or below each confidence and how far it is to the next, 0 to 1."""
    below = np.minimum((confidence * MESH).astype(np.int64), MESH - 1)
    return below, confidence * MESH - below


def mesh_of(confidence: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (..., MESH + 1): the values (..., N), split between the mesh points around each."""
    below, share = on_mesh(confidence)
    first, second = (1 - share) * values, share * values
    return sums(below, first, MESH + 1) + sums(below + 1, second, MESH + 1)


def smooth(masses: np.ndarray, bandwidth: float | np.ndarray) -> np.ndarray:
    """Return the density (..., MESH + 1) on the mesh of point masses there.

    The kernel is the Gaussian of this standard deviation, reflected at 0 and 1. In cosines, which
    reflect themselves, smoothing multiplies the one of frequency w by exp(-w^2 bandwidth^2 / 2).
    """
    return dct(spectrum(masses) * np.exp(-((FREQUENCIES * bandwidth) ** 2) / 2), type=1)


def spectrum(masses: np.ndarray) -> np.ndarray:
    """Return sum_t masses_t cos(w t), (..., MESH + 1), of all frequencies w."""
    halves = masses / 2
    halves[..., [0, -1]] *= 2  # the transform counts the inner points twice
    return dct(halves, type=1)


def mean_on_mesh(values: np.ndarray) -> np.ndarray:
    """Integral over [0, 1] of values (..., MESH + 1) by the trapezoidal rule."""
    return (values.sum(-1) - (values[..., 0] + values[..., -1]) / 2) / MESH


def smooth_error(masses: np.ndarray, tolerance: float = 1e-7) -> np.ndarray:
    """Return the s at which the integral of |smooth(masses, s)| is s, (...).

    masses: (..., MESH + 1), whose precision decides that of the arithmetic. The integral falls as s
    grows, so Newton's steps in a bracket find it.
    """
    waves = spectrum(masses).reshape(-1, MESH + 1)
    frequencies, models = FREQUENCIES.astype(waves.dtype), np.arange(len(waves))
    result, low, high, s = (np.full(len(waves), start, waves.dtype) for start in (0, 0, 1, 0.05))
    while len(models):
        density = dct(waves[models] * np.exp(-((frequencies * s[:, None]) ** 2) / 2), type=1)
        excess = mean_on_mesh(np.abs(density)) - s
        # d density / ds = s density'' (heat equation): summed by parts, only changes of sign count
        turns = np.diff(np.sign(density), axis=-1) * np.diff(density, axis=-1)
        following = s + excess / (1 + s * MESH * turns.sum(-1))
        low, high = np.where(excess > 0, s, low), np.where(excess > 0, high, s)
        inside = (following >= low) & (following <= high)
        s = np.where(inside, following, (low + high) / 2)
        result[models] = s
        going = np.abs(excess) > tolerance
        models, low, high, s = models[going], low[going], high[going], s[going]
    return result.reshape(masses.shape[:-1])


@metric(title="smECE", rope=0.005, calibration=True, highest=1)
def smece(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Smooth ECE of the most probable class: Blasiok & Nakkiran 2023, section 3.

    The differences of hit and confidence, each with its weight where its confidence lies, are
    smoothed by `smooth`; the error is the integral of their absolute value, at the bandwidth that
    equals it. There are no bins whose edges could decide.
    """
    confidence, gaps = top_gaps(probabilities, labels)
    return smooth_error(mesh_of(confidence, counted(gaps, weights) / total(weights)))


def equal_mass_index(confidence: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the 0-based bin of each confidence (..., N), of about equally much weight each.

    A sample is in bin floor(BINS w), w being the weight of all that are less sure: of even weights
    floor(BINS r / N) for the sample of rank r. Equal confidences share a bin, so that their order
    does not matter.
    """
    order = confidence.argsort(-1)
    ascending, by_order = np.take_along_axis(confidence, order, -1), weights
    if not are_even(weights):
        order, by_order = np.broadcast_arrays(order, weights)
        by_order = np.take_along_axis(by_order, order, -1)
    larger = np.diff(ascending, axis=-1, prepend=-1.0) > 0
    less_sure = np.where(larger, by_order.cumsum(-1) - by_order, 0)
    lowest = np.maximum.accumulate(less_sure, -1)
    index = np.empty(order.shape, np.int64)
    # a sum of weights at an edge is off by its last digits
    bins = np.floor(lowest * BINS + 1e-9).clip(max=BINS - 1).astype(np.int64)
    np.put_along_axis(index, order, bins, -1)
    return index


@metric(title="adaptive ECE", short="ACE", rope=0.005, calibration=True, highest=1)
def ace(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Adaptive ECE: Eq. 1 in bins of equally many samples instead of equal width.

    Nguyen & O'Connor 2015, section 3; of the most probable class as in Mukhoti et al. 2020.
    """
    confidence, gaps = top_gaps(probabilities, labels)
    return binned(equal_mass_index(confidence, weights), gaps, weights) / total(weights)
