"""Bootstrap standard errors and intervals of every metric: the test samples are drawn again.

They are drawn with replacement. Every draw counts how often each sample is in it, weights
(draws, N), so that a metric of all draws is a matrix product. The same draws serve all methods of
a cell.
"""

import numpy as np

from ils.evaluation.metrics import BINS, bin_index
from ils.probabilities import log_softmax, true_class


def weights(n: int, draws: int, seed: int = 0) -> np.ndarray:
    """Return how often each of n samples is drawn, (draws, n)."""
    samples = np.random.default_rng(seed).integers(n, size=(draws, n))
    return np.stack([np.bincount(draw, minlength=n) for draw in samples]).astype(np.float64)


def gaps(weights: np.ndarray, values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Sum over bins of |weighted sum of `values` in the bin|, (draws,); values, bins (N,)."""
    by_bin = np.zeros((len(values), BINS))
    by_bin[np.arange(len(values)), bins] = values
    return np.abs(weights @ by_bin).sum(1)


def metrics(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return {name: (draws,)} of the metrics of `metrics.all_metrics`, a value a row of `weights`.

    logits (N, K), labels (N,), weights (draws, N).
    """
    log_p = log_softmax(logits)
    p = np.exp(log_p)
    n, classes = weights.sum(1), range(p.shape[1])
    confidence, hit = p.max(-1), p.argmax(-1) == labels
    bins = bin_index(confidence)
    brier = (p**2).sum(-1) - 2 * true_class(p, labels) + 1
    classwise = [gaps(weights, (labels == j) - p[:, j], bin_index(p[:, j])) for j in classes]
    within = []
    for members in (np.flatnonzero(labels == j) for j in classes[:10]):
        count = weights[:, members].sum(1)
        gap = gaps(weights[:, members], (hit - confidence)[members], bins[members])
        within.append(np.divide(gap, count, out=np.full(len(n), np.nan), where=count > 0))
    return {
        "accuracy": weights @ hit / n,
        "cross_entropy": weights @ -true_class(log_p, labels) / n,
        "ece": gaps(weights, hit - confidence, bins) / n,
        "cwece": np.sum(classwise, axis=0) / n / p.shape[1],
        "cwece_printed": np.nanmean(within, axis=0),
        "brier": weights @ brier / n,
    }


def interval(value: float, draws: np.ndarray) -> tuple[float, float, float]:
    """Return (standard error, low, high): the spread of the draws, and the pivotal 95 % interval.

    The interval does not go below 0. Drawing again adds noise, which only ever raises a
    calibration error; the pivotal interval takes that off.
    """
    low, high = 2 * value - np.quantile(draws, (0.975, 0.025))
    return draws.std(ddof=1), max(low, 0.0), max(high, 0.0)
