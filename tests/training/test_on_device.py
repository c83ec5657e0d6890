"""What a real device does: it is the CPU, or what ILS_TEST_DEVICE names.

benchmarks/gpu.py runs these on a GPU. There are graphs, streams, an autograd engine and kernels
that nothing stands for.
"""

import contextlib
import dataclasses
import os

import numpy as np
import pytest
import torch
from test_fake_gpu import NETWORKS, POINTS, groups_of, mixed

from conftest import RECIPE, made_up_data, made_up_split
from ils.networks.build import build
from ils.training.cell import CellData
from ils.training.optimizers import make_optimizer
from ils.training.step import Step
from ils.training.trainer import train

DEVICE = torch.device(os.environ.get("ILS_TEST_DEVICE", "cpu"))
RECIPE = dataclasses.replace(RECIPE, batch_size=8)


def cell_on(device, dtype=torch.float64):
    data = made_up_data((1, 8, 8))
    parts = made_up_split(data)
    logits = np.random.default_rng(1).normal(size=(len(parts["train"]), 9, 3))
    taught = [{"logits": logits * (1 + n), "ids": data["ids"][parts["train"]]} for n in range(2)]
    return CellData(data, parts, {"pad": 1, "flip": False}, device, taught, 1.5, dtype)


def trained(network, groups, device, **options):
    students = sum(len(of_method.points) for of_method in groups)
    built = build(*NETWORKS[network], (1, 8, 8), 3, students, 7)
    recipe = options.pop("recipe", RECIPE)
    return train(built, cell_on(device), groups, recipe, seed=3, title="test", **options)


def assert_alike(ours, theirs):
    """In float64 what rounds in another order agrees in many digits."""
    np.testing.assert_array_equal(ours.failed_epoch, theirs.failed_epoch)
    for name in ("train_loss", "validation_ce"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-6)


@pytest.mark.parametrize("network", ["lenet", "resnet", "densenet", "mlp"])
def test_students_learn_on_the_device_what_they_learn_alone_on_the_cpu(network):
    together = trained(network, groups_of("ls", "ils", "beta", "ps_kd"), DEVICE)
    alone = trained(network, groups_of("beta"), torch.device("cpu"))
    for name in ("train_loss", "validation_ce"):
        ours = getattr(together, name)[4:6]
        np.testing.assert_allclose(ours, getattr(alone, name), rtol=1e-6)


@pytest.mark.parametrize("network", ["lenet", "mlp"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_graph_of_all_methods_is_the_same_as_its_steps(network, optimizer):
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, learning_rate=0.01)
    graphs = DEVICE.type == "cuda"  # its double on the CPU: test_steps.py
    for groups in (groups_of(*POINTS), mixed()):
        replayed = trained(network, groups, DEVICE, recipe=recipe, cuda_graphs=graphs)
        assert_alike(replayed, trained(network, groups, torch.device("cpu"), recipe=recipe))


@contextlib.contextmanager
def waiting_is_an_error():
    if DEVICE.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if DEVICE.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("network", ["lenet", "resnet", "mlp"])
def test_no_step_after_the_first_waits_for_the_device(network):
    cell, groups = cell_on(DEVICE, torch.float32), groups_of(*POINTS)
    built = build(*NETWORKS[network], (1, 8, 8), 3, 2 * len(groups), 7).to(DEVICE)
    step = Step(built, cell, groups, make_optimizer(RECIPE, built.parameters()), 3)
    first, *rest = cell.batches(8, *(torch.Generator() for _ in range(3)))
    step(*first)
    with waiting_is_an_error():
        for batch in rest:
            step(*batch)
    assert step.total.isfinite().all()
