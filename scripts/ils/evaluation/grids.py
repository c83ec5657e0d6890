"""Every student of a grid, as trained and scaled by a temperature of its own.

Validation data say how good a student looks and fit its temperature; what it does on test data is
for tables of all students and read by nothing that selects. Students are taken some at a time: in
float64 a large grid would not fit into memory.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ils.evaluation.measures import measure
from ils.evaluation.temperature import fit_temperature
from ils.probabilities import cross_entropy

SCALINGS = "none", "own"  # the first axis of what is computed: as trained, by its own temperature
AT_ONCE = 4_000_000  # logits: 32 MB in float64, and a few copies

Arrays = Mapping[str, np.ndarray]


def by_parts(function: Callable[[slice], Arrays], logits: np.ndarray) -> Arrays:
    """Join what `function` makes of consecutive students of `logits` (G, N, K): arrays by name
    whose last axis is theirs."""
    size = max(1, AT_ONCE // max(1, logits[0].size))
    parts = [function(slice(first, first + size)) for first in range(0, len(logits), size)]
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def scaled(logits: np.ndarray, labels: np.ndarray, bounds: tuple[float, float]) -> Arrays:
    """Return the `temperature` (G,) of each student, within `bounds`, and the cross-entropy `ce`
    (G,) of its logits divided by it; logits (G, N, K), labels (N,)."""

    def fit(part):
        temperature = fit_temperature(logits[part], labels, bounds)
        ce = cross_entropy(logits[part] / temperature[:, None, None], labels)
        return {"temperature": temperature, "ce": ce}

    return by_parts(fit, logits)


def raw_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the cross-entropy (G,) of logits (G, N, K) as they are; NaN counts as 0."""
    return by_parts(
        lambda part: {"ce": cross_entropy(np.nan_to_num(logits[part]), labels)}, logits
    )["ce"]


def on_validation(
    logits: np.ndarray, labels: np.ndarray, failed: np.ndarray, bounds: tuple[float, float]
) -> Arrays:
    """Return `temperature` (G,) and `validation_ce` (2, G) by SCALINGS; NaN where `failed` (G,)."""
    temperature, ce = np.full(len(logits), np.nan), np.full((2, len(logits)), np.nan)
    if not failed.all():
        own = logits[~failed] if failed.any() else logits
        of_own = scaled(own, labels, bounds)
        temperature[~failed] = of_own["temperature"]
        ce[:, ~failed] = raw_cross_entropy(own, labels), of_own["ce"]
    return {"temperature": temperature, "validation_ce": ce}


def on_test(
    metrics: Sequence[str], logits: np.ndarray, labels: np.ndarray, temperature: np.ndarray
) -> Arrays:
    """Return {metric: (2, G)} by SCALINGS of logits (G, N, K); NaN where the temperature (G,) is,
    of students that diverged."""
    divisors = np.nan_to_num(temperature, nan=1).astype(logits.dtype)[:, None, None]

    def measured(part):
        failed = np.isnan(temperature[part])
        raw = np.nan_to_num(logits[part])
        raw[failed] = 0  # of no metric that they could break
        both = [measure(metrics, own, labels) for own in (raw, raw / divisors[part])]
        values = {name: np.stack([of_one[name] for of_one in both]) for name in metrics}
        return {name: np.where(failed, np.nan, of_all) for name, of_all in values.items()}

    return by_parts(measured, logits)
