"""Isotonic regression of each class's probability."""

import numpy as np
from scipy.optimize import isotonic_regression

from ils.evaluation.calibrators import calibrator, each_model
from ils.probabilities import softmax


def steps(scores: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct scores (N,), ascending, and the means of hits that never fall along them and are
    the nearest to `hits` (N,) by squared error; equal scores count together."""
    distinct, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(places, hits) / counts
    return distinct, isotonic_regression(means, weights=counts).x


@calibrator
@each_model
def isotonic(logits, labels):
    """One class against the others by isotonic regression of its probability, Zadrozny & Elkan
    2002; the classes' results are divided by their sum, as by Guo et al. 2017.

    Where all samples of low scores miss, the fit is 0, and one later hit makes the cross-entropy
    infinite. Benchmarks clip it at about rounding error, so that such a sample counts 36 nats or
    more. Here Laplace's rule of succession smooths it: to each class's samples come a hit at
    probability 0 and a miss at probability 1. A lowest step that holds n misses is then 1 / (n + 1)
    and no fit is 0 or 1, while it stays monotone.
    """
    ends = np.array([0.0, 1.0])
    fits = [
        steps(np.append(p, ends), np.append(labels == k, 1 - ends))
        for k, p in enumerate(softmax(logits).T)
    ]

    def calibrated(z):
        p = np.stack([np.interp(own, *fit) for own, fit in zip(softmax(z).T, fits)], axis=-1)
        return np.log(p / p.sum(-1, keepdims=True))

    return calibrated
