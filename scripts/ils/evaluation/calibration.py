"""What a calibration error says: how much of it is noise, and what calibration would gain."""

from collections.abc import Mapping

import numpy as np

from ils.evaluation.analytic import OWN_NOISE
from ils.evaluation.temperature import fit_temperature
from ils.probabilities import cross_entropy

FOLDS = 5
BOUNDS = 0.05, 20.0  # wide: how far off a model is must not depend on where others are searched


def floors(values: Mapping[str, float], drawn: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the floor of each calibration error and the p of being calibrated, by column name.

    values: of the metrics; drawn: {name: (draws,)} the errors of labels drawn from the predictions
    themselves (`noise.calibrated`). The floor is their mean, p the share that is at least as
    large, the observed one counted among them (Broecker & Smith 2007; Vaicenavicius et al. 2019).
    What is not 0 for calibrated predictions, with noise of its own, has a floor but no p.
    """
    result: dict[str, float] = {}
    floor = {name: float(errors.mean()) for name, errors in drawn.items()}
    tested = [name for name in drawn if name not in OWN_NOISE]
    for name in tested:
        result |= {f"{name}_floor": floor[name], f"{name}_p": p_of(values[name], drawn[name])}
    result["ece_above_floor"] = float(values["ece"]) - floor["ece"]
    return result | {f"{name}_floor": floor[name] for name in drawn if name not in tested}


def p_of(value: float, drawn: np.ndarray) -> float:
    """Return (1 + how many of `drawn` are at least `value`) / (1 + how many there are).

    What rounding may set apart counts as equal.
    """
    return float((1 + (drawn >= value - 1e-9).sum()) / (1 + len(drawn)))


def folds_of(labels: np.ndarray) -> np.ndarray:
    """Return the fold of each sample (N,): sorted by label, they are dealt out in turn.

    So each fold has every class as often as the others, up to one, and the same data have the same
    folds.
    """
    folds = np.empty(len(labels), np.int64)
    folds[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % FOLDS
    return folds


def split_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the cross-entropy's `refinement` and `calibration`, which add up to it, in nats.

    logits (N, K), N >= 2, labels (N,). Refinement is the cross-entropy of a fold at the temperature
    fitted to the other folds, over all folds: what no temperature would take away. Calibration is
    the rest; below 0 it says that a fitted temperature would do harm.
    """
    folds, whole = folds_of(labels), float(cross_entropy(logits, labels))
    scaled = np.array(logits, np.float64)
    for fold in range(min(FOLDS, len(labels))):
        held_out = folds == fold
        scaled[held_out] /= fit_temperature(logits[~held_out], labels[~held_out], BOUNDS)
    refinement = float(cross_entropy(scaled, labels))
    return {"refinement": refinement, "calibration": whole - refinement}
