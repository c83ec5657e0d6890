"""Bootstrap standard errors and intervals of every metric: the test samples are drawn again, with replacement.

Every draw counts how often each sample is in it, weights (draws, N), so that a metric of all draws is a matrix product.
The same draws serve all methods of a cell.
"""

import numpy as np
from ils.evaluation.metrics import BINS, bin_index
from ils.evaluation.probabilities import log_softmax, true_class


def weights(n, draws, seed=0):
    """Return how often each of n samples is drawn, (draws, n)."""
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n))
    return np.stack([np.bincount(row, minlength=n) for row in drawn]).astype(np.float64)


def gaps(weights, values, bins):
    """Sum over bins of |weighted sum of `values` in the bin|, (draws,); values, bins (N,)."""
    placed = np.zeros((len(values), BINS))
    placed[np.arange(len(values)), bins] = values
    return np.abs(weights @ placed).sum(1)


def metrics(logits, labels, weights):
    """Return {name: (draws,)} of the metrics of `metrics.all_metrics` for every row of `weights`; logits (N, K)."""
    log_p = log_softmax(logits)
    p = np.exp(log_p)
    n, classes = weights.sum(1), range(p.shape[1])
    confidence, hit = p.max(-1), p.argmax(-1) == labels
    bins = bin_index(confidence)
    brier = (p**2).sum(-1) - 2 * true_class(p, labels) + 1
    classwise = [gaps(weights, (labels == j) - p[:, j], bin_index(p[:, j])) for j in classes]
    within = []
    for rows in (np.flatnonzero(labels == j) for j in classes[:10]):
        drawn = weights[:, rows].sum(1)
        among = gaps(weights[:, rows], (hit - confidence)[rows], bins[rows])
        within.append(np.divide(among, drawn, out=np.full(len(n), np.nan), where=drawn > 0))
    return {
        "accuracy": weights @ hit / n,
        "cross_entropy": weights @ -true_class(log_p, labels) / n,
        "ece": gaps(weights, hit - confidence, bins) / n,
        "cwece": np.sum(classwise, axis=0) / n / p.shape[1],
        "cwece_printed": np.nanmean(within, axis=0),
        "brier": weights @ brier / n,
    }


def interval(value, draws):
    """Return (standard error, low, high): the spread of the draws, and the pivotal 95 % interval, not below 0.

    Drawing again adds noise, which only ever raises a calibration error; the pivotal interval takes that off.
    """
    low, high = 2 * value - np.quantile(draws, (0.975, 0.025))
    return draws.std(ddof=1), max(low, 0.0), max(high, 0.0)
