"""Where data comes from.

A source is a function that returns a `Raw` dataset; its keyword-only parameters are the config's
`options`. To add one, write it under `@source` and name it in one entry of the config's `datasets`.
Only this module sees raw formats.
"""

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ils.data.foreign import BROKEN, foreign, retry
from ils.data.images import read_idx, read_images
from ils.errors import UserError

MIN_CLASS = 4  # half of a class tests, half of the rest validates, and each part needs a sample
MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")  # Pillow's of one byte a channel


class Raw(NamedTuple):
    """A dataset in its own order: the row number of a sample is its id.

    inputs: (N, C, H, W) uint8 images or (N, F) float32 tables; labels: (N,) int64 in 0..K-1;
    classes: K names; official_test: (N,) bool, true for the samples of the official test split, or
    all false when there is none; origin: the file, folder or number that it came from, for
    messages; notes: what was done to it, JSON-serialisable, for the log and the prepared file.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: list[str]
    official_test: np.ndarray
    origin: str = ""
    notes: Mapping[str, Any] = {}


Function = TypeVar("Function", bound=Callable[..., Raw])
Part = tuple[np.ndarray, np.ndarray]  # inputs and labels of a training or test split


def source(function: Function) -> Function:
    """Make a source available to the config under its function's name."""
    return function


@source
def sklearn(*, set: str) -> Raw:
    """scikit-learn's embedded sets, which need no network.

    digits (images 1x8x8), wine, iris, breast_cancer (tables).
    """
    from sklearn import datasets

    loaders = {
        name: getattr(datasets, f"load_{name}")
        for name in ("digits", "wine", "iris", "breast_cancer")
    }
    if set not in loaders:
        raise UserError(f"options.set: {set!r} is none of {', '.join(loaders)}")
    bunch = loaders[set]()
    if set == "digits":
        inputs = bunch.images[:, None].astype(np.uint8)
    else:
        inputs = bunch.data.astype(np.float32)
    names = [str(name) for name in bunch.target_names]
    return Raw(inputs, bunch.target.astype(np.int64), names, np.zeros(len(inputs), bool))


@source
def table(
    *,
    file: str,
    target: str | None = None,
    drop: Sequence[str] = (),
    split: str | None = None,
    package: str | None = None,
    rare: str = "refuse",
    min_class: int = MIN_CLASS,
) -> Raw:
    """A table in a CSV, TSV, ARFF, KEEL (.dat) or Parquet file, or in one of an installed package.

    What its columns become, what is missing and what the options mean: `dataset_of`. ARFF and KEEL
    files say themselves which column is the target, or it is the last.
    """
    from ils.data.table_files import file_of, read
    from ils.data.tables import dataset_of

    found = read(file_of(file, package))
    target = target or found.target
    if target is None:
        raise UserError(f"{file}: options.target must name the column that holds the classes")
    return dataset_of(found, target, drop=drop, split=split, rare=rare, min_class=min_class)


@source
def openml(
    *, id: int, drop: Sequence[str] = (), rare: str = "refuse", min_class: int = MIN_CLASS
) -> Raw:
    """A table of openml.org by its number, which needs a network; then as a `table` of a file."""
    import pandas as pd
    from sklearn.datasets import fetch_openml

    from ils.data.table_files import Table
    from ils.data.tables import dataset_of

    try:
        frame, target = fetch_openml(data_id=id, as_frame=True, return_X_y=True, parser="liac-arff")
    except (*BROKEN, ValueError) as error:  # no network; no such set
        raise UserError(
            f"options.id: cannot get OpenML {id} ({error}); check the number and the network"
        ) from None
    if not isinstance(target.dtype, pd.CategoricalDtype):
        raise UserError(f"options.id: the target of OpenML {id} is no class; choose another set")
    found = Table(frame.assign(**{target.name: target}), f"OpenML {id}")
    return dataset_of(found, target.name, drop=drop, rare=rare, min_class=min_class)


def join(parts: Iterable[Part]) -> Part:
    """Put the samples of some splits behind each other."""
    inputs, labels = (np.concatenate(arrays) for arrays in zip(*parts))
    return inputs, labels


def with_test(training: Part, test: Part | None, classes: list[str], origin: str | Path) -> Raw:
    """Join an official training and test split; `test` is None where there is none."""
    inputs, labels = join([training] if test is None else [training, test])
    official_test = np.arange(len(labels)) >= len(training[1])
    return Raw(inputs, labels.astype(np.int64), classes, official_test, str(origin))


@source
def torchvision(*, set: str, root: str) -> Raw:
    """CIFAR10, CIFAR100, SVHN (its extra images join the training split) or FashionMNIST.

    Downloaded into the folder `root` by torchvision once, and verified by checksum at every
    reading: CIFAR's archives and the pickles in them are opened only if they are the official ones,
    byte for byte.
    """
    if set in ("CIFAR10", "CIFAR100"):
        return cifar(set, root)
    if set == "SVHN":
        return svhn(root)
    if set == "FashionMNIST":
        return fashion_mnist(root)
    raise UserError(f"options.set: {set!r} is none of CIFAR10, CIFAR100, SVHN, FashionMNIST")


def cifar(set: str, root: str) -> Raw:
    """CIFAR10 or CIFAR100."""
    from torchvision import datasets

    kind = getattr(datasets, set)

    def part(train: bool) -> Part:
        data = kind(root, train=train, download=True)
        return data.data.transpose(0, 3, 1, 2), np.array(data.targets)

    training, test = (
        retry(functools.partial(part, train), set, [kind.filename], root) for train in (True, False)
    )
    return with_test(training, test, kind(root).classes, root)


def svhn(root: str) -> Raw:
    """SVHN, its extra images in the training split."""
    from torchvision import datasets

    def part(name: str) -> Part:
        data = datasets.SVHN(root, name, download=True)
        return data.data, data.labels

    training, extra, test = (
        retry(functools.partial(part, name), "SVHN", [datasets.SVHN.split_list[name][1]], root)
        for name in ("train", "extra", "test")
    )
    return with_test(join([training, extra]), test, [str(digit) for digit in range(10)], root)


def fashion_mnist(root: str) -> Raw:
    """FashionMNIST."""
    from torchvision.datasets import FashionMNIST
    from torchvision.datasets.utils import download_url

    folder = Path(root, "FashionMNIST", "raw")
    for name, md5 in FashionMNIST.resources:
        url = FashionMNIST.mirrors[0] + name
        download = functools.partial(download_url, url, folder, name, md5)
        retry(download, "FashionMNIST", [name], folder)
    return idx(folder=folder, classes=FashionMNIST.classes)


@source
def idx(*, folder: str | Path, classes: Sequence[str] | None = None) -> Raw:
    """The four files of MNIST and its successors in a local folder.

    train- and t10k-, images and labels, .gz or not. `classes` names the classes; without it they
    are numbered.
    """

    def file(name: str) -> Path:
        packed, plain = Path(folder, f"{name}.gz"), Path(folder, name)
        if not packed.exists() and not plain.exists():
            raise UserError(f"{packed}: no such file; options.folder must hold the four idx files")
        return packed if packed.exists() else plain

    def part(name: str) -> Part:
        images = read_idx(file(f"{name}-images-idx3-ubyte"), 3)
        path = file(f"{name}-labels-idx1-ubyte")
        labels = read_idx(path, 1)
        if len(images) != len(labels):
            raise UserError(
                f"{path}: {len(labels)} labels for {len(images)} images; get the files again"
            )
        return images[:, None], labels

    training, test = part("train"), part("t10k")
    sizes = [images.shape[2:] for images, _ in (training, test)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{folder}: training images are {sizes[0]} and test images {sizes[1]} pixels"
        )
    names = [str(name) for name in classes or range(training[1].max(initial=0) + 1)]
    return with_test(training, test, names, folder)


@source
def image_folder(
    *,
    train: str,
    test: str | None = None,
    size: Sequence[int] | None = None,
    mode: str = "RGB",
) -> Raw:
    """Image files in one folder per class, torchvision's ImageFolder layout.

    That is `train`/<class>/<file>. `test` is a second such folder, of the same classes: an official
    test split. Images must be of one size, or `size` [height, width] scales them to it. `mode` is
    Pillow's: "RGB", or "L" for grey. Links are followed, wherever they lead, but not to the same
    folder twice.
    """
    if mode not in MODES:
        raise UserError(f"options.mode: {mode!r} is none of {', '.join(MODES)}")
    training, classes = read_images(train, size, mode)
    if test is None:
        return with_test(training, None, classes, train)
    tested, test_classes = read_images(test, size, mode)
    if test_classes != classes:
        raise UserError(
            f"{test}: its classes {', '.join(test_classes)} are not those of {train}, "
            f"{', '.join(classes)}"
        )
    if tested[0].shape[1:] != training[0].shape[1:]:
        raise UserError(
            f"{test}: its images differ in size from those of {train}; set options.size"
        )
    return with_test(training, tested, classes, f"{train}, {test}")


def read_npz(file: str) -> dict[str, np.ndarray]:
    """Return the arrays of a .npz file by name; nothing is unpickled."""
    if not os.path.lexists(file):
        raise UserError(f"{file}: no such file; correct options.file")
    with foreign(file, "get the file again"), open(file, "rb") as opened:
        start = opened.read(6)
    if start == b"\x93NUMPY":
        raise UserError(
            f"{file}: is a .npy file of one array; save inputs and labels with numpy.savez"
        )
    if start[:2] != b"PK":
        raise UserError(
            f"{file}: is no .npz file as numpy.savez writes it; tables in CSV, TSV, ARFF and "
            "Parquet files are for source: table"
        )
    arrays = {}
    with foreign(file, "get the file again"), np.load(file, allow_pickle=False) as loaded:
        for name in loaded.files:
            try:
                arrays[name] = loaded[name]
            except ValueError:
                raise UserError(
                    f"{file}: the array {name!r} holds Python objects or is damaged; save it again "
                    "as numbers, or `classes` as text"
                ) from None
    return arrays


@source
def npz(*, file: str) -> Raw:
    """A NumPy .npz file: `inputs` (N, C, H, W) or (N, F) and integer `labels` (N,).

    Where there is an official test split also `official_test` (N,) bool; `classes`, K names, may be
    left out. Bytes stay bytes, other inputs become float32.
    """
    arrays = read_npz(file)
    if missing := {"inputs", "labels"} - arrays.keys():
        raise UserError(
            f"{file}: lacks the array(s) {', '.join(sorted(missing))}; "
            f"it has {', '.join(arrays) or 'none'}"
        )
    inputs, labels = arrays["inputs"], arrays["labels"]
    if inputs.dtype.kind not in "buif" or labels.dtype.kind not in "ui":
        raise UserError(
            f"{file}: inputs are {inputs.dtype} and labels {labels.dtype}; "
            "they must be numbers and integers"
        )
    marks = arrays.get("official_test", np.zeros(labels.shape, bool))
    if marks.dtype.kind not in "bui":
        raise UserError(f"{file}: official_test is {marks.dtype}; it must be true or false")
    if "classes" not in arrays and labels.max(initial=0) >= max(labels.size, 1):
        raise UserError(
            f"{file}: labels run to {labels.max()} for {labels.size} samples; "
            "number the classes from 0, or name them"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        inputs = inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32)
    names = arrays.get("classes", np.arange(labels.max(initial=0) + 1))
    classes = [str(name) for name in np.ravel(names)]
    return Raw(inputs, labels.astype(np.int64), classes, marks.astype(bool), str(file))


def check(raw: Raw, name: str) -> None:
    """Raise UserError unless `raw` is a dataset that every later stage can use."""
    if wrong := wrong_shape(raw) or wrong_class(raw) or wrong_number(raw):
        raise UserError(
            f"dataset {name}: {raw.origin}: {wrong}" if raw.origin else f"dataset {name}: {wrong}"
        )


def wrong_shape(raw: Raw) -> str | None:
    """What is wrong with the shapes of a dataset's arrays, if anything."""
    shape = raw.inputs.shape
    if raw.inputs.ndim not in (2, 4) or 0 in shape:
        return f"inputs of shape {shape} are neither images (N, C, H, W) nor a table (N, F)"
    if len(shape) == 4 and shape[1] > 4 >= shape[3]:
        return (
            f"images of shape {shape} have their channels last; they must come first, (N, C, H, W)"
        )
    if raw.labels.shape != shape[:1] or raw.official_test.shape != shape[:1]:
        labels, marks = (
            " x ".join(map(str, array.shape)) or "single"
            for array in (raw.labels, raw.official_test)
        )
        return f"{shape[0]} inputs but {labels} labels and {marks} test marks"
    return None


def wrong_class(raw: Raw) -> str | None:
    """What is wrong with the labels and classes of a dataset, if anything."""
    k = len(raw.classes)
    if raw.labels.min() < 0 or raw.labels.max() >= k:
        return f"labels run from {raw.labels.min()} to {raw.labels.max()} but there are {k} classes"
    if k < 2:
        return f"all samples are of one class, {raw.classes[0]!r}; a dataset has two or more"
    counts = np.bincount(raw.labels, minlength=k)
    label = int(counts.argmin())
    if not counts[label]:
        return (
            f"no sample has the label {label} (class {raw.classes[label]!r}); number the classes "
            "that there are from 0, without gaps"
        )
    if counts[label] == 1:
        return (
            f"class {raw.classes[label]!r} (label {label}) has 1 sample, which cannot both train "
            "and test; remove it, or join the class with another"
        )
    if not np.isin(np.arange(k), raw.labels[~raw.official_test]).all():
        untrained = np.setdiff1d(np.arange(k), raw.labels[~raw.official_test])[0]
        return f"class {raw.classes[untrained]!r} (label {untrained}) is in the official test only"
    return None


def wrong_number(raw: Raw) -> str | None:
    """What is wrong with the numbers of a dataset's inputs, if anything."""
    if raw.inputs.dtype.kind != "f" or np.isfinite(raw.inputs).all():
        return None
    infinite = ~np.isfinite(raw.inputs)
    sample, column, *_ = np.argwhere(infinite)[0]
    what = "column" if raw.inputs.ndim == 2 else "channel"
    return (
        f"{infinite[:, column].sum()} inputs in {what} {column} are not finite numbers, the first "
        f"in sample {sample} (counted from 0); a table in a CSV or Parquet file may have missing "
        "values, see source: table"
    )
