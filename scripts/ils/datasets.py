"""Where data comes from.

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


@source
def openml(*, id):
    """A table of openml.org by its number, which needs a network: one column a category, numbers as they are."""
    import pandas as pd
    from sklearn.datasets import fetch_openml

    try:
        table, target = fetch_openml(data_id=id, as_frame=True, return_X_y=True, parser="liac-arff")
    except (OSError, ValueError) as error:  # no network; no such set
        raise UserError(f"options.id: cannot get OpenML {id} ({error}); check the number and the network") from None
    if not isinstance(target.dtype, pd.CategoricalDtype):
        raise UserError(f"options.id: the target of OpenML {id} is no class; choose another set")
    inputs = pd.get_dummies(table).to_numpy(np.float32)
    if target.isna().any() or np.isnan(inputs).any():
        raise UserError(f"options.id: OpenML {id} has missing values; choose another set")
    target = target.cat.remove_unused_categories()
    names = [str(name) for name in target.cat.categories]
    return Raw(inputs, target.cat.codes.to_numpy(np.int64), names, np.zeros(len(inputs), bool))


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
