"""Splitting a dataset by a seed, and the normalisation that follows from its training part."""

import numpy as np
from ils.errors import UserError


def count(size, total):
    """How many of `total` samples a size of the config means: a fraction below 1, else a count."""
    return round(size * total) if size < 1 else int(size)


def stratified(labels, size, rng):
    """Draw `size` samples (see `count`), each class in proportion; returns a bool mask (N,).

    Class counts are rounded so that they add up: the classes with the largest remainders get one more.
    """
    total = count(size, len(labels))
    counts = np.bincount(labels)
    exact = counts * (total / len(labels))
    take = np.floor(exact).astype(int)
    take[np.argsort(take - exact, kind="stable")[: total - take.sum()]] += 1
    chosen = np.zeros(len(labels), bool)
    for label, n in enumerate(take):
        chosen[rng.permutation(np.flatnonzero(labels == label))[:n]] = True
    return chosen


def moments(inputs):
    """Mean and standard deviation, float64: per channel of images (N, C, H, W), per feature of a table (N, F)."""
    if inputs.dtype != np.uint8:
        axes = (0, 2, 3) if inputs.ndim == 4 else 0
        return inputs.mean(axes, dtype=np.float64), inputs.std(axes, dtype=np.float64)
    # Counting each byte is exact, and 600,000 images are never copied as floats.
    values, counts = np.arange(256), np.zeros((inputs.shape[1], 256))
    for start in range(0, len(inputs), 1000):
        for channel, seen in enumerate(counts):
            seen += np.bincount(inputs[start : start + 1000, channel].reshape(-1), minlength=256)
    n = counts.sum(1)
    mean = counts @ values / n
    return mean, np.sqrt((counts * (values - mean[:, None]) ** 2).sum(1) / n)


def split(inputs, labels, official_test, seed, *, name, test, validation, train=None):
    """Split a dataset by `seed`; returns the index arrays train, validation, test and the normalisation mean, std.

    `test`, `validation` and `train` are sizes as `stratified` takes them, each of what the ones before have left;
    without `train` all of that trains. An official test split is used as it is and `test` is then ignored. The indices
    are in dataset order. mean and std are those of the training samples only: per channel for images, shape (C,), per
    feature for tables, shape (F,); a constant feature gets std 1.
    """
    rng = np.random.default_rng([seed, 0])

    def drawn(key, size, candidates):
        if size > len(candidates):
            raise UserError(
                f"dataset {name}: {key}: {size} samples are wanted of {len(candidates)} that are left; lower it"
            )
        return stratified(labels[candidates], size, rng)

    in_test = official_test if official_test.any() else drawn("test", test, np.arange(len(labels)))
    rest = np.flatnonzero(~in_test)
    in_validation = drawn("validation", validation, rest)
    in_train = rest[~in_validation]
    if train is not None:
        in_train = in_train[drawn("train", train, in_train)]
    parts = {"train": in_train, "validation": rest[in_validation], "test": np.flatnonzero(in_test)}
    for part, indices in parts.items():
        if len(indices) < 2:
            raise UserError(
                f"dataset {name}: the {part} split has {len(indices)} samples; change its sizes in the config"
            )
    mean, std = moments(inputs[parts["train"]])
    parts["mean"] = mean.astype(np.float32)
    parts["std"] = np.where(std > 0, std, 1).astype(np.float32)
    return parts
