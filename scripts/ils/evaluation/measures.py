"""Metrics by name: of logits, of labels drawn for them, of samples drawn again."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ils.errors import UserError
from ils.evaluation.metrics import even_weights
from ils.plan.metrics import metrics
from ils.plan.plugins import load, plugins
from ils.probabilities import log_softmax


def measure(
    names: Iterable[str],
    logits: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return {name: metric (...)} of logits (..., N, K), labels and weights as metrics take them.

    Without weights all samples count alike. UserError for a metric that returns something else than
    a number within its range for each.
    """
    log_p = log_softmax(logits)
    weights = even_weights(log_p.shape[-2]) if weights is None else weights
    looked_at = {
        "log_probabilities": log_p,
        "probabilities": np.exp(log_p),
        "labels": np.asarray(labels),
        "weights": weights,
    }
    return {name: computed(name, looked_at) for name in names}


def computed(name: str, looked_at: Mapping[str, Any]) -> np.ndarray:
    """Return a metric of what it may look at: all of `ils.plan.metrics.LOOKS_AT`, by name."""
    plugin = plugins("metric")[name]
    value = np.asarray(load("metric", name)(*(looked_at[key] for key in plugin.inputs)))
    shapes = (looked_at[key].shape[:-1] for key in ("labels", "weights"))
    shape = np.broadcast_shapes(looked_at["probabilities"].shape[:-2], *shapes)
    highest, where = metrics()[name].highest, f"{plugin.path}: metric {name!r}"
    if value.shape != shape:
        raise UserError(
            f"{where} has the shape {value.shape} of {shape}; "
            "it must be one number for all samples of a model"
        )
    if not (np.isfinite(value) & (value > -1e-9) & (value < highest + 1e-9)).all():
        most = "" if math.isinf(highest) else f" to {highest:g}, its `highest`"
        bad = value[~((value > -1e-9) & (value < highest + 1e-9))].flat[0]
        raise UserError(f"{where} is {bad:g}; it must be a number from 0{most}")
    return value
