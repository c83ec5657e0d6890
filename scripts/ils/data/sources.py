"""Where data comes from.

A source is a function that returns a `Raw` dataset; its keyword-only parameters are the config's
`options`. To add one, write it under `@source` and name it in one entry of the config's `datasets`.
Only this module sees raw formats.
"""

import functools
import gzip
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from ils.data.foreign import BROKEN, foreign, retry
from ils.errors import UserError

MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")  # Pillow's of one byte a channel


class Raw(NamedTuple):
    """A dataset in its own order: the row number of a sample is its id.

    inputs: (N, C, H, W) uint8 images or (N, F) float32 tables; labels: (N,) int64 in 0..K-1;
    classes: K names; official_test: (N,) bool, true for the samples of the official test split, or
    all false when there is none; origin: the file, folder or number that it came from, for
    messages.
    """

    inputs: np.ndarray
    labels: np.ndarray
    classes: list[str]
    official_test: np.ndarray
    origin: str = ""


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
def openml(*, id: int) -> Raw:
    """A table of openml.org by its number, which needs a network.

    One column a category, numbers as they are.
    """
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


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Return the array of bytes in an idx file, gzipped or not.

    It holds 0, 0, 8, the number of axes, big-endian sizes, data.
    """
    with foreign(path, "get the file again"):
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
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


def read_images(folder: str, size: Sequence[int] | None, mode: str) -> tuple[Part, list[str]]:
    """Return images (N, C, H, W), labels (N,) and class names of a folder of `image_folder`."""
    files, classes = list_images(folder)
    images = None
    for row, (path, _) in enumerate(
        tqdm(files, desc=str(folder), unit="image", leave=False, disable=None)
    ):
        pixels = read_image(path, size, mode)
        if images is None:
            images = np.empty((len(files), *pixels.shape), np.uint8)
        if pixels.shape != images.shape[1:]:
            raise UserError(
                f"{path}: is {pixels.shape[1:]} pixels and others are {images.shape[2:]}; "
                "set options.size"
            )
        images[row] = pixels
    assert images is not None, "ImageFolder refuses a folder without images"
    return (images, np.array([label for _, label in files])), classes


def list_images(folder: str) -> tuple[list[tuple[str, int]], list[str]]:
    """Return the (file, label) pairs and the class names of a folder in ImageFolder's layout."""
    from torchvision.datasets import ImageFolder

    try:
        listed = ImageFolder(folder)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: no folder of images with one folder per class ({error})"
        ) from None
    places: dict[str, str] = {}
    for place in dict.fromkeys(os.path.dirname(path) for path, _ in listed.samples):
        if (other := places.setdefault(os.path.realpath(place), place)) != place:
            raise UserError(f"{place}: links to the same images as {other}; remove the link")
    return listed.samples, listed.classes


def read_image(path: str, size: Sequence[int] | None, mode: str) -> np.ndarray:
    """Return an image file's bytes (C, H, W), scaled to `size` [height, width] if there is one."""
    from PIL import Image

    with foreign(path, "get the file again or remove it"), Image.open(path) as file:
        image = file.convert(mode)
        if size:
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


@source
def npz(*, file: str) -> Raw:
    """A NumPy .npz file: `inputs` (N, C, H, W) or (N, F) and integer `labels` (N,).

    Where there is an official test split also `official_test` (N,) bool; `classes`, K names, may be
    left out. Bytes stay bytes, other inputs become float32.
    """
    if not os.path.lexists(file):
        raise UserError(f"{file}: no such file; correct options.file")
    with (
        foreign(file, "it must be a .npz file without pickles"),
        np.load(file, allow_pickle=False) as loaded,
    ):
        arrays = {name: loaded[name] for name in loaded.files}
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
