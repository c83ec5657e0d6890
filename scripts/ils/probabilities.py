"""Probabilities of logits (..., N, K), any number of models, N samples, K classes; labels (N,) or
(..., N)."""

import numpy as np


def softmax(logits):
    """Return probabilities (..., K) in float64, stable for any logits."""
    return np.exp(log_softmax(logits))


def log_softmax(logits):
    """Return log-probabilities (..., K) in float64."""
    by_class = np.array(
        np.moveaxis(logits, -1, 0), np.float64, order="C"
    )  # sums over few classes are fastest this way
    by_class -= by_class.max(0)
    by_class -= np.log(np.exp(by_class).sum(0))
    return np.moveaxis(by_class, 0, -1)


def true_class(values, labels):
    """Return values[..., n, labels[..., n]], shape (..., N), whose leading dimensions broadcast."""
    shape = np.broadcast_shapes(values.shape[:-1], np.shape(labels))
    values = np.broadcast_to(values, (*shape, values.shape[-1]))
    return np.take_along_axis(values, np.broadcast_to(labels, shape)[..., None], -1)[..., 0]


def cross_entropy(logits, labels):
    """Mean -log p_t in nats, from logits: a probability that underflows to 0 would make it
    infinite."""
    return -true_class(log_softmax(logits), labels).mean(-1)
