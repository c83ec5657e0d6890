"""How a study decides: two columns compared over units, and the verdict of a claim about several.

A unit is a dataset, or a replicate of the synthetic study. Its gain is by how much the first column
is better than the second there. All tests and intervals come from one law, the exact one of the
signed-rank sum, so they never contradict each other. The rules were written down before any run of
the default study; docs/deciding.md has them and their reasons. The ROPE, the region of practical
equivalence, is of differences that nobody would choose a method for; each metric says its own.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ONE_SIDED = 0.025  # level of "better" and of "worse"
EQUIVALENCE = 0.05  # level of each of the two one-sided tests of equivalence


@functools.cache
def law(n: int) -> np.ndarray:
    """P(W <= w) for w = 0, ..., n(n+1)/2 of the signed-rank sum of n units without ties."""
    mass = np.ones(1)
    for rank in range(1, n + 1):
        mass = (np.pad(mass, (0, rank)) + np.pad(mass, (rank, 0))) / 2
    return np.cumsum(mass)


def walsh(gains: np.ndarray) -> np.ndarray:
    """The n(n+1)/2 averages of two gains, or of one with itself, sorted; gains (..., n).

    As many of them as exceed d is the signed-rank sum of gains - d.
    """
    first, second = np.triu_indices(gains.shape[-1])
    return np.sort((gains[..., first] + gains[..., second]) / 2, axis=-1)


def rejected(n: int, level: float) -> int:
    """How many of the outermost averages on each side lie outside an interval of 1 - 2 `level`.

    The interval runs from the average behind them, [count - 1], to its counterpart; 0: n units are
    too few for any, the interval is the whole line.
    """
    return int(np.searchsorted(law(n), level * (1 + 1e-12), side="right"))


def interval(averages: np.ndarray, n: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The ends (...) of the interval that inverts the exact test, two-sided at 2 `level`."""
    count = rejected(n, level)
    if not count:
        unbounded = np.full(averages.shape[:-1], np.inf)
        return -unbounded, unbounded
    return averages[..., count - 1], averages[..., -count]


def p_above(averages: np.ndarray, n: int, value: float) -> float:
    """The p of gains above `value`: P(W >= the averages that exceed it), those that equal it
    counting half; by symmetry P(W <= the others)."""
    wins = (averages > value).sum() + (averages == value).sum() / 2
    return float(law(n)[len(averages) - math.floor(wins)])


class Comparison(NamedTuple):
    """One column against another over n units.

    estimate: Hodges and Lehmann's, the median of the averages of two gains; low, high: its 95 %
    interval, low90, high90 the 90 % one, infinite where n is too small; p_better, p_worse: of the
    one-sided tests against no difference; p_considerable: against a gain of the ROPE; p_equivalent:
    the larger of the two one-sided tests against gains of - and + the ROPE.
    """

    n: int
    estimate: float
    low: float
    high: float
    low90: float
    high90: float
    p_better: float
    p_worse: float
    p_considerable: float
    p_equivalent: float
    rope: float


def compare(gains: Sequence[float] | np.ndarray, rope: float = 0) -> Comparison:
    """Compare two columns by the gains (n,) of the first over units, at least one.

    Gains count as equal to 12 decimals. Ties and zeros, which an average equal to the tested value
    means, count half, and the law is that without ties: with them it errs on the safe side.
    """
    gains = np.asarray(gains, float).round(12)
    n, averages = len(gains), walsh(gains)
    low, high = interval(averages, n, ONE_SIDED)
    low90, high90 = interval(averages, n, EQUIVALENCE)
    return Comparison(
        n,
        float(np.median(averages)),
        float(low),
        float(high),
        float(low90),
        float(high90),
        p_above(averages, n, 0),
        p_above(-averages, n, 0),
        p_above(averages, n, rope),
        max(p_above(averages, n, -rope), p_above(-averages, n, -rope)),
        rope,
    )


def as_difference(
    estimate: float, low: float, high: float, *, higher_is_better: bool
) -> tuple[float, float, float]:
    """A gain and the ends of its interval as the difference of the first column less the second,
    whose sign is the other one where lower is better."""
    return (estimate, low, high) if higher_is_better else (-estimate, -high, -low)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p-values (m,): the i-th smallest times m - i + 1.

    None is below a smaller one's, and none above 1.
    """
    p_values = np.asarray(p_values, float)
    order = p_values.argsort()
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return adjusted[order.argsort()]


class Verdict(NamedTuple):
    """What becomes of a claim, and how many of its comparisons say what."""

    word: str
    as_claimed: int
    equivalent: int
    undecided: int
    opposite: int


def judge(comparisons: Sequence[Comparison], considerable: bool = False) -> Verdict:
    """The verdict of a claim that all comparisons are gains.

    holds: all are better at one-sided 2.5 %, and no estimate is inside the ROPE; a `considerable`
    gain is tested against the ROPE instead of against 0. fails: some are worse, by Holm within the
    claim, and not inside the ROPE. practically equivalent: none is worse, and at least one
    equivalent, by Holm. undecided: the rest. That all hold needs no correction (it is an
    intersection-union test); that any one does, for fails or equivalent, does.
    """
    better = [c.p_considerable if considerable else c.p_better for c in comparisons]
    words = directions(comparisons, better)
    claimed, equivalent, undecided, opposite = map(
        words.count, ("better", "practically equivalent", "undecided", "worse")
    )
    word = "undecided"
    if claimed == len(words):
        word = "holds"
    elif opposite:
        word = "fails"
    elif equivalent:
        word = "practically equivalent"
    return Verdict(word, claimed, equivalent, undecided, opposite)


def directions(
    comparisons: Sequence[Comparison], p_better: Sequence[float] | np.ndarray
) -> list[str]:
    """Which way each of several comparisons goes: better, worse, practically equivalent, undecided.

    p_better: of the tests that each is better; the others are corrected by Holm.
    """
    worse = holm([c.p_worse for c in comparisons])
    equal = holm([c.p_equivalent for c in comparisons])
    return [
        "better"
        if p <= ONE_SIDED and c.estimate >= c.rope
        else "worse"
        if p_worse <= ONE_SIDED and c.estimate <= -c.rope
        else "practically equivalent"
        if p_equal <= EQUIVALENCE
        else "undecided"
        for c, p, p_worse, p_equal in zip(comparisons, p_better, worse, equal)
    ]


def sort_out(comparisons: Sequence[Comparison]) -> list[str]:
    """The verdict on each of a family of comparisons: as `judge` reads one, but whoever picks from
    several takes the best of several chances, so that of being better is corrected, too."""
    return directions(comparisons, holm([c.p_better for c in comparisons]))


def direction(comparison: Comparison) -> str:
    """The verdict on one comparison by itself: better, worse, practically equivalent, undecided."""
    return sort_out([comparison])[0]


POWER = 0.8


def smallest_found(gains: np.ndarray, draws: int, seed: int = 0) -> float:
    """The smallest true gain that a study like this would find in 80 % of the cases; gains (n,).

    By resampling: units are drawn again with replacement, their gains moved so that the estimate
    is 0. A true gain d is found in a draw if d exceeds minus the lower end of its 95 % interval:
    the wanted d is a quantile of these ends. Infinite where n units can decide nothing.
    """
    gains = np.asarray(gains, float)
    n = len(gains)
    centred = gains - np.median(walsh(gains))
    drawn = centred[np.random.default_rng(seed).integers(n, size=(draws, n))]
    low, _ = interval(walsh(drawn), n, ONE_SIDED)
    return max(0.0, float(np.quantile(-low, POWER, method="higher")))


class Prediction(NamedTuple):
    """Where the true gain on a new dataset lies, 95 %, and how much datasets differ truly.

    mean of the gains; between: standard deviation of true gains over datasets; within: root mean
    square of the standard errors that the seeds leave.
    """

    mean: float
    low: float
    high: float
    between: float
    within: float


def predict_new(gains: np.ndarray, errors: np.ndarray) -> Prediction:
    """The random-effects prediction interval for a new dataset (Higgins et al. 2009, eq. 12).

    gains (n,) of datasets, errors (n,) their standard errors over seeds, 0 where there is one seed.
    The variance between is what the seeds leave of the spread, by moments; the interval is mean
    +- t(n - 2) sqrt(between^2 + spread^2 / n), nan below three datasets. It covers a little less
    than 95 % where datasets are few and their seeds vary much: 92 % of 12 in the tests.
    """
    from scipy import stats

    n, mean = len(gains), float(np.mean(gains))
    within = float(np.mean(np.square(errors)))
    if n < 3:
        return Prediction(mean, math.nan, math.nan, math.nan, math.sqrt(within))
    spread = float(np.var(gains, ddof=1))
    between = max(0.0, spread - within)
    half = float(stats.t.ppf(0.975, n - 2)) * math.sqrt(between + spread / n)
    return Prediction(mean, mean - half, mean + half, math.sqrt(between), math.sqrt(within))


def binomial_interval(hits: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson's exact 95 % interval of a share, hits of n."""
    from scipy import stats

    low = stats.beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)
