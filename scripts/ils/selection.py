"""Temperature scaling and the choice of a student, both by cross-entropy on validation data."""

from typing import NamedTuple

import numpy as np

from ils.errors import UserError
from ils.metrics import cross_entropy, softmax, true_class


def fit_temperature(logits, labels, bounds=(0.05, 20.0)):
    """Return the temperature T in `bounds` that minimises the cross-entropy of logits / T, per model.

    logits (..., N, K), labels (N,) or (..., N); returns (...). Guo et al. 2017, section 4.2. In b = 1/T the
    cross-entropy is convex, with derivative mean(E_p[z] - z_t), so bisection on log T finds the one minimum to
    machine precision; when every sample is classified correctly there is none and T ends at the lower bound.
    """
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(-1, keepdims=True)
    target = true_class(logits, labels).mean(-1)
    low = np.full(logits.shape[:-2], np.log(bounds[0]))
    high = np.full(logits.shape[:-2], np.log(bounds[1]))
    for _ in range(50):
        middle = (low + high) / 2
        expected = (softmax(logits * np.exp(-middle)[..., None, None]) * logits).sum(-1).mean(-1)
        too_flat = expected < target
        low, high = np.where(too_flat, low, middle), np.where(too_flat, middle, high)
    return np.exp((low + high) / 2)


class Selected(NamedTuple):
    """A student chosen from a grid: its index, its temperature (1 unless scaled) and its validation cross-entropy."""

    index: int
    temperature: float
    validation_ce: float


def select(logits, labels, failed, scaling, bounds):
    """Choose among G students by validation cross-entropy.

    logits (G, N, K); labels (N,); failed (G,) bool marks students that diverged. `scaling`: "none" compares and
    returns raw students; "selected" scales the student that "none" picks; "joint" picks student and temperature
    together. Raises UserError when every student diverged.
    """
    if failed.all():
        raise UserError("every student of the grid diverged; lower the learning rate or change the grid")
    ce = np.where(failed, np.inf, cross_entropy(np.nan_to_num(logits), labels))
    if scaling == "none":
        best = int(ce.argmin())
        return Selected(best, 1.0, float(ce[best]))
    candidates = np.flatnonzero(~failed) if scaling == "joint" else np.array([ce.argmin()])
    temperature = fit_temperature(logits[candidates], labels, bounds)
    scaled = cross_entropy(logits[candidates] / temperature[:, None, None], labels)
    best = int(scaled.argmin())
    return Selected(int(candidates[best]), float(temperature[best]), float(scaled[best]))
