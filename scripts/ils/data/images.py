"""Files of images: the idx files of MNIST's family, and folders of whatever Pillow opens."""

import gzip
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ils.data.foreign import foreign
from ils.errors import UserError


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


def read_images(
    folder: str, size: Sequence[int] | None, mode: str
) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
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
