"""The choice of a student, by cross-entropy on validation data."""

from dataclasses import dataclass

import numpy as np

from ils.errors import UserError
from ils.evaluation.grids import raw_cross_entropy, scaled


@dataclass(frozen=True)
class Selected:
    """A student chosen from a grid: its index, its temperature and its validation cross-entropy.

    The temperature is 1 unless the student is scaled, the cross-entropy in nats.
    """

    index: int
    temperature: float
    validation_ce: float


def select(
    logits: np.ndarray,
    labels: np.ndarray,
    failed: np.ndarray,
    scaling: str,
    bounds: tuple[float, float],
) -> Selected:
    """Choose among G students by validation cross-entropy.

    logits (G, N, K); labels (N,); failed (G,) bool marks students that diverged. `scaling`: "none"
    compares and returns raw students; "selected" scales the student that "none" picks; "joint"
    picks student and temperature together, within `bounds`. Raises UserError when every student
    diverged.
    """
    if failed.all():
        raise UserError(
            "every student of the grid diverged; lower the learning rate or change the grid"
        )
    ce = np.where(failed, np.inf, raw_cross_entropy(logits, labels))
    if scaling == "none":
        best = int(ce.argmin())
        return Selected(best, 1.0, float(ce[best]))
    candidates = np.flatnonzero(~failed) if scaling == "joint" else np.array([ce.argmin()])
    own = scaled(logits[candidates], labels, bounds)
    best = int(own["ce"].argmin())
    index = int(candidates[best])
    return Selected(index, float(own["temperature"][best]), float(own["ce"][best]))
