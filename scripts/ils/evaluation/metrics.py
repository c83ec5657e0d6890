"""Calibration and accuracy metrics, vectorised over leading dimensions.

Probabilities are (..., N, K): any number of models, N samples, K classes; labels are (N,) or
(..., N). Every metric returns (...). All arithmetic is float64. Lower is better except for
accuracy.
"""

import numpy as np

from ils.probabilities import cross_entropy, softmax, true_class

BINS = 15  # Roelofs et al., as used throughout the paper


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
    confidence, hit = np.broadcast_arrays(confidence, hit)
    rows = confidence.reshape(-1, confidence.shape[-1])
    cells = bin_index(rows, bins) + bins * np.arange(len(rows))[:, None]
    gaps = np.bincount(
        cells.ravel(), (hit.reshape(rows.shape) - rows).ravel(), minlength=bins * len(rows)
    )
    return gaps.reshape(*confidence.shape[:-1], bins)


def ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Confidence-ECE, Eq. 1: sum_n |B_n|/N |accuracy(B_n) - confidence(B_n)|.

    Confidence is the probability of the most probable class.
    """
    confidence, hit = probabilities.max(-1), probabilities.argmax(-1) == labels
    return np.abs(bin_gaps(confidence, hit, bins)).sum(-1) / confidence.shape[-1]


def cwece(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Classwise-ECE, Eq. 2: the mean over classes j of sum_n |B_nj|/N |actual - predicted|(B_nj).

    B_nj holds the samples whose probability of class j is in bin n: `predicted` is its mean,
    `actual` the share of samples of class j.
    """
    classes = range(probabilities.shape[-1])
    gaps = [np.abs(bin_gaps(probabilities[..., j], labels == j, bins)).sum(-1) for j in classes]
    return np.mean(gaps, axis=0) / probabilities.shape[-2]


def cwece_printed(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS, classes: int = 10
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
    }
