"""What the benchmarks compare with is the same work.

The plain networks are ours, and so are the plain targets.
"""

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from torch.utils.flop_counter import FlopCounterMode

import analysis
import gpu
import images
import plain
from ils.networks.build import build
from ils.plan.checks import check
from ils.targets.methods import ils
from ils.training import costs
from ils.training.costs import forward_flops


@pytest.mark.parametrize("name", images.NETWORKS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_plain_networks_have_our_weights_and_operations(name, device):
    network, *_ = images.planned(name, device)
    with torch.device("meta"):  # where nothing is computed
        ours = build(network.family, network.options, images.SHAPE, images.CLASSES, 1, 0)
        theirs, x = images.plain_model(network).eval(), torch.empty(1, *images.SHAPE)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        theirs(x)
    assert counter.get_total_flops() == forward_flops(ours, images.SHAPE)[0]


@pytest.mark.parametrize("size", ["default", "paper"])
def test_the_analysis_is_measured_on_a_study_that_the_workflow_takes(size):
    schema = yaml.safe_load((analysis.ROOT / "workflow/schemas/config.schema.yaml").read_text())
    config, sizes, _ = analysis.study(size)
    check(config, schema)
    assert {experiment["dataset"] for experiment in config["experiments"]} == set(sizes)


def test_the_plain_targets_are_ours():
    labels = torch.tensor([0, 2, 1, 1])
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    onehot = torch.nn.functional.one_hot(labels, 3).float()
    ours = ils(onehot, logits, 1.5, p1=0.9, p2=2.0, temperature=3.0)
    torch.testing.assert_close(plain.ils(labels, logits, 1.5, 0.9, 2.0, 3.0), ours)


def test_the_plain_batches_are_crops_and_flips_of_normalised_images():
    rng = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (6, 3, 8, 8), generator=rng, dtype=torch.uint8).numpy()
    scale = [100.0, 120.0, 140.0], [50.0, 60.0, 70.0]
    ((x, labels),) = plain.loader(pictures, range(6), *scale, 6, 0)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in scale)
    torch.testing.assert_close(x, (torch.from_numpy(pictures) - mean) / std, rtol=1e-4, atol=1e-4)
    assert labels.tolist() == list(range(6))
    augmentation = {"pad": 2, "flip": True}
    ((augmented, order),) = plain.loader(pictures, range(6), *scale, 6, 0, augmentation)
    padded = torch.nn.functional.pad(torch.from_numpy(pictures).float(), (2,) * 4)
    for image, label in zip(augmented, order):
        windows = [padded[label, :, dy : dy + 8, dx : dx + 8] for dy in range(5) for dx in range(5)]
        views = [(view - mean) / std for window in windows for view in (window, window.flip(-1))]
        assert any(torch.allclose(image, view, atol=1e-4) for view in views)


def test_what_a_gpu_has_to_tell_is_written_part_by_part(tmp_path, monkeypatch):
    enough = costs.TimedCell.enough
    monkeypatch.setattr(costs.TimedCell, "enough", enough)  # a dry run lowers it
    listed = gpu.parts(dry=True)
    wanted = ["device", "agreement", "forecast", "at once, LeNet"]
    assert listed.keys() == {*wanted, "tests", "speed, float32"}
    assert {part for part in gpu.parts(dry=False) if "at once" in part} > {"at once, AlexNet"}
    monkeypatch.setattr(gpu, "parts", lambda dry: dict.fromkeys([*wanted, "tests"]))
    ran = []

    def apart(part, arguments, seconds):
        ran.append(part)
        if part == "tests":
            raise ValueError("one test failed")
        return json.loads(json.dumps(listed[part](arguments.dry, arguments.data)))

    monkeypatch.setattr(gpu, "apart", apart)
    arguments = gpu.arguments_of(["--dry"])
    found, failed = gpu.run(arguments, tmp_path)
    assert list(found) == wanted and failed == {"tests": "one test failed"}
    text = gpu.page(found, failed)
    assert "| CIFAR10 | LeNet | 378 |" in text and "- tests: one test failed" in text
    assert "| No LS, accuracy |" in text and "device: CPU: a dry run" in text
    assert [line.rpartition(": ")[0] for line in gpu.to_write(found)] == [
        "networks, LeNet: students_at_once.cuda",
        "experiments, CIFAR10 x LeNet: hours",
    ]
    gpu.run(arguments, tmp_path)
    assert ran == [*wanted, "tests", "tests"]  # what is done is not done again
    found, failed = gpu.run(gpu.arguments_of(["--dry", "--minutes", "-1"]), tmp_path)
    assert list(found) == wanted and failed.keys() == {"tests"} and len(ran) == 6


def test_the_committed_page_has_every_section():
    committed = (gpu.HERE / "GPU.md").read_text()
    for line in gpu.page({}, {}).splitlines():
        assert line == gpu.OWED.strip() or line in committed
