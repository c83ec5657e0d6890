"""The noise of the metrics of `metrics` by formulas of their own, faster than the general way.

`noise` asks here first, by name: `influences` for standard errors, `drawn_errors` for calibration
errors of labels drawn from the predictions. What a metric of one's own has is computed from its
function alone, and the tests hold both ways to each other.
"""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from ils.evaluation.metrics import (
    BINS,
    MESH,
    PRINTED,
    bin_index,
    equal_mass_index,
    even_weights,
    mesh_of,
    on_mesh,
    smece,
    smooth,
    smooth_error,
    sums,
)
from ils.probabilities import log_softmax, true_class


def bounds_of(probabilities: np.ndarray) -> np.ndarray:
    """Return (K + 1, N): a uniform number from bound j up to bound j + 1 gives a sample label j."""
    bounds = np.zeros((probabilities.shape[1] + 1, len(probabilities)), np.float32)
    bounds[1:] = probabilities.cumsum(-1).T
    bounds[-1] = np.inf  # what rounding leaves is the last class's
    return bounds


def within_bounds(uniform: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return 1 where low <= uniform < high, else 0, as float32, in which counts are exact."""
    return ((uniform >= low) & (uniform < high)).astype(np.float32)


def places(index: np.ndarray, size: int = BINS) -> np.ndarray:
    """Return the (N, size) matrix with a 1 in each row, where `index` (N,) says."""
    return (index[:, None] == np.arange(size)).astype(np.float32)


def drawn_classes(probabilities: np.ndarray, uniform: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each class 1 where a sample's drawn label is that class, else 0, (draws, N).

    probabilities (N, K): the laws of the labels; uniform (draws, N).
    """
    bounds = bounds_of(probabilities)
    for j in range(len(bounds) - 1):
        yield within_bounds(uniform, bounds[j], bounds[j + 1])


def drawn_hits(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return 1 where a sample's drawn label is its most probable class, else 0, (draws, N)."""
    bounds, predicted = bounds_of(probabilities), probabilities.argmax(-1)
    samples = np.arange(len(predicted))
    return within_bounds(uniform, bounds[predicted, samples], bounds[predicted + 1, samples])


def drawn_errors(probabilities: np.ndarray, uniform: np.ndarray) -> dict[str, np.ndarray]:
    """Return the calibration errors that labels drawn from the predictions have, {name: (draws,)}.

    probabilities (N, K), uniform (draws, N): see `noise.uniforms`.
    """
    n, classes = probabilities.shape
    confidence, predicted = probabilities.max(-1), probabilities.argmax(-1)
    top = places(bin_index(confidence))
    classwise, by_class = np.zeros(len(uniform)), []
    for j, members in enumerate(drawn_classes(probabilities, uniform)):
        p, index = probabilities[:, j], bin_index(probabilities[:, j])
        within = top * ((predicted == j) - confidence)[:, None]
        both = members @ np.hstack([places(index), within.astype(np.float32)])
        classwise += np.abs(both[:, :BINS] - sums(index, p, BINS)).sum(-1)
        if j < PRINTED:
            count = members.sum(-1)
            by_class.append(np.abs(both[:, BINS:]).sum(-1) / np.where(count, count, np.nan))
    hit = drawn_hits(probabilities, uniform)
    by_mass = places(equal_mass_index(confidence, even_weights(n)))
    masses = on_mesh_matrix(confidence) @ (hit - confidence.astype(np.float32)).T
    return {
        "ece": np.abs(hit @ top - confidence @ top).sum(-1) / n,
        "cwece": classwise / n / classes,
        "cwece_printed": np.nanmean(by_class, axis=0),
        "smece": smooth_error(masses.T / n, tolerance=1e-3),
        "ace": np.abs(hit @ by_mass - confidence @ by_mass).sum(-1) / n,
    }


def on_mesh_matrix(confidence: np.ndarray) -> csr_array:
    """Return the sparse (MESH + 1, N) matrix that splits values as `metrics.mesh_of` does."""
    (below, share), samples = on_mesh(confidence), np.arange(len(confidence))
    shares = np.concatenate([1 - share, share]).astype(np.float32)
    where = np.concatenate([below, below + 1]), np.tile(samples, 2)
    return csr_array((shares, where), shape=(MESH + 1, len(confidence)))


def printed_noise(probabilities: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Return what noise adds to cwece_printed at most, (draws,).

    Within a true class a bin has a gap even if the predictions (N, K) are calibrated, and which
    samples are of the class is chance: so samples are drawn again with their labels, and the noise
    is what is left of the gaps without their means. Drawn are the counts of hits and of misses in
    each bin and class.
    """
    of_class, confidence = probabilities[:, :PRINTED], probabilities.max(-1)
    n, classes = of_class.shape
    top = places(bin_index(confidence)).T
    right = probabilities.argmax(-1)[:, None] == np.arange(classes)
    gaps, laws = right - confidence[:, None], (of_class * right, of_class * ~right)
    share = np.stack([top @ law for law in laws]) / n  # (hits and misses, bins, classes)
    total = np.stack([top @ (law * gaps) for law in laws]) / n
    gap, expected = total / np.where(share, share, 1), total.sum(0) / share.sum((0, 1))
    rest = max(0.0, 1 - share.sum())
    counts = np.random.default_rng(seed).multinomial(n, [*share.ravel(), rest], size=draws)
    counts = counts[:, :-1].reshape(draws, *share.shape)
    size = counts.sum((1, 2))[:, None]
    noise = (counts * gap).sum(1) / np.where(size, size, np.nan) - expected
    return np.nanmean(np.abs(noise).sum(1), axis=-1)


OWN_NOISE = {"cwece_printed": printed_noise}  # of what is not 0 for calibrated predictions


def signed(gaps: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the gaps (N,) with the sign of their bin's sum: the mean of that is the error."""
    return gaps * np.sign(sums(index, gaps, int(index.max()) + 1))[index]


def influences(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return how each sample moves each metric of `metrics`, {name: (N,)}.

    logits (N, K), labels (N,). Up to a constant, it is N times what the metric changes by when the
    sample is 1/N more of the data, bins and bandwidth held: their spread over samples is that of
    the metric over test sets, times the root of N. Where gaps are nothing but noise it is more.
    """
    log_p = log_softmax(logits)
    p = np.exp(log_p)
    n, classes = p.shape
    confidence, hit = p.max(-1), p.argmax(-1) == labels
    gaps, top = hit - confidence, bin_index(confidence)
    classwise = [signed((labels == j) - p[:, j], bin_index(p[:, j])) for j in range(classes)]

    size = np.bincount(labels, minlength=classes)
    within = signed(gaps, labels * BINS + top)
    error = sums(labels, within, classes) / np.maximum(size, 1)
    present = np.count_nonzero(size[:PRINTED])
    printed = np.where(labels < PRINTED, (within - error[labels]) * n / size[labels], 0)

    below, share = on_mesh(confidence)
    bandwidth = smece(p, labels, even_weights(n))
    signs = np.sign(smooth(mesh_of(confidence, gaps), bandwidth))
    signs[[0, -1]] /= 2  # as in `metrics.mean_on_mesh`
    weight = smooth(signs / MESH, bandwidth)
    return {
        "accuracy": hit.astype(float),
        "cross_entropy": -true_class(log_p, labels),
        "ece": signed(gaps, top),
        "cwece": np.mean(classwise, axis=0),
        "cwece_printed": printed / present,
        "brier": (p**2).sum(-1) - 2 * true_class(p, labels) + 1,
        "smece": gaps * ((1 - share) * weight[below] + share * weight[below + 1]),
        "ace": signed(gaps, equal_mass_index(confidence, even_weights(n))),
    }
