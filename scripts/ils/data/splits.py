"""Splitting a dataset by a seed, and the normalisation that follows from its training part."""

from collections.abc import Mapping

import numpy as np

from ils.errors import UserError

Size = float | Mapping[str, float]


def count(size: Size, total: int) -> int:
    """How many of `total` samples a size of the config means.

    A number below 1 is a fraction, else a count. A mapping {fraction (all without it), at_most} is
    a fraction, and a count if that is less.
    """
    if isinstance(size, Mapping):
        return min(round(size.get("fraction", 1) * total), int(size["at_most"]))
    return round(size * total) if size < 1 else int(size)


def stratified(
    labels: np.ndarray, size: Size, rng: np.random.Generator, later: int = 0
) -> np.ndarray:
    """Draw `size` samples (see `count`), each class in proportion; returns a bool mask (N,).

    Class counts are rounded so that they add up: the classes with the largest remainders get one
    more. But as far as sizes allow, a class gives at least one sample, and leaves one to each of
    `later` draws from what is left; one of so few samples that it cannot gives half.
    """
    total, class_sizes = count(size, len(labels)), np.bincount(labels)
    most = np.maximum(class_sizes - later, class_sizes // 2)
    least = np.minimum(most, 1)
    if most.sum() < total:
        most = class_sizes
    if least.sum() > total:
        least = np.zeros_like(most)
    exact = class_sizes * (total / len(labels))
    chosen_sizes = np.clip(np.floor(exact).astype(int), least, most)
    while missing := total - chosen_sizes.sum():
        step = np.sign(missing)
        free = chosen_sizes < most if step > 0 else chosen_sizes > least
        chosen_sizes[np.where(free, step * (exact - chosen_sizes), -np.inf).argmax()] += step
    chosen = np.zeros(len(labels), bool)
    for label, n in enumerate(chosen_sizes):
        chosen[rng.permutation(np.flatnonzero(labels == label))[:n]] = True
    return chosen


def moments(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, float64.

    Per channel of images (N, C, H, W), per feature of a table (N, F).
    """
    if inputs.dtype != np.uint8:
        axes = (0, 2, 3) if inputs.ndim == 4 else 0
        return inputs.mean(axes, dtype=np.float64), inputs.std(axes, dtype=np.float64)
    # Counting each byte is exact, and 600,000 images are never copied as floats.
    values, counts = np.arange(256), np.zeros((inputs.shape[1], 256))
    for start in range(0, len(inputs), 1000):
        for channel, channel_counts in enumerate(counts):
            pixels = inputs[start : start + 1000, channel].reshape(-1)
            channel_counts += np.bincount(pixels, minlength=256)
    n = counts.sum(1)
    mean = counts @ values / n
    return mean, np.sqrt((counts * (values - mean[:, None]) ** 2).sum(1) / n)


def split(
    inputs: np.ndarray,
    labels: np.ndarray,
    official_test: np.ndarray,
    seed: int,
    *,
    name: str,
    test: Size,
    validation: Size,
    train: Size | None = None,
) -> dict[str, np.ndarray]:
    """Split a dataset by `seed`: the index arrays train, validation, test, and mean and std.

    `test`, `validation` and `train` are sizes as `stratified` takes them, each of what the ones
    before have left; without `train` all of that trains. An official test split (N,) bool is used
    as it is and `test` is then ignored. The indices are in dataset order. mean and std, float32,
    are those of the training samples only: per channel for images, shape (C,), per feature for
    tables, shape (F,); a constant feature gets std 1. `name` is the dataset's, for messages.
    """
    rng = np.random.default_rng([seed, 0])

    def drawn(key: str, size: Size, candidates: np.ndarray, later: int) -> np.ndarray:
        if count(size, len(candidates)) > len(candidates):
            raise UserError(
                f"dataset {name}: {key}: {size} samples are wanted of {len(candidates)} that are "
                f"left; lower it, or write {{at_most: {size}}}"
            )
        return stratified(labels[candidates], size, rng, later)

    everything = np.arange(len(labels))
    in_test = official_test if official_test.any() else drawn("test", test, everything, 2)
    rest = np.flatnonzero(~in_test)
    in_validation = drawn("validation", validation, rest, 1)
    training = rest[~in_validation]
    if train is not None:
        training = training[drawn("train", train, training, 0)]
    parts = {"train": training, "validation": rest[in_validation], "test": np.flatnonzero(in_test)}
    for part, indices in parts.items():
        if len(indices) < 2:
            raise UserError(
                f"dataset {name}: the {part} split has {len(indices)} samples; "
                "change its sizes in the config"
            )
    mean, std = moments(inputs[parts["train"]])
    normalisation = {
        "mean": mean.astype(np.float32),
        "std": np.where(std > 0, std, 1).astype(np.float32),
    }
    return parts | normalisation
