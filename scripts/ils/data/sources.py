"""Where data comes from.

A source is a function that returns a `Raw` dataset; its keyword-only parameters are the config's `options`. To add
one, write it under `@source` and name it in one entry of the config's `datasets`. Only this module sees raw formats.
"""

import contextlib
import gzip
import math
import os
import socket
import time
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import numpy as np
from ils.errors import UserError
from ils.job import log
from tqdm import tqdm

RETRIES = (5, 30)  # seconds to wait before the second and the third attempt to download
BROKEN = (OSError, EOFError, HTTPException)  # what broken connections raise
MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")  # Pillow's of one byte a channel


def source(function):
    """Make a source available to the config under its function's name."""
    return function


class Raw(NamedTuple):
    """A dataset in its own order: the row number of a sample is its id.

    inputs: (N, C, H, W) uint8 images or (N, F) float32 tables; labels: (N,) int64 in 0..K-1; classes: K names;
    official_test: (N,) bool, true for the samples of the official test split, or all false when there is none;
    origin: the file, folder or number that it came from, for messages.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: list
    official_test: np.ndarray
    origin: str = ""


@source
def sklearn(*, set):
    """scikit-learn's embedded sets, which need no network: digits (images 1x8x8), wine, iris, breast_cancer (tables)."""
    from sklearn import datasets

    loaders = {
        name: getattr(datasets, f"load_{name}")
        for name in ("digits", "wine", "iris", "breast_cancer")
    }
    if set not in loaders:
        raise UserError(f"options.set: {set!r} is none of {', '.join(loaders)}")
    bunch = loaders[set]()
    inputs = (
        bunch.images[:, None].astype(np.uint8) if set == "digits" else bunch.data.astype(np.float32)
    )
    names = [str(name) for name in bunch.target_names]
    return Raw(inputs, bunch.target.astype(np.int64), names, np.zeros(len(inputs), bool))


@source
def openml(*, id):
    """A table of openml.org by its number, which needs a network: one column a category, numbers as they are."""
    import pandas as pd
    from sklearn.datasets import fetch_openml

    try:
        table, target = fetch_openml(data_id=id, as_frame=True, return_X_y=True, parser="liac-arff")
    except (*BROKEN, ValueError) as error:  # no network; no such set
        raise UserError(
            f"options.id: cannot get OpenML {id} ({error}); check the number and the network"
        ) from None
    if not isinstance(target.dtype, pd.CategoricalDtype):
        raise UserError(f"options.id: the target of OpenML {id} is no class; choose another set")
    inputs = pd.get_dummies(table).to_numpy(np.float32)
    if target.isna().any() or np.isnan(inputs).any():
        raise UserError(f"options.id: OpenML {id} has missing values; choose another set")
    target = target.cat.remove_unused_categories()
    names = [str(name) for name in target.cat.categories]
    return Raw(inputs, target.cat.codes.to_numpy(np.int64), names, np.zeros(len(inputs), bool))


@contextlib.contextmanager
def foreign(path, remedy):
    """Turn whatever a parser makes of a foreign file into a UserError that names it.

    What is no plain file is not even opened: a pipe would wait and a device not end.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path}: cannot be read: it is no file; {remedy}")
    try:
        yield
    except (
        Exception
    ) as error:  # of whatever kind: damaged bytes raise anything, SyntaxError included
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); {remedy}") from None


def with_test(training, test, classes, origin):
    """Join the (inputs, labels) of an official training and test split; `test` is None where there is none."""
    parts = [training] if test is None else [training, test]
    inputs, labels = (np.concatenate(arrays) for arrays in zip(*parts))
    return Raw(
        inputs,
        labels.astype(np.int64),
        classes,
        np.arange(len(labels)) >= len(training[1]),
        str(origin),
    )


def retry(download, what, files, root):
    """Return `download()`, tried three times; UserError when every attempt fails.

    The download itself verifies checksums, so a file that a broken connection left is fetched again.
    """
    socket.setdefaulttimeout(60)
    for wait in (*RETRIES, None):
        try:
            return download()
        except (
            *BROKEN,
            RuntimeError,
        ) as error:  # no network, a full disk; torchvision: a wrong checksum
            reason = error.reason if isinstance(error, URLError) else error
            log.warning("%s: download failed: %s", what, reason)
        if wait is not None:
            time.sleep(wait)
    raise UserError(
        f"{root}: no verified copy of {what}, and downloading it failed ({reason}); check the network, or put the "
        f"official {', '.join(files)} there yourself"
    )


@source
def torchvision(*, set, root):
    """CIFAR10, CIFAR100, SVHN (its extra images join the training split) or FashionMNIST.

    Downloaded into the folder `root` by torchvision once, and verified by checksum at every reading: CIFAR's archives and
    the pickles in them are opened only if they are the official ones, byte for byte.
    """
    from torchvision import datasets
    from torchvision.datasets.utils import download_url

    def cifar(part):
        data = getattr(datasets, set)(root, train=part == "train", download=True)
        return data.data.transpose(0, 3, 1, 2), np.array(data.targets)

    def svhn(part):
        data = datasets.SVHN(root, part, download=True)
        return data.data, data.labels

    if set in ("CIFAR10", "CIFAR100"):
        kind = getattr(datasets, set)
        training, test = (
            retry(lambda: cifar(part), set, [kind.filename], root) for part in ("train", "test")
        )
        return with_test(training, test, kind(root).classes, root)
    if set == "SVHN":
        files = {part: [datasets.SVHN.split_list[part][1]] for part in ("train", "extra", "test")}
        training, extra, test = (
            retry(lambda: svhn(part), set, files[part], root) for part in files
        )
        joined = [np.concatenate(arrays) for arrays in zip(training, extra)]
        return with_test(joined, test, [str(digit) for digit in range(10)], root)
    if set == "FashionMNIST":
        kind, folder = datasets.FashionMNIST, Path(root, "FashionMNIST", "raw")
        for name, md5 in kind.resources:
            retry(
                lambda: download_url(kind.mirrors[0] + name, folder, name, md5), set, [name], folder
            )
        return idx(folder=folder, classes=kind.classes)
    raise UserError(f"options.set: {set!r} is none of CIFAR10, CIFAR100, SVHN, FashionMNIST")


def read_idx(path, dimensions):
    """Return the array of bytes in an idx file, gzipped or not: 0, 0, 8, the number of axes, big-endian sizes, data."""
    with (
        foreign(path, "get the file again"),
        (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file,
    ):
        content = file.read()
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        raise UserError(
            f"{path}: is no idx file of bytes with {dimensions} axes; get the file again"
        )
    sizes = np.frombuffer(content, ">u4", dimensions, 4).tolist()
    if len(content) - start != math.prod(sizes):
        raise UserError(
            f"{path}: holds {len(content) - start} of {math.prod(sizes)} bytes; get the file again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


@source
def idx(*, folder, classes=None):
    """The four files of MNIST and its successors in a local folder: train- and t10k-, images and labels, .gz or not.

    `classes` names the classes; without it they are numbered.
    """

    def part(name):
        arrays = []
        for kind, dimensions in (("images-idx3-ubyte", 3), ("labels-idx1-ubyte", 1)):
            packed, plain = Path(folder, f"{name}-{kind}.gz"), Path(folder, f"{name}-{kind}")
            path = packed if packed.exists() else plain
            if not path.exists():
                raise UserError(
                    f"{packed}: no such file; options.folder must hold the four idx files"
                )
            arrays.append(read_idx(path, dimensions))
        images, labels = arrays
        if len(images) != len(labels):
            raise UserError(
                f"{path}: {len(labels)} labels for {len(images)} images; get the files again"
            )
        return images[:, None], labels

    training, test = part("train"), part("t10k")
    if training[0].shape[1:] != test[0].shape[1:]:
        raise UserError(
            f"{folder}: training images are {training[0].shape[2:]} and test images {test[0].shape[2:]} pixels"
        )
    names = [str(name) for name in classes or range(training[1].max(initial=0) + 1)]
    return with_test(training, test, names, folder)


@source
def image_folder(*, train, test=None, size=None, mode="RGB"):
    """Image files in one folder per class, torchvision's ImageFolder layout: `train`/<class>/<file>.

    `test` is a second such folder, of the same classes: an official test split. Images must be of one size, or `size`
    [height, width] scales them to it. `mode` is Pillow's: "RGB", or "L" for grey. Links are followed, wherever they lead,
    but not to the same folder twice.
    """
    from PIL import Image
    from torchvision.datasets import ImageFolder

    if mode not in MODES:
        raise UserError(f"options.mode: {mode!r} is none of {', '.join(MODES)}")

    def part(folder):
        try:
            listed = ImageFolder(folder)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{folder}: no folder of images with one folder per class ({error})"
            ) from None
        places = {}
        for place in dict.fromkeys(os.path.dirname(path) for path, _ in listed.samples):
            if (other := places.setdefault(os.path.realpath(place), place)) != place:
                raise UserError(f"{place}: links to the same images as {other}; remove the link")
        images, shape = None, size and tuple(size)
        for row, (path, _) in enumerate(
            tqdm(listed.samples, desc=str(folder), unit="image", leave=False, disable=None)
        ):
            with foreign(path, "get the file again or remove it"), Image.open(path) as image:
                pixels = image.convert(mode)
                pixels = np.asarray(
                    pixels.resize(shape[::-1], Image.Resampling.BILINEAR) if size else pixels
                )
            shape = shape or pixels.shape[:2]
            if pixels.shape[:2] != shape:
                raise UserError(
                    f"{path}: is {pixels.shape[:2]} pixels and others are {shape}; set options.size"
                )
            channels_first = pixels.reshape(*shape, -1).transpose(2, 0, 1)
            if images is None:
                images = np.empty((len(listed), *channels_first.shape), np.uint8)
            images[row] = channels_first
        return (images, np.array(listed.targets)), listed.classes

    training, classes = part(train)
    if test is None:
        return with_test(training, None, classes, train)
    tested, others = part(test)
    if others != classes:
        raise UserError(
            f"{test}: its classes {', '.join(others)} are not those of {train}, {', '.join(classes)}"
        )
    if tested[0].shape[1:] != training[0].shape[1:]:
        raise UserError(
            f"{test}: its images differ in size from those of {train}; set options.size"
        )
    return with_test(training, tested, classes, f"{train}, {test}")


@source
def npz(*, file):
    """A NumPy .npz file: `inputs` (N, C, H, W) or (N, F), integer `labels` (N,), and where there is an official test
    split `official_test` (N,) bool; `classes`, K names, may be left out. Bytes stay bytes, other inputs become float32."""
    if not os.path.lexists(file):
        raise UserError(f"{file}: no such file; correct options.file")
    with (
        foreign(file, "it must be a .npz file without pickles"),
        np.load(file, allow_pickle=False) as loaded,
    ):
        arrays = {name: loaded[name] for name in loaded.files}
    if missing := {"inputs", "labels"} - arrays.keys():
        raise UserError(
            f"{file}: lacks the array(s) {', '.join(sorted(missing))}; it has {', '.join(arrays) or 'none'}"
        )
    inputs, labels = arrays["inputs"], arrays["labels"]
    if inputs.dtype.kind not in "buif" or labels.dtype.kind not in "ui":
        raise UserError(
            f"{file}: inputs are {inputs.dtype} and labels {labels.dtype}; they must be numbers and integers"
        )
    marks = arrays.get("official_test", np.zeros(labels.shape, bool))
    if marks.dtype.kind not in "bui":
        raise UserError(f"{file}: official_test is {marks.dtype}; it must be true or false")
    if "classes" not in arrays and labels.max(initial=0) >= max(labels.size, 1):
        most, n = labels.max(), labels.size
        raise UserError(
            f"{file}: labels run to {most} for {n} samples; number the classes from 0, or name them"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        inputs = inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32)
    classes = [
        str(name) for name in np.ravel(arrays.get("classes", np.arange(labels.max(initial=0) + 1)))
    ]
    return Raw(inputs, labels.astype(np.int64), classes, marks.astype(bool), str(file))


def check(raw, name):
    """Raise UserError unless `raw` is a dataset that every later stage can use."""
    k, shape = len(raw.classes), raw.inputs.shape
    wrong = None
    if raw.inputs.ndim not in (2, 4) or 0 in shape:
        wrong = f"inputs of shape {shape} are neither images (N, C, H, W) nor a table (N, F)"
    elif len(shape) == 4 and shape[1] > 4 >= shape[3]:
        wrong = (
            f"images of shape {shape} have their channels last; they must come first, (N, C, H, W)"
        )
    elif raw.labels.shape != shape[:1] or raw.official_test.shape != shape[:1]:
        labels, marks = (
            " x ".join(map(str, array.shape)) or "single"
            for array in (raw.labels, raw.official_test)
        )
        wrong = f"{shape[0]} inputs but {labels} labels and {marks} test marks"
    elif k < 2 or raw.labels.min() < 0 or raw.labels.max() >= k:
        wrong = (
            f"labels run from {raw.labels.min()} to {raw.labels.max()} but there are {k} classes"
        )
    elif raw.inputs.dtype.kind == "f" and not np.isfinite(raw.inputs).all():
        wrong = "some inputs are not finite numbers"
    if wrong:
        raise UserError(
            f"dataset {name}: {raw.origin}: {wrong}" if raw.origin else f"dataset {name}: {wrong}"
        )
