"""Shared fixtures: one thread, and small made-up cells to train on."""

import numpy as np
import pytest
import torch

from ils.splits import split
from ils.training import Cell, Recipe

torch.set_num_threads(1)

RECIPE = Recipe("sgd", 0.05, 0.9, True, 1e-4, [2], 0.1, 16, 3, None)


def made_up_data(shape, classes=3, n=90, seed=0):
    """Arrays of a prepared dataset whose classes differ in their mean input."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    inputs = rng.normal(size=(n, *shape)) + rng.normal(size=(classes, *shape))[labels]
    inputs = np.clip(inputs * 30 + 128, 0, 255).astype(np.uint8) if len(shape) == 3 else inputs.astype(np.float32)
    return {"inputs": inputs, "labels": labels, "ids": np.arange(n) + 1000, "official_test": np.zeros(n, bool)}


@pytest.fixture
def make_cell():
    """Return a function (shape, pad, flip, with a teacher?) -> Cell in float64 on the CPU."""

    def make(shape, pad=0, flip=False, teacher=False):
        data = made_up_data(shape)
        parts = split(data["inputs"], data["labels"], data["official_test"], 0, name="made up", test=0.2, validation=0.25)
        soft_targets = None
        if teacher:
            views = (2 * pad + 1) ** 2 * (1 + flip)
            logits = np.random.default_rng(1).normal(size=(len(parts["train"]), views, 3))
            soft_targets = {"logits": logits, "ids": data["ids"][parts["train"]]}, {"temperature": 1.5}
        augmentation = {"pad": pad, "flip": flip}
        return Cell(data, parts, augmentation, torch.device("cpu"), soft_targets, torch.float64)

    return make
