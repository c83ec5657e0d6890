"""Every student of a grid, as trained and calibrated by fits of its own.

Validation data say how good a student looks and fit its calibrators; what it does on test data is
for tables of all students and read by nothing that selects. Students are taken some at a time: in
float64 a large grid would not fit into memory.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ils.evaluation.calibrators import AS_TRAINED, Calibrator, Fitted
from ils.evaluation.measures import measure
from ils.probabilities import cross_entropy

AT_ONCE = 4_000_000  # logits: 32 MB in float64, and a few copies

Arrays = Mapping[str, np.ndarray]
Fits = list[list[Fitted]]  # by calibrator and student


def by_parts(function: Callable[[slice], Arrays], logits: np.ndarray) -> Arrays:
    """Join what `function` makes of consecutive students of `logits` (G, N, K): arrays by name
    whose last axis is theirs."""
    size = max(1, AT_ONCE // max(1, logits[0].size))
    parts = [function(slice(first, first + size)) for first in range(0, len(logits), size)]
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def fitted(
    fit: Calibrator, logits: np.ndarray, labels: np.ndarray
) -> tuple[list[Fitted], np.ndarray]:
    """Return what a calibrator fits to each of G students, and the cross-entropy (G,) of their
    logits as calibrated, in nats; logits (G, N, K), labels (N,), NaN counts as 0."""
    fits: list[Fitted] = []

    def of_part(part):
        own = np.nan_to_num(logits[part])
        fits.extend(fit(own, labels))
        models = zip(fits[part], own.astype(np.float64), strict=True)
        return {"ce": np.array([cross_entropy(one.map(model), labels) for one, model in models])}

    ce = by_parts(of_part, logits)["ce"]
    return fits, ce


def on_validation(
    logits: np.ndarray, labels: np.ndarray, failed: np.ndarray, calibrators: Sequence[Calibrator]
) -> tuple[Fits, Arrays]:
    """Fit each calibrator to each student; return the fits, and `temperature` and `validation_ce`.

    The arrays are (C, G) by calibrator and student, NaN where the student `failed` (G,), the
    temperature also where a calibrator has none.
    """
    fits = [[AS_TRAINED] * len(logits) for _ in calibrators]
    names = "temperature", "validation_ce"
    arrays = {name: np.full((len(fits), len(logits)), np.nan) for name in names}
    students = np.flatnonzero(~failed)
    for row, fit in enumerate(calibrators if len(students) else ()):
        own, arrays["validation_ce"][row, students] = fitted(fit, logits[students], labels)
        for student, one in zip(students, own, strict=True):
            fits[row][student] = one
            arrays["temperature"][row, student] = one.parameters.get("temperature", np.nan)
    return fits, arrays


def on_test(
    metrics: Sequence[str],
    logits: np.ndarray,
    labels: np.ndarray,
    failed: np.ndarray,
    fits: Fits,
) -> Arrays:
    """Return {metric: (C, G)} by calibrator and student of logits (G, N, K); NaN where `failed`."""

    def measured(part):
        raw = np.nan_to_num(logits[part])
        raw[failed[part]] = 0  # of no metric that they could break
        of_each = [
            measure(metrics, np.stack([one.map(z) for one, z in zip(of[part], raw)]), labels)
            for of in fits
        ]
        values = {name: np.stack([of_one[name] for of_one in of_each]) for name in metrics}
        return {name: np.where(failed[part], np.nan, of_all) for name, of_all in values.items()}

    return by_parts(measured, logits)
