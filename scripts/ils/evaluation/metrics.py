"""Calibration and accuracy metrics, vectorised over leading dimensions.

Probabilities are (..., N, K): any number of models, N samples, K classes; labels are (N,) or
(..., N). Every metric returns (...). All arithmetic is float64. Lower is better except for
accuracy.
"""

import math

import numpy as np
from scipy.fft import dct

from ils.probabilities import cross_entropy, softmax, true_class

BINS = 15  # Roelofs et al., as used throughout the paper
PRINTED = 10  # how many classes the authors' code of cwECE looks at
MESH = 256  # intervals of [0, 1] on which smECE is computed; with 512 it differs by some 1e-5
FREQUENCIES = math.pi * np.arange(MESH + 1)


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of samples whose most probable class (the first of equals) is the label, in [0, 1]."""
    return (probabilities.argmax(-1) == labels).mean(-1)


def brier(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over samples of sum_j (p_j - y_j)^2, in [0, 2]."""
    return ((probabilities**2).sum(-1) - 2 * true_class(probabilities, labels) + 1).mean(-1)


def bin_index(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the 0-based bin of each confidence: B1 = [0, 1/bins], Bn = ((n-1)/bins, n/bins]."""
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(np.int64) - 1, 0, bins - 1)


def bin_gaps(confidence: np.ndarray, hit: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return (..., bins): sum of `hit` minus sum of `confidence` of the samples in each bin.

    Both are (..., N).
    """
    return sums(bin_index(confidence, bins), hit - np.asarray(confidence), bins)


def sums(places: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Return (..., size): the sum of the `values` at each place; both are (..., N)."""
    places, values = np.broadcast_arrays(places, values)
    rows = places.reshape(-1, places.shape[-1])
    cells = rows + size * np.arange(len(rows))[:, None]
    total = np.bincount(cells.ravel(), values.ravel(), minlength=size * len(rows))
    return total.reshape(*places.shape[:-1], size)


def ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Confidence-ECE, Eq. 1: sum_n |B_n|/N |accuracy(B_n) - confidence(B_n)|.

    Confidence is the probability of the most probable class.
    """
    confidence, hit = probabilities.max(-1), probabilities.argmax(-1) == labels
    return np.abs(bin_gaps(confidence, hit, bins)).sum(-1) / confidence.shape[-1]


def equal_mass_index(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the 0-based bin of each confidence (..., N), of about equally many samples each.

    The sample of rank r, the least sure being 0, is in bin floor(bins r / N). Equal confidences
    share the lowest of their ranks, so that their order does not matter.
    """
    order = confidence.argsort(-1)
    ascending = np.take_along_axis(confidence, order, -1)
    ranks = np.arange(confidence.shape[-1])
    larger = np.diff(ascending, axis=-1, prepend=-1.0) > 0
    lowest = np.maximum.accumulate(np.where(larger, ranks, 0), -1)
    index = np.empty_like(order)
    np.put_along_axis(index, order, lowest * bins // len(ranks), -1)
    return index


def ace(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Adaptive ECE: Eq. 1 in bins of equally many samples instead of equal width.

    Nguyen & O'Connor 2015, section 3; of the most probable class as in Mukhoti et al. 2020.
    """
    confidence, hit = probabilities.max(-1), probabilities.argmax(-1) == labels
    gaps = sums(equal_mass_index(confidence, bins), hit - confidence, bins)
    return np.abs(gaps).sum(-1) / confidence.shape[-1]


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


def smece(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Smooth ECE of the most probable class: Blasiok & Nakkiran 2023, section 3.

    The differences of hit and confidence, each with weight 1/N where its confidence lies, are
    smoothed by `smooth`; the error is the integral of their absolute value, at the bandwidth that
    equals it. There are no bins whose edges could decide.
    """
    confidence, hit = probabilities.max(-1), probabilities.argmax(-1) == labels
    return smooth_error(mesh_of(confidence, (hit - confidence) / confidence.shape[-1]))


def cwece(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Classwise-ECE, Eq. 2: the mean over classes j of sum_n |B_nj|/N |actual - predicted|(B_nj).

    B_nj holds the samples whose probability of class j is in bin n: `predicted` is its mean,
    `actual` the share of samples of class j.
    """
    classes = range(probabilities.shape[-1])
    gaps = [np.abs(bin_gaps(probabilities[..., j], labels == j, bins)).sum(-1) for j in classes]
    return np.mean(gaps, axis=0) / probabilities.shape[-2]


def cwece_printed(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, classes: int = PRINTED
) -> np.ndarray:
    """What the paper's tables print as cwECE: Eq. 1 within each true class, averaged over classes.

    Confidence is the highest probability, accuracy the share predicted as the class. The authors'
    code stops at the first 10 classes, CIFAR100 included; `classes` says where to stop. Classes
    without samples are left out. Raises ValueError unless labels are (N,).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError("cwece_printed needs one label vector (N,) for all models")
    present = [j for j in range(min(classes, probabilities.shape[-1])) if (labels == j).any()]
    return np.mean(
        [ece(probabilities[..., labels == j, :], labels[labels == j], bins) for j in present],
        axis=0,
    )


def all_metrics(logits: np.ndarray, labels: np.ndarray, bins: int = BINS) -> dict[str, np.ndarray]:
    """Return every metric of logits (..., N, K) by its column name in results/metrics.csv."""
    probabilities = softmax(logits)
    return {
        "accuracy": accuracy(probabilities, labels),
        "cross_entropy": cross_entropy(logits, labels),
        "ece": ece(probabilities, labels, bins),
        "cwece": cwece(probabilities, labels, bins),
        "cwece_printed": cwece_printed(probabilities, labels, bins),
        "brier": brier(probabilities, labels),
        "smece": smece(probabilities, labels),
        "ace": ace(probabilities, labels, bins),
    }
