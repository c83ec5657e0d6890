"""Training, validation and prediction on a GPU that is not there: all networks, all methods."""

import dataclasses

import numpy as np
import pytest
import torch
import yaml

from conftest import RECIPE, ROOT, group, made_up_data, made_up_split
from fake_gpu import DEVICE, fake_gpu
from ils.networks.build import build
from ils.training.cell import CellData, predict
from ils.training.trainer import train

NETWORKS = {
    "mlp": ("mlp", {"hidden": [8]}),
    "lenet": ("lenet", {"padding": 2}),
    "densenet": ("densenet", {"depth": 10, "growth": 4}),
    "resnet": ("resnet", {"depth": 8, "width": 4}),
    "stochastic depth": ("resnet", {"depth": 8, "width": 4, "survival": 0.5}),
    "torchvision_resnet": ("torchvision_resnet", {"depth": 18, "width": 4}),
    "wide_resnet": ("wide_resnet", {"depth": 10, "widen": 1}),
    "alexnet": ("alexnet", {"stride": 1, "width": 4, "hidden": [8]}),
    "inception_v4": ("inception_v4", {"blocks": [1, 1, 1], "width": 4}),
}
POINTS = {
    "no_ls": [{}, {}],
    "dis": [{}, {}],
    "ls": [{"epsilon": 0.1}, {"epsilon": 0.2}],
    "ils1": [{"p1": 0.9, "p2": 0.5}, {"p1": 0.8, "p2": 2.0}],
    "ils2": [{"epsilon": 0.1, "temperature": 1.0}, {"epsilon": 0.1, "temperature": 2.0}],
    "ils": [{"p1": 0.9, "p2": 0.5, "temperature": t} for t in (1.0, 2.0)],
    "cls": [{"epsilon": 0.1, "beta": 0.1}, {"epsilon": 0.2, "beta": 1.0}],
    "bs_soft": [{"beta": 0.95}, {"beta": 0.8}],
    "beta": [{"epsilon": 0.05, "alpha": 0.4}, {"epsilon": 0.2, "alpha": 0.2}],
    "ps_kd": [{"alpha": 0.8}, {"alpha": 0.5}],
    "distil": [
        {
            "teacher": teacher,
            "weight": 0.9,
            "teacher_temperature": 20.0,
            "student_temperature": 2.0,
            "times_t_squared": 1,
        }
        for teacher in (0, 1)
    ],
    "focal": [{"gamma": 1.0}, {"gamma": 2.0}],
    "dual_focal": [{"gamma": 1.0}, {"gamma": 2.0}],
    "mbls": [{"margin": 0.0, "alpha": 0.1}, {"margin": 1.0, "alpha": 0.1}],
    "confidence_penalty": [{"beta": 0.1}, {"beta": 0.2}],
    "online_ls": [{"alpha": 0.5}, {"alpha": 0.9}],
}
MIXED = [{"alpha": 0.0}, {"alpha": 0.4}]


def groups_of(*methods):
    return [group(name)._replace(points=POINTS[name]) for name in methods]


def mixed():
    """Students with a transform: they look at labels, at their logits, and at an average."""
    return [
        group(name, transform="mixup")._replace(
            points=[a | b for a, b in zip(MIXED, POINTS[name])]
            if name != "beta"
            else [{"epsilon": 0.1, "alpha": 0.4}] * 2
        )
        for name in ("no_ls", "mbls", "online_ls")
    ]


def test_all_methods_of_the_studies_are_tried():
    for name in ("config.yaml", "beyond.yaml"):
        for method in yaml.safe_load((ROOT / "config" / name).read_text())["methods"]:
            assert method["targets"] in POINTS
            assert method.get("transform", "mixup") == "mixup"


def trained_on_the_gpu(monkeypatch, network, groups, recipe):
    """Train on it, validation included, and predict each sample in a view of its own."""
    data = made_up_data((1, 8, 8))
    parts = made_up_split(data)
    soft_targets = {
        "logits": np.zeros((len(parts["train"]), 9, 3), np.float32),
        "ids": data["ids"][parts["train"]],
    }
    network = NETWORKS[network]
    students = sum(len(of_method.points) for of_method in groups)
    built = build(*network, (1, 8, 8), 3, students, 7, "tf32")
    with fake_gpu(monkeypatch) as gpu:
        taught = [soft_targets] * 2
        cell = CellData(data, parts, {"pad": 1, "flip": False}, DEVICE, taught, 1.5)
        result = train(built, cell, groups, recipe, seed=3, title="test")
        views = torch.zeros(54, dtype=torch.int64, device=DEVICE)
        logits = predict(built, cell.train, views)
        assert logits.device == DEVICE and logits.shape == (students, 54, 3)
    steps = -(-54 // recipe.batch_size)
    assert gpu.epochs == recipe.epochs and gpu.updates == steps * recipe.epochs
    assert gpu.copies == []
    assert result.validation_logits.shape == (students, 18, 3)
    assert {tensor.device.type for tensor in result.weights.values()} == {"cpu"}


RECIPE = dataclasses.replace(RECIPE, batch_size=32, epochs=2)
STEP = dataclasses.replace(RECIPE, batch_size=54, epochs=1)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_stays_on_the_gpu(network, monkeypatch):
    trained_on_the_gpu(monkeypatch, network, groups_of("ls"), STEP)


@pytest.mark.parametrize("network", ["lenet", "resnet"])
def test_a_round_of_all_methods_stays_on_the_gpu(network, monkeypatch):
    trained_on_the_gpu(monkeypatch, network, groups_of(*POINTS), STEP)


@pytest.mark.parametrize("network", ["mlp", "lenet"])
def test_a_round_of_transforms_stays_on_the_gpu(network, monkeypatch):
    trained_on_the_gpu(monkeypatch, network, mixed(), RECIPE)


@pytest.mark.parametrize("method", POINTS)
def test_a_method_by_itself_stays_on_the_gpu(method, monkeypatch):
    adam = dataclasses.replace(RECIPE, optimizer="adam")
    trained_on_the_gpu(monkeypatch, "mlp", groups_of(method), adam)


def test_what_waits_or_mixes_devices_is_noticed(monkeypatch):
    def waits(onehot, student_logits):
        return onehot * float(student_logits.detach().sum())

    def strays(onehot, student_logits):
        return onehot + torch.ones(len(onehot), 3)

    def reads(onehot, student_logits):
        return onehot + student_logits.detach().cpu().to(DEVICE)

    for method in (waits, strays):
        with pytest.raises(Exception, match=r"_local_scalar_dense|device"):
            trained_on_the_gpu(monkeypatch, "mlp", [group(method)], RECIPE)
    with pytest.raises(AssertionError, match="_to_copy"):
        trained_on_the_gpu(monkeypatch, "mlp", [group(reads)], RECIPE)


@pytest.mark.parametrize("network", ["mlp", "lenet"])
@pytest.mark.parametrize("precision", ["tf32", "float32"])
def test_tf32_is_for_the_products_of_a_network_alone(network, precision, monkeypatch):
    seen = {}

    def note(when):
        seen[when] = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    def targets(onehot, student_logits):
        note("targets")
        return onehot

    built = build(*NETWORKS[network], (1, 8, 8), 3, 1, 7, precision)
    built.register_forward_hook(lambda *_: note("forward"))
    data = made_up_data((1, 8, 8))
    with fake_gpu(monkeypatch):
        place, name = (built, "_backward") if network == "mlp" else (torch.autograd, "backward")
        monkeypatch.setattr(place, name, lambda *_, **__: note("backward"))
        cell = CellData(data, made_up_split(data), {"pad": 0, "flip": False}, DEVICE)
        train(built, cell, [group(targets)], STEP, seed=3, title="test")
    rounded = precision == "tf32"
    assert seen == {
        "forward": (rounded, rounded),
        "targets": (False, False),
        "backward": (rounded, rounded),
    }
