"""Sums over samples from which the figures are drawn.

They are distributions of probabilities, and what best-epsilon curves follow from.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ils.files import load_arrays
from ils.probabilities import true_class

# Section IV-A: 50 groups of instances by the teacher's p_t
CURVE_EDGES = np.linspace(0.2, 1.0, 51)
HISTOGRAM_EDGES = np.linspace(0.0, 1.0, 51)
HISTOGRAM_MODELS = ("bayes", "no_ls", "no_ls+temps", "ls+temps")
HISTOGRAM_KINDS = ("highest", "others", "true")


def stacked(paths: Iterable[str | Path]) -> dict[str, np.ndarray]:
    """Return the arrays of several jobs, put together along replicates."""
    parts = [load_arrays(path)[0] for path in paths]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def histograms(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return counts (3, bins) of N samples' probabilities (N, K), a row a kind of HISTOGRAM_KINDS.

    They count each sample's highest probability, the others, and the true class's; labels (N,).
    """
    ordered = np.sort(probabilities, -1)
    values = (ordered[:, -1], ordered[:, :-1], true_class(probabilities, labels))
    return np.stack([np.histogram(v, HISTOGRAM_EDGES)[0] for v in values])


def distance_from_bayes(histogram: np.ndarray, kind: str, model: str) -> np.ndarray:
    """Total variation distance (...) of a model's distribution from the Bayes-optimal one.

    It is sum_b |share_b - bayes share_b| / 2, in [0, 1]; histogram (..., models, kinds, bins).
    """
    counts = histogram[..., HISTOGRAM_KINDS.index(kind), :]
    shares = counts / counts.sum(-1, keepdims=True)
    share, bayes = (shares[..., HISTOGRAM_MODELS.index(name), :] for name in (model, "bayes"))
    return np.abs(share - bayes).sum(-1) / 2


def group_sums(
    teacher: np.ndarray, students: Sequence[np.ndarray], edges: np.ndarray = CURVE_EDGES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group samples by a teacher's p_t (N,); add up p_t of it and of students (E, N) by group.

    The groups are [edge, next edge), the last one closed; samples outside are left out. Returns
    the counts (groups,), the teacher's sums (groups,) and the students' (E, groups).
    """
    group = np.digitize(teacher, edges) - 1
    group[teacher == edges[-1]] -= 1
    inside = (group >= 0) & (group < len(edges) - 1)

    def total(values):
        return np.bincount(group[inside], values[inside], minlength=len(edges) - 1)

    count = total(np.ones(len(teacher)))
    return count, total(teacher), np.array([total(student) for student in students])


def best_epsilon(
    count: np.ndarray, teacher: np.ndarray, student: np.ndarray, epsilon: np.ndarray
) -> np.ndarray:
    """Return per group the epsilon whose student's mean p_t is nearest to the teacher's.

    The "naive hypothesis" of Section IV-A. count and teacher (..., groups), student
    (..., E, groups) are sums as `group_sums` returns them, added up over replicates; epsilon (E,).
    It is nan in an empty group.
    """
    distance = np.abs(student - teacher[..., None, :])
    return np.where(count > 0, epsilon[distance.argmin(-2)], np.nan)
