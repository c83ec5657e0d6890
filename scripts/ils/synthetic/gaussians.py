"""The six-Gaussian task of Section III: its density, samples of it and the Bayes-optimal model in closed form.

A geometry is a mapping {"covariance": (2, 2), "classes": K lists of {"mean": (2,), "weight": w}}, the same covariance
for all. Classes are equally probable; within a class the weights add up to 1. The first component of a class is its
dense part, the second its sparse one.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp


class Samples(NamedTuple):
    """Points x (N, 2), their classes y (N,) and the component of the class that each came from, part (N,)."""

    x: np.ndarray
    y: np.ndarray
    part: np.ndarray


def sample(geometry, per_class, generator):
    """Draw `per_class` points of each class, the components' shares multinomial."""
    x, y, part = [], [], []
    for label, components in enumerate(geometry["classes"]):
        counts = generator.multinomial(per_class, [c["weight"] for c in components])
        for index, (component, count) in enumerate(zip(components, counts)):
            x.append(
                generator.multivariate_normal(component["mean"], geometry["covariance"], count)
            )
            y += [label] * count
            part += [index] * count
    return Samples(np.concatenate(x), np.array(y), np.array(part))


def log_joint(geometry, x):
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


def log_normal(x, mean, covariance):
    """Return the log density (N,) of a bivariate normal distribution at x (N, 2); scipy.stats has it, and takes half a second to import."""
    away = x - np.asarray(mean)
    squared = (away @ np.linalg.inv(covariance) * away).sum(1)
    return -0.5 * (squared + np.log(np.linalg.det(2 * np.pi * np.asarray(covariance))))


def density(geometry, x):
    """Return p(x), shape (N,), the classes equally probable."""
    return np.exp(logsumexp(log_joint(geometry, x), axis=-1)) / len(geometry["classes"])


class Replicate(NamedTuple):
    """The data of one replicate, and the seed of the initial weights that all its networks share."""

    training: Samples
    validation: Samples
    test: Samples
    network_seed: int


def replicate(geometry, seed, number, training_per_class, validation_per_class, test_per_class):
    """Draw replicate `number`: a function of (seed, number) alone, whatever other replicates a job draws."""
    *streams, network = np.random.SeedSequence([seed, number]).spawn(4)
    sizes = (training_per_class, validation_per_class, test_per_class)
    parts = [
        sample(geometry, size, np.random.default_rng(stream))
        for size, stream in zip(sizes, streams)
    ]
    return Replicate(*parts, int(network.generate_state(1)[0]))
