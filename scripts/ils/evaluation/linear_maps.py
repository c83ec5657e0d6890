"""Calibrators that are linear maps: vector scaling of logits, Dirichlet calibration of
log-probabilities.

Both make softmax(W x) of a sample's features x, a 1 behind them for the intercepts, and find W by
cross-entropy and a penalty on what parts it from the identity: a convex problem, solved by Newton
steps. How strong the penalty is the validation data say, too, by cross-validation.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from ils.evaluation.calibration import FOLDS, folds_of
from ils.evaluation.calibrators import Fitted, calibrator, each_model
from ils.probabilities import cross_entropy, log_softmax, softmax

CLOSE = 1e-8  # nats: by no more than this a fit may miss the minimum, about
NEAR = 1e-5  # the same where fits are only compared
MOST_STEPS = 100
MANY = 1500  # free entries: a Newton step takes longer than many gradients
LOOSE = 1e-4  # the weakest penalty: keeps the weights finite where a class is separable


class Problem(NamedTuple):
    """What a map is fitted to: features (N, F), the last of them 1, labels (N,), which entries of
    W (K, F) are free, bool, and the weight of each in the penalty."""

    x: np.ndarray
    labels: np.ndarray
    free: np.ndarray
    penalty: np.ndarray

    def loss(self, w: np.ndarray) -> float:
        """mean -log softmax(W x)_y + sum penalty (W - I)^2, in nats."""
        away = w - np.eye(*w.shape)
        return float(cross_entropy(self.x @ w.T, self.labels) + (self.penalty * away**2).sum())

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """The derivatives (P,) of `loss` by the free entries, row by row."""
        error = softmax(self.x @ w.T)
        error[np.arange(len(error)), self.labels] -= 1
        away = w - np.eye(*w.shape)
        return (error.T @ self.x / len(error) + 2 * self.penalty * away)[self.free]

    def hessian(self, w: np.ndarray) -> np.ndarray:
        """Its second derivatives (P, P)."""
        rows, columns = np.nonzero(self.free)
        p = softmax(self.x @ w.T)
        features = self.x[:, columns]
        outer = p[:, rows] * features
        result = outer.T @ outer / -len(p)
        for row in np.unique(rows):
            own = slice(*np.searchsorted(rows, [row, row + 1]))
            result[own, own] += outer[:, own].T @ features[:, own] / len(p)
        result[np.diag_indices(len(rows))] += 2 * self.penalty[self.free]
        return result

    def moved(self, w: np.ndarray, by: np.ndarray) -> np.ndarray:
        """W with (P,) added to its free entries."""
        result = w.copy()
        result[self.free] += by
        return result


def minimum(problem: Problem, start: np.ndarray, close: float) -> np.ndarray:
    """Return the W (K, F) of the least loss, about to `close` nats.

    By Newton steps from `start`, each halved until it gains; half the step times the gradient
    estimates what is left. Of MANY entries and more by L-BFGS, until a step gains less.
    """
    if problem.free.sum() >= MANY:
        return by_gradients(problem, start, close)
    w, loss = start, problem.loss(start)
    for _ in range(MOST_STEPS):
        gradient = problem.gradient(w)
        step = cho_solve(cho_factor(problem.hessian(w)), -gradient)
        slope, size = float(gradient @ step), 1.0
        while (then := problem.loss(problem.moved(w, size * step))) > loss + 1e-4 * size * slope:
            size /= 2
            if size < 1e-9:  # nothing but rounding is left
                return w
        w, loss = problem.moved(w, size * step), then
        if -slope / 2 <= close:
            break
    return w


def by_gradients(problem: Problem, start: np.ndarray, close: float) -> np.ndarray:
    """`minimum` where a Hessian would be too large."""

    def loss_and_gradient(by):
        w = problem.moved(start, by)
        return problem.loss(w), problem.gradient(w)

    options = {"ftol": close, "gtol": 0, "maxiter": 10_000, "maxfun": 20_000, "maxcor": 30}
    zeros = np.zeros(problem.free.sum())
    found = minimize(loss_and_gradient, zeros, jac=True, method="L-BFGS-B", options=options)
    return problem.moved(start, found.x)


def validated(
    x: np.ndarray, labels: np.ndarray, free: np.ndarray, penalties: Iterable[np.ndarray]
) -> tuple[np.ndarray, int]:
    """Return W (K, F), fitted with that of the `penalties` (K, F) whose fits to all but one fold
    have the least cross-entropy on that fold, and its place among them.

    The first of equal ones, and of less samples than folds; so the strongest comes first.
    """
    penalties, identity = list(penalties), np.eye(*free.shape)
    held_out = np.zeros(len(penalties))
    folds = folds_of(labels)
    for fold in range(FOLDS if len(labels) >= FOLDS and len(penalties) > 1 else 0):
        own, w = folds == fold, identity
        for place, penalty in enumerate(penalties):
            w = minimum(Problem(x[~own], labels[~own], free, penalty), w, NEAR)
            held_out[place] += own.sum() * cross_entropy(x[own] @ w.T, labels[own])
    best = int(held_out.argmin())
    return minimum(Problem(x, labels, free, penalties[best]), identity, CLOSE), best


def with_one(features: np.ndarray) -> np.ndarray:
    """Features (N, F), in float64, with a 1 behind each sample's."""
    return np.concatenate([features, np.ones((len(features), 1))], axis=1, dtype=np.float64)


@calibrator
@each_model
def vector(logits, labels, *, penalties=(0.001, 0.01, 0.1, 1.0)):
    """Vector scaling, softmax(w * z + b), Guo et al. 2017, section 4.2.

    w and b (K,) minimise the cross-entropy plus penalty / K sum_k (w_k - 1)^2 + b_k^2: without a
    penalty the minimum is at infinity where a class can be told without error.
    """
    classes = logits.shape[1]
    diagonal = np.eye(classes, classes + 1, dtype=bool)
    free = diagonal | (np.arange(classes + 1) == classes)
    strong_first = sorted(penalties, reverse=True)
    weights = [np.where(free, penalty / classes, 0) for penalty in strong_first]
    w, best = validated(with_one(logits), labels, free, weights)
    return Fitted(lambda z: with_one(z) @ w.T, {"penalty": strong_first[best]})


@calibrator
@each_model
def dirichlet(
    logits, labels, *, penalties=(0.01, 0.1, 1.0, 10.0, 100.0), intercept_penalties=(0.01, 0.1, 1.0)
):
    """Dirichlet calibration, softmax(W log p + b), Kull et al. 2019, with their off-diagonal and
    intercept regularisation (ODIR).

    W (K, K) and b (K,) minimise the cross-entropy plus lambda / (K (K - 1)) sum_{i != j} w_ij^2 +
    mu / K sum_j b_j^2; lambda is one of `penalties`, mu one of `intercept_penalties`. LOOSE / K
    sum_j (w_jj - 1)^2 keeps the diagonal finite where a class can be told without error.
    """
    classes = logits.shape[1]
    diagonal = np.eye(classes, classes + 1, dtype=bool)
    intercepts = np.arange(classes + 1) == classes

    def weights(pair):
        off_diagonal = pair[0] / (classes * (classes - 1))
        odir = np.where(intercepts, pair[1] / classes, off_diagonal)
        return np.where(diagonal, LOOSE / classes, odir)

    by_strength = (sorted(values, reverse=True) for values in (intercept_penalties, penalties))
    pairs = [(off, intercept) for intercept, off in itertools.product(*by_strength)]
    free = np.ones(diagonal.shape, bool)
    w, best = validated(with_one(log_softmax(logits)), labels, free, map(weights, pairs))
    parameters = dict(zip(("penalty", "intercept_penalty"), pairs[best]))
    return Fitted(lambda z: with_one(log_softmax(z)) @ w.T, parameters)
