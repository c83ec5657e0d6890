"""What a reliability diagram shows of Eq. 1 and Eq. 2: per bin, how many predictions, how sure, and how often right."""

from typing import NamedTuple

import numpy as np
from ils.evaluation.metrics import BINS, bin_index


class Bins(NamedTuple):
    """Sums over the predictions in each bin, all (..., bins): their number, their probabilities, and those that came true."""

    count: np.ndarray
    probability_sum: np.ndarray
    hit_sum: np.ndarray

    @property
    def predicted(self):
        """Mean probability in each bin; NaN in an empty one."""
        return self.probability_sum / np.where(self.count, self.count, np.nan)

    @property
    def actual(self):
        """Share of the predictions in each bin that came true; NaN in an empty one."""
        return self.hit_sum / np.where(self.count, self.count, np.nan)

    @property
    def error(self):
        """Eq. 1 of confidence bins, Eq. 2 of classwise bins: sum_n |B_n|/N |actual - predicted|, the mean over rows."""
        return float(
            (np.abs(self.hit_sum - self.probability_sum).sum(-1) / self.count.sum(-1)).mean()
        )

    def pooled(self):
        """The bins of all rows together, (bins,)."""
        return Bins(*(values.reshape(-1, values.shape[-1]).sum(0) for values in self))

    def mean_gap(self):
        """Mean of |actual - predicted| over the rows, weighted by their counts, per bin (bins,); NaN in an empty one."""
        gap, count = np.abs(self.hit_sum - self.probability_sum), self.pooled().count
        return gap.reshape(-1, gap.shape[-1]).sum(0) / np.where(count, count, np.nan)


def tally(probability, hit, bins=BINS):
    """Return the `Bins` (R, bins) of predicted probabilities (R, N) in [0, 1]; `hit` (R, N) bool says which came true."""
    rows, cells = len(probability), bin_index(probability, bins)
    cells += bins * np.arange(rows)[:, None]
    cells, size = cells.ravel(), bins * rows
    count, hits = (np.bincount(which, minlength=size) for which in (cells, cells[hit.ravel()]))
    return Bins(
        *(
            sums.reshape(rows, bins)
            for sums in (count, np.bincount(cells, probability.ravel(), size), hits)
        )
    )


def confidence_bins(probabilities, labels, bins=BINS):
    """Bins (1, bins) of Eq. 1, by the probability of the most probable class; probabilities (N, K), labels (N,)."""
    return tally(probabilities.max(-1)[None], (probabilities.argmax(-1) == labels)[None], bins)


def classwise_bins(probabilities, labels, bins=BINS):
    """Bins (K, bins) of Eq. 2, one row a class j, by p_j; probabilities (N, K), labels (N,)."""
    return tally(probabilities.T, np.arange(probabilities.shape[-1])[:, None] == labels, bins)
