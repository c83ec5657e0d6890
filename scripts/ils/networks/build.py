"""How a network of G students is made from its entry in the config, and what the families share.

A network is a function of the input shape (C, H, W) or (F,), the number of classes and its own
options. To add one, write it with the layers of `ils.networks.layers` in a file of this folder, put
its function under `@network`, and name it in the config's `networks`. It is written once for G
students side by side; G = 1 is the ordinary network.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from ils.errors import UserError
from ils.networks.layers import Network, repeat, replace_tensors
from ils.plan.plugins import load

Function = TypeVar("Function", bound=Callable[..., Network])


def network(function: Function) -> Function:
    """Make a network available to the config under its function's name."""
    return function


def build(
    family: str,
    options: Mapping[str, Any],
    shape: Sequence[int],
    classes: int,
    students: int,
    seed: int,
    precision: str = "float32",
) -> Network:
    """Return the network of `students` equal students, of initial weights that `seed` decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = repeat(load("network", family)(shape, classes, **options), students)
    network.precision = precision
    return network


def restore(
    family: str,
    options: Mapping[str, Any],
    shape: Sequence[int],
    classes: int,
    arrays: Mapping[str, np.ndarray],
    precision: str,
) -> Network:
    """Return the network whose state dict, as numpy arrays (G, ...), was saved."""
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return replace_tensors(build(family, options, shape, classes, 1, 0, precision), weights)


def image_channels(shape: Sequence[int]) -> int:
    """Return C of an image shape (C, H, W); UserError where the dataset holds no images."""
    if len(shape) != 3:
        raise UserError(
            "this network needs images (C, H, W), but the dataset's inputs have shape "
            f"{tuple(shape)}; use mlp"
        )
    return shape[0]


def blocks_per_stage(family: str, depth: int, per_block: int, extra: int) -> int:
    """Return n of depth = per_block * n + extra; UserError says which depths exist."""
    blocks, rest = divmod(depth - extra, per_block)
    if rest or blocks < 1:
        raise UserError(f"{family}: depth {depth} is not {per_block}n + {extra} with n >= 1")
    return blocks
