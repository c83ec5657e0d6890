"""The six-Gaussian task of Section III: density, samples, and the Bayes-optimal model.

A geometry is a mapping {"covariance": (2, 2), "classes": K lists of {"mean": (2,), "weight": w}},
the same covariance for all. Classes are equally probable; within a class the weights add up to 1.
The first component of a class is its dense part, the second its sparse one.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp


class Samples(NamedTuple):
    """Points x (N, 2), their classes y (N,) and the component that each came from, part (N,).

    A component is counted within its class.
    """

    x: np.ndarray
    y: np.ndarray
    part: np.ndarray


def sample(geometry: Mapping[str, Any], per_class: int, generator: np.random.Generator) -> Samples:
    """Draw `per_class` points of each class, the components' shares multinomial."""
    x: list[np.ndarray] = []
    y: list[int] = []
    part: list[int] = []
    for label, components in enumerate(geometry["classes"]):
        counts = generator.multinomial(per_class, [c["weight"] for c in components])
        for index, (component, count) in enumerate(zip(components, counts)):
            mean, covariance = component["mean"], geometry["covariance"]
            x.append(generator.multivariate_normal(mean, covariance, count))
            y += [label] * count
            part += [index] * count
    return Samples(np.concatenate(x), np.array(y), np.array(part))


def log_joint(geometry: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Return log p(x, c), shape (N, K), up to the constant log K.

    These are logits of the Bayes-optimal model: their softmax over classes is p(c | x).
    """
    columns = []
    for components in geometry["classes"]:
        parts = [
            np.log(c["weight"]) + log_normal(x, c["mean"], geometry["covariance"])
            for c in components
        ]
        columns.append(logsumexp(parts, axis=0))
    return np.stack(columns, axis=-1)


def log_normal(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the log density (N,) of a bivariate normal distribution at x (N, 2).

    scipy.stats has it, and takes half a second to import.
    """
    away = x - np.asarray(mean)
    squared = (away @ np.linalg.inv(covariance) * away).sum(1)
    return -0.5 * (squared + np.log(np.linalg.det(2 * np.pi * np.asarray(covariance))))


def density(geometry: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Return p(x), shape (N,), the classes equally probable."""
    return np.exp(logsumexp(log_joint(geometry, x), axis=-1)) / len(geometry["classes"])


class Replicate(NamedTuple):
    """The data of one replicate, and the seed of the initial weights that its networks share."""

    training: Samples
    validation: Samples
    test: Samples
    network_seed: int


def replicate(
    geometry: Mapping[str, Any],
    seed: int,
    number: int,
    training_per_class: int,
    validation_per_class: int,
    test_per_class: int,
) -> Replicate:
    """Draw replicate `number`: a function of (seed, number) alone, whatever else a job draws."""
    *streams, network = np.random.SeedSequence([seed, number]).spawn(4)
    sizes = (training_per_class, validation_per_class, test_per_class)
    training, validation, test = (
        sample(geometry, size, np.random.default_rng(stream))
        for size, stream in zip(sizes, streams)
    )
    return Replicate(training, validation, test, int(network.generate_state(1)[0]))
