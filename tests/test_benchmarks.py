"""What the benchmarks compare with is the same work.

The plain networks are ours, and so are the plain targets.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from torch.utils.flop_counter import FlopCounterMode

import analysis
import gpu
import halving
import images
import plain
from ils.networks.build import build
from ils.plan.checks import check
from ils.plan.plan import Plan
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


HISTORY = np.array(
    [
        [0.90, 0.50, 0.40, 0.45],
        [0.80, 0.60, 0.60, 0.60],
        [0.70, 0.70, 0.10, 0.10],
        [0.30, np.nan, np.nan, np.nan],  # diverged in epoch 2
        [0.50, 0.90, 0.90, 0.20],  # as good as the first by then
        [0.95, 0.95, 0.05, 0.01],  # the best in the end
    ]
)
FAILED = np.array([0, 0, 0, 2, 0, 0])


def test_a_race_is_won_by_the_lowest_cross_entropies_so_far():
    survivors, stages = raced = halving.race(HISTORY, FAILED, [(2, 0.5), (3, 0.5)])
    assert np.flatnonzero(survivors).tolist() == [0, 4]  # of 0, 1 and 4, and these of six
    assert stages == [(6, 2), (3, 1), (2, 1)] and raced.epochs == 17
    first = halving.race(HISTORY, FAILED, [(2, 0.01)])
    assert np.flatnonzero(first.survivors).tolist() == [0] and first.stages == [(6, 2), (1, 2)]
    late = halving.race(HISTORY, FAILED, [(2, 5 / 6), (3, 5 / 6)])  # rounded up
    assert np.flatnonzero(late.survivors).tolist() == [0, 1, 2, 4, 5]
    assert halving.race(HISTORY[3:4], FAILED[3:4], [(2, 0.2), (3, 0.2)]).survivors.all()


def test_what_a_race_loses_is_of_the_student_that_it_selects():
    raw, joint = [0.40, 0.60, 0.10, np.nan, 0.20, 0.01], [0.02, 0.60, 0.10, np.nan, 0.20, 0.03]
    test = np.array([[0.50, 0.70, 0.20, np.nan, 0.35, 0.30], [0.1, 0.7, 0.2, np.nan, 0.38, 0.4]])
    ils = halving.Grid(HISTORY, FAILED, np.array([raw, joint]), test)
    no_ls, ls = (
        halving.Grid(np.full((1, 4), ce), np.zeros(1), *np.full((2, 2, 1), ce))
        for ce in (0.32, 0.60)
    )
    grids = {"no_ls": no_ls, "ls": ls, "ils": ils}
    races = {m: halving.race(*grid[:2], [(2, 0.5), (3, 0.5)]) for m, grid in grids.items()}
    lost = halving.outcome(grids, races)
    assert not lost["ils same"] and lost["ils joint same"] and lost["ls same"]
    assert lost["ils validation"] == pytest.approx(0.20 - 0.01)
    assert lost["ils test"] == pytest.approx(0.35 - 0.30)
    assert lost["ils joint validation"] == lost["ils joint test"] == lost["ls test"] == 0
    assert lost["epochs"] == 17 / 24
    assert lost["ranks"]  # ILS was the best of three at 0.30, and is behind 0.32
    assert not lost["ranks+TempS"]  # 0.40 and 0.38, both behind 0.32
    # 17 epochs are 4 trainings. The best of 4 drawn of 6 is the first with probability 10/15,
    # the second with 4/15, the third with 1/15.
    draw = (10 * 0.01 + 4 * 0.10 + 1 * 0.20) / 15 - 0.01
    assert lost["drawn"] == pytest.approx(draw)


def test_stages_take_as_few_networks_as_their_students_fit_into():
    """Four students are two networks of two, whose step lies between those measured."""
    costs = SimpleNamespace(
        sizes=SimpleNamespace(train=10, validation=6),
        recipe=SimpleNamespace(batch_size=5),
        steps=lambda samples: samples / 6,
        at_once=3,
    )
    steps = halving.Steps({1: 1.0, 3: 2.0}, costs)
    assert steps.of([(4, 10), (1, 5)]) == pytest.approx(10 * 3 * 2 * 1.5 + 5 * 3 * 1.0)


@pytest.mark.parametrize("part", halving.PARTS)
def test_all_schedules_race_in_all_parts(part):
    plan = Plan.checked(halving.study(halving.PARTS[part]))
    assert {job["students"] for job in plan.trainings("compared")} == {6, 125}  # No LS with LS, ILS
    for recipe in map(plan.recipe, plan.compared):
        for schedule in halving.SCHEDULES:
            epochs = [epoch for epoch, _ in halving.stages_of(schedule, recipe)]
            assert epochs == sorted(set(epochs)) and 0 < epochs[0] <= epochs[-1] < recipe.epochs


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
