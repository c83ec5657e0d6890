"""Sums over test samples from which the figures are drawn: distributions of probabilities, best-epsilon curves."""

import numpy as np
from ils.evaluation.probabilities import true_class
from ils.files import load_arrays

CURVE_EDGES = np.linspace(0.2, 1.0, 51)  # Section IV-A: 50 groups of instances by the teacher's p_t
HISTOGRAM_EDGES = np.linspace(0.0, 1.0, 51)
HISTOGRAM_MODELS = ("bayes", "no_ls", "no_ls+temps", "ls+temps")
HISTOGRAM_KINDS = ("highest", "others", "true")


def stacked(paths):
    """Return the arrays of several jobs, put together along replicates."""
    parts = [load_arrays(path)[0] for path in paths]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def histograms(probabilities, labels):
    """Return counts (3, bins) of the highest of N samples' probabilities (N, K), of the others, and of the true class's."""
    ordered = np.sort(probabilities, -1)
    values = (ordered[:, -1], ordered[:, :-1], true_class(probabilities, labels))
    return np.stack([np.histogram(v, HISTOGRAM_EDGES)[0] for v in values])


def distance_from_bayes(histogram, kind, model):
    """Total variation distance of a model's distribution from the Bayes-optimal one; histogram (..., models, kinds, bins)."""
    counts = histogram[..., HISTOGRAM_KINDS.index(kind), :]
    shares = counts / counts.sum(-1, keepdims=True)
    apart = (
        shares[..., HISTOGRAM_MODELS.index(model), :]
        - shares[..., HISTOGRAM_MODELS.index("bayes"), :]
    )
    return np.abs(apart).sum(-1) / 2


def group_sums(teacher, students, edges=CURVE_EDGES):
    """Group samples by a teacher's p_t (N,) and add up, in each group, p_t of the teacher and of students (E, N).

    The groups are [edge, next edge), the last one closed; samples outside are left out. Returns the counts (groups,),
    the teacher's sums (groups,) and the students' (E, groups).
    """
    group = np.digitize(teacher, edges) - 1
    group[teacher == edges[-1]] -= 1
    inside = (group >= 0) & (group < len(edges) - 1)

    def total(values):
        return np.bincount(group[inside], values[inside], minlength=len(edges) - 1)

    return (
        total(np.ones(len(teacher))),
        total(teacher),
        np.array([total(student) for student in students]),
    )


def best_epsilon(count, teacher, student, epsilon):
    """Return per group the epsilon whose student's mean p_t is nearest to the teacher's; nan in an empty group.

    The "naive hypothesis" of Section IV-A. count and teacher (..., groups), student (..., E, groups) are sums as
    `group_sums` returns them, added up over replicates; epsilon (E,).
    """
    distance = np.abs(student - teacher[..., None, :])
    return np.where(count > 0, epsilon[distance.argmin(-2)], np.nan)
