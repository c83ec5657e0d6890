"""What a search of few points of a grid would have reached, exactly: who searches more finds the
better by chance.

Of G points the one with the i-th lowest validation cross-entropy is the best of n that are drawn
without replacement with probability C(G - i, n - 1) / C(G, n). So what n trainings reach in the
mean is a weighted mean of what all G points reach.
"""

from collections.abc import Sequence

import numpy as np


def weights(points: int, drawn: int) -> np.ndarray:
    """The probabilities (G,) that the i-th best of G `points` is the best of n `drawn` ones.

    They follow from each other, w_1 = n / G and w_(i+1) = w_i (G - i - n + 1) / (G - i): no large
    number is divided by another.
    """
    left = points - np.arange(1, points)
    ratios = np.maximum(left - drawn + 1, 0) / left
    return drawn / points * np.cumprod([1, *ratios])


def expected(
    validation_ce: np.ndarray, values: np.ndarray, drawn: Sequence[int] | np.ndarray
) -> np.ndarray:
    """What the best of n drawn points reaches in the mean, (..., len(drawn)).

    validation_ce, values (..., G): what points are judged by, lower is better, and what they reach;
    drawn: the numbers n. Of equal points the first in the grid is the better, as in a selection. A
    point without a cross-entropy (NaN: it diverged) is never the best; draws of no other points do
    not count. NaN where all diverged.
    """
    order = np.argsort(validation_ce, axis=-1, kind="stable")  # NaN last
    trained = np.isfinite(np.take_along_axis(validation_ce, order, -1))
    ordered = np.where(trained, np.take_along_axis(values, order, -1), 0)
    share = np.stack([weights(validation_ce.shape[-1], n) for n in drawn])
    found = trained.astype(float) @ share.T
    reached = np.full(found.shape, np.nan)
    return np.divide(ordered @ share.T, found, out=reached, where=found > 0)


def steps(points: int) -> list[int]:
    """Numbers of drawn points from 1 to all, each about the square root of 2 times the last."""
    most = 2 * (points - 1).bit_length()
    return sorted(
        {round(2 ** (half / 2)) for half in range(most)} & set(range(1, points)) | {points}
    )
