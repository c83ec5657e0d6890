"""Splitting a dataset by a seed, and the normalisation that follows from its training part."""

import numpy as np

from ils.errors import UserError


def stratified(labels, size, rng):
    """Draw `size` samples (a fraction below 1, else a count), each class in proportion; returns a bool mask (N,).

    Class counts are rounded so that they add up: the classes with the largest remainders get one more.
    """
    total = round(size * len(labels)) if size < 1 else int(size)
    counts = np.bincount(labels)
    exact = counts * (total / len(labels))
    take = np.floor(exact).astype(int)
    take[np.argsort(take - exact, kind="stable")[: total - take.sum()]] += 1
    chosen = np.zeros(len(labels), bool)
    for label, n in enumerate(take):
        chosen[rng.permutation(np.flatnonzero(labels == label))[:n]] = True
    return chosen


def split(inputs, labels, official_test, seed, test, validation, name):
    """Split a dataset by `seed`; returns the index arrays train, validation, test and the normalisation mean, std.

    `test` and `validation` are sizes as `stratified` takes them; an official test split is used as it is and `test` is
    then ignored. The indices are in dataset order. mean and std are those of the training samples only: per channel
    for images, shape (C,), per feature for tables, shape (F,); a constant feature gets std 1.
    """
    rng = np.random.default_rng([seed, 0])
    in_test = official_test if official_test.any() else stratified(labels, test, rng)
    rest = np.flatnonzero(~in_test)
    in_validation = stratified(labels[rest], validation, rng)
    parts = {"train": rest[~in_validation], "validation": rest[in_validation], "test": np.flatnonzero(in_test)}
    for part, indices in parts.items():
        if len(indices) < 2:
            raise UserError(f"dataset {name}: the {part} split has {len(indices)} samples; change its sizes in the config")
    train = inputs[parts["train"]]
    axes = (0, 2, 3) if train.ndim == 4 else 0
    std = train.std(axes, dtype=np.float64)
    parts["mean"] = train.mean(axes, dtype=np.float64).astype(np.float32)
    parts["std"] = np.where(std > 0, std, 1).astype(np.float32)
    return parts
