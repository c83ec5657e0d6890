"""Standard errors and 95 % intervals of every metric, and labels drawn from the predictions.

A metric's standard error comes from samples drawn again, as weights: its spread over test sets. The
metrics that come with the workflow have it by formulas (`analytic`).

Noise only ever raises a calibration error: the gap of a bin has the noise e, and |gap + e| is at
most |gap| + |e| and at least |gap| + e sign(gap). So the error is too high by at most the sum of
|e|, and too low by at most that of -e sign(gap). The first is what the error of a calibrated model
is made of: its law is that of labels drawn from the predictions (consistency resampling, Broecker
& Smith 2007). The second is nearly normal. An interval goes as far down as 95 % of the first and as
far up as 97.5 % of the second. Where no bin is off only its lower end can miss the truth; where all
are far off hardly any but its upper end, but for smECE, whose few waves are less slack. The
intervals cover 92 % or more, mostly more than 95 (benchmarks/coverage.py).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from ils.evaluation.analytic import OWN_NOISE, bounds_of, drawn_errors, influences
from ils.evaluation.measures import measure
from ils.evaluation.metrics import sums
from ils.plan.metrics import Metric
from ils.probabilities import softmax

AT_ONCE = 2**18  # draws times logits: a few arrays of this size fit into a cache


def uniforms(n: int, draws: int, seed: int = 0) -> np.ndarray:
    """Return (draws, n) numbers in [0, 1), which draw the labels of all methods of a cell."""
    return np.random.default_rng(seed).random((draws, n), np.float32)


def in_parts(draws: int, logits: np.ndarray) -> Iterator[slice]:
    """Cut so many draws into parts that are computed at once."""
    size = max(1, AT_ONCE // logits.size)
    return (slice(first, min(first + size, draws)) for first in range(0, draws, size))


def drawn_labels(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return labels (draws, N) drawn from probabilities (N, K) by uniform numbers (draws, N)."""
    inner = bounds_of(probabilities)[1:-1]
    return sum((uniform >= bound for bound in inner), np.zeros(uniform.shape, np.int64))


def calibrated(
    metrics: Sequence[Metric], logits: np.ndarray, uniform: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the calibration errors that labels drawn from the predictions have, {name: (draws,)}.

    logits (N, K), uniform (draws, N); of those metrics that are calibration errors.
    """
    wanted, probabilities = [m.name for m in metrics if m.calibration], softmax(logits)
    drawn = drawn_errors(probabilities, uniform)
    if others := [name for name in wanted if name not in drawn]:
        parts = [
            measure(others, logits, drawn_labels(probabilities, uniform[part]))
            for part in in_parts(len(uniform), logits)
        ]
        drawn |= {name: np.concatenate([part[name] for part in parts]) for name in others}
    return {name: drawn[name] for name in wanted}


def resampled_errors(
    names: Sequence[str], logits: np.ndarray, labels: np.ndarray, draws: int, seed: int = 0
) -> dict[str, float]:
    """Return the standard error of each metric over test sets, {name: error}.

    The spread over so many samples drawn with replacement, which is that of N, not of N - 1.
    logits (N, K), labels (N,).
    """
    rng, n, parts = np.random.default_rng(seed), len(labels), []
    for part in in_parts(draws, logits):
        chosen = rng.integers(n, size=(part.stop - part.start, n))
        weights = sums(chosen, np.full(n, 1 / n), n)
        parts.append(measure(names, logits, labels, weights))
    factor = (n / max(n - 1, 1)) ** 0.5
    return {name: factor * np.concatenate([p[name] for p in parts]).std() for name in names}


def standard_errors(
    names: Sequence[str], logits: np.ndarray, labels: np.ndarray, draws: int
) -> dict[str, float]:
    """Return the standard error of each metric, {name: error}; logits (N, K), labels (N,)."""
    root = max(len(labels) - 1, 1) ** 0.5
    known = {name: own.std() / root for name, own in influences(logits, labels).items()}
    others = [name for name in names if name not in known]
    return known | (resampled_errors(others, logits, labels, draws) if others else {})


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share among n, within [0, 1]."""
    z = stats.norm.ppf(0.975)
    middle = share + z**2 / (2 * n)
    reach = z * (share * (1 - share) / n + (z / (2 * n)) ** 2) ** 0.5
    return (middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)


def intervals(
    metrics: Sequence[Metric],
    logits: np.ndarray,
    labels: np.ndarray,
    values: Mapping[str, float],
    drawn: Mapping[str, np.ndarray],
    draws: int,
) -> dict[str, tuple[float, float, float]]:
    """Return {name: (standard error, low, high)}, the 95 % interval of each metric.

    logits (N, K), labels (N,); values: {name: metric}; drawn: the calibration errors of labels
    drawn from the predictions (`calibrated`); what else is drawn is drawn so many times. Accuracy
    has Wilson's interval, what is no calibration error Student's; none leaves the range of its
    metric.
    """
    errors, n = standard_errors(list(values), logits, labels, draws), len(labels)
    own = {name: OWN_NOISE[name](softmax(logits), draws) for name in OWN_NOISE if name in drawn}
    noise, result = {**drawn, **own}, {}
    for metric in metrics:
        name, value, error = metric.name, values[metric.name], errors[metric.name]
        if name == "accuracy":
            low, high = wilson(value, n)
        elif name in noise:
            low = value - np.quantile(noise[name], 0.95)
            high = value + error * stats.norm.ppf(0.975)
        else:
            low, high = value - error * stats.t.ppf((0.975, 0.025), max(n - 1, 1))
        result[name] = (float(error), max(float(low), 0.0), min(float(high), metric.highest))
    return result
