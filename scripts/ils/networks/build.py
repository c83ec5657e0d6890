"""How a network of G students is made from its entry in the config, and what the families share.

A network is a function of the input shape (C, H, W) or (F,), the number of classes and its own options. To add one,
write it with the layers of `ils.networks.layers` in a file of this folder, put its function under `@network`, and name
it in the config's `networks`. It is written once for G students side by side; G = 1 is the ordinary network.
"""

import torch
from ils.errors import UserError
from ils.networks.layers import repeat, replace_tensors
from ils.plan.plugins import load


def network(function):
    """Make a network available to the config under its function's name."""
    return function


def build(family, options, shape, classes, students, seed, precision="float32"):
    """Return the network of `students` equal students whose initial weights follow from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = repeat(load("network", family)(shape, classes, **options), students)
    network.precision = precision
    return network


def restore(family, options, shape, classes, arrays, precision):
    """Return the network whose state dict, as numpy arrays (G, ...), was saved."""
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return replace_tensors(build(family, options, shape, classes, 1, 0, precision), weights)


def image_channels(shape):
    """Return C of an image shape (C, H, W), or say that the dataset holds no images."""
    if len(shape) != 3:
        raise UserError(
            f"this network needs images (C, H, W), but the dataset's inputs have shape {tuple(shape)}; use mlp"
        )
    return shape[0]


def blocks_per_stage(family, depth, per_block, extra):
    """Return n of depth = per_block * n + extra, or say which depths exist."""
    blocks, rest = divmod(depth - extra, per_block)
    if rest or blocks < 1:
        raise UserError(f"{family}: depth {depth} is not {per_block}n + {extra} with n >= 1")
    return blocks
