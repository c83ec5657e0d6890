"""Where data comes from, and how it is split.

A source is a function that returns a `Raw` dataset; its keyword-only parameters are the config's `options`. To add
one, write it under `@source` and name it in one entry of the config's `datasets`. Only this module sees raw formats.
"""

from typing import NamedTuple

import numpy as np

from ils.errors import UserError

SOURCES = {}


def source(function):
    """Make a source available to the config under its function's name."""
    SOURCES[function.__name__] = function
    return function


class Raw(NamedTuple):
    """A dataset in its own order: the row number of a sample is its id.

    inputs: (N, C, H, W) uint8 images or (N, F) float32 tables; labels: (N,) int64 in 0..K-1; classes: K names;
    official_test: (N,) bool, true for the samples of the official test split, or all false when there is none.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: list
    official_test: np.ndarray


@source
def sklearn(*, set):
    """scikit-learn's embedded sets, which need no network: digits (images 1x8x8), wine, iris, breast_cancer (tables)."""
    from sklearn import datasets

    loaders = {name: getattr(datasets, f"load_{name}") for name in ("digits", "wine", "iris", "breast_cancer")}
    if set not in loaders:
        raise UserError(f"options.set: {set!r} is none of {', '.join(loaders)}")
    bunch = loaders[set]()
    inputs = bunch.images[:, None].astype(np.uint8) if set == "digits" else bunch.data.astype(np.float32)
    names = [str(name) for name in bunch.target_names]
    return Raw(inputs, bunch.target.astype(np.int64), names, np.zeros(len(inputs), bool))


def check(raw, name):
    """Raise UserError unless `raw` is a dataset that every later stage can use."""
    n, k = len(raw.inputs), len(raw.classes)
    wrong = None
    if raw.inputs.ndim not in (2, 4):
        wrong = f"inputs of shape {raw.inputs.shape} are neither images (N, C, H, W) nor a table (N, F)"
    elif raw.labels.shape != (n,) or raw.official_test.shape != (n,):
        wrong = f"{n} inputs but {len(raw.labels)} labels and {len(raw.official_test)} test marks"
    elif k < 2 or raw.labels.min() < 0 or raw.labels.max() >= k:
        wrong = f"labels run from {raw.labels.min()} to {raw.labels.max()} but there are {k} classes"
    elif not np.isfinite(raw.inputs).all():
        wrong = "some inputs are not finite numbers"
    if wrong:
        raise UserError(f"dataset {name}: {wrong}")


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
