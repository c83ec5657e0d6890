"""The choice of a student, by cross-entropy on validation data."""

from dataclasses import dataclass

import numpy as np

from ils.errors import UserError
from ils.evaluation.calibrators import Calibrator, Fitted, uncalibrated
from ils.evaluation.grids import fitted


@dataclass(frozen=True)
class Selected:
    """A student chosen from a grid: its index, what its logits are calibrated by, and its
    validation cross-entropy then, in nats."""

    index: int
    fitted: Fitted
    validation_ce: float


def select(
    logits: np.ndarray,
    labels: np.ndarray,
    failed: np.ndarray,
    fit: Calibrator = uncalibrated,
    reading: str = "selected",
) -> Selected:
    """Choose among G students by validation cross-entropy, and calibrate.

    logits (G, N, K); labels (N,); failed (G,) bool marks students that are not to be selected, as
    they diverged or a race dropped them. `reading`:
    "selected" calibrates the student that is the best without it; "joint" calibrates each, and
    picks the best of them then. Raises UserError when every student diverged.
    """
    if failed.all():
        raise UserError(
            "every student of the grid diverged; lower the learning rate or change the grid"
        )
    candidates = np.flatnonzero(~failed)
    if reading == "selected":
        _, ce = fitted(uncalibrated, logits, labels)
        candidates = np.array([np.where(failed, np.inf, ce).argmin()])
    fits, ce = fitted(fit, logits[candidates], labels)
    best = int(ce.argmin())
    return Selected(int(candidates[best]), fits[best], float(ce[best]))
