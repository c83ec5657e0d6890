"""What a reliability diagram shows of Eq. 1 and Eq. 2: each bin's predictions.

That is how many there are, how sure, and how often right.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ils.evaluation.analytic import drawn_classes, drawn_hits, places
from ils.evaluation.calibration import p_of
from ils.evaluation.metrics import BINS, bin_index


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums over the predictions in each bin, all (..., bins).

    `count` is their number, `probability_sum` adds up their probabilities, `hit_sum` counts those
    that came true.
    """

    count: np.ndarray
    probability_sum: np.ndarray
    hit_sum: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """Mean probability in each bin; NaN in an empty one."""
        return self.probability_sum / np.where(self.count, self.count, np.nan)

    @property
    def actual(self) -> np.ndarray:
        """Share of the predictions in each bin that came true; NaN in an empty one."""
        return self.hit_sum / np.where(self.count, self.count, np.nan)

    @property
    def error(self) -> float:
        """Eq. 1 of confidence bins, Eq. 2 of classwise bins.

        It is sum_n |B_n|/N |actual - predicted|, the mean over rows.
        """
        return float(
            (np.abs(self.hit_sum - self.probability_sum).sum(-1) / self.count.sum(-1)).mean()
        )

    def pooled(self) -> "Bins":
        """The bins of all rows together, (bins,)."""
        sums = (self.count, self.probability_sum, self.hit_sum)
        return Bins(*(values.reshape(-1, values.shape[-1]).sum(0) for values in sums))

    def mean_gap(self) -> np.ndarray:
        """Mean of |actual - predicted| over the rows, weighted by their counts, per bin (bins,).

        NaN in an empty one.
        """
        gap, count = np.abs(self.hit_sum - self.probability_sum), self.pooled().count
        return gap.reshape(-1, gap.shape[-1]).sum(0) / np.where(count, count, np.nan)


def tally(probability: np.ndarray, hit: np.ndarray, bins: int = BINS) -> Bins:
    """Return the `Bins` (R, bins) of predicted probabilities (R, N) in [0, 1].

    `hit` (R, N) bool says which came true.
    """
    rows = len(probability)
    size = bins * rows
    cells = (bin_index(probability, bins) + bins * np.arange(rows)[:, None]).ravel()
    sums = (
        np.bincount(cells, minlength=size),
        np.bincount(cells, probability.ravel(), minlength=size),
        np.bincount(cells[hit.ravel()], minlength=size),
    )
    return Bins(*(values.reshape(rows, bins) for values in sums))


def confidence_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Bins:
    """Bins (1, bins) of Eq. 1, by the probability of the most probable class.

    probabilities (N, K), labels (N,).
    """
    return tally(probabilities.max(-1)[None], (probabilities.argmax(-1) == labels)[None], bins)


def classwise_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Bins:
    """Bins (K, bins) of Eq. 2, one row a class j, by p_j; probabilities (N, K), labels (N,)."""
    return tally(probabilities.T, np.arange(probabilities.shape[-1])[:, None] == labels, bins)


class Consistency(NamedTuple):
    """What a diagram would look like were its predictions true.

    `low` and `high` (bins,) hold the share of predictions in a bin that comes true in 90 % of the
    draws of labels from the predictions, NaN in an empty one; `floor` is the mean error of these
    draws, and `p` how often it is at least the observed one. Broecker & Smith 2007.
    """

    low: np.ndarray
    high: np.ndarray
    floor: float
    p: float


def consistency(bins: Bins, hits: np.ndarray) -> Consistency:
    """Return the `Consistency` of `bins` (R, bins) with drawn sums of hits (draws, R, bins)."""
    count = bins.pooled().count
    low, high = np.quantile(hits.sum(1), (0.05, 0.95), axis=0) / np.where(count, count, np.nan)
    errors = np.abs(hits - bins.probability_sum).sum(-1) / bins.count.sum(-1)
    errors = errors.mean(-1)
    return Consistency(low, high, float(errors.mean()), p_of(bins.error, errors))


def confidence_draws(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return the hits in each bin of Eq. 1 of labels drawn from the predictions, (draws, 1, bins).

    probabilities (N, K); uniform (draws, N): see `noise.uniforms`.
    """
    return (drawn_hits(probabilities, uniform) @ places(bin_index(probabilities.max(-1))))[:, None]


def classwise_draws(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The same of Eq. 2, (draws, K, bins)."""
    classes = zip(drawn_classes(probabilities, uniform), probabilities.T)
    return np.stack([members @ places(bin_index(p)) for members, p in classes], axis=1)
