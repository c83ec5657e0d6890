"""The trainer: batches, views, optimizers, early stopping, divergence, and the files it leaves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import RECIPE, group, made_up_data, made_up_split
from ils.data.samples import Samples, view_count
from ils.errors import UserError
from ils.evaluation.calibrators import temperature
from ils.files import save_arrays
from ils.networks.build import build
from ils.plan.grids import grid_points, shares
from ils.plan.plugins import load
from ils.plan.records import Cell, Column
from ils.targets.inputs import Batch
from ils.training.cell import CellData
from ils.training.devices import choose_device
from ils.training.optimizers import SGD, Adam
from ils.training.predictions import choose
from ils.training.step import Step, cross_entropy, learn
from ils.training.students import Grid, best_student, shard_arrays
from ils.training.trainer import BATCHES, stream, train

CELL = Cell("toy", "MLP", 0)


def save_students(path, chunks, points, labels, method="ls"):
    """Write a file of one cell's students, as a shard's job does."""
    methods = [method] * len(points)
    arrays = shard_arrays(chunks, methods, labels).items()
    named = {f"{CELL.name}/{name}": array for name, array in arrays}
    save_arrays(path, named, cells={CELL.name: {"methods": methods, "points": points}})


def mlp(students=1, seed=0):
    return build("mlp", {"hidden": [8]}, (5,), 3, students, seed)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (
            lambda p: SGD(p, 0.1, 0.9, True, 0.01),
            lambda p: torch.optim.SGD(p, 0.1, 0.9, 0, 0.01, nesterov=True),
        ),
        (lambda p: SGD(p, 0.1, 0.9, False, 0.01), lambda p: torch.optim.SGD(p, 0.1, 0.9, 0, 0.01)),
        (lambda p: SGD(p, 0.1, 0.0, False, 0.0), lambda p: torch.optim.SGD(p, 0.1)),
        (lambda p: Adam(p, 0.1, 0.01), lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.01)),
    ],
)
def test_optimizers_take_the_steps_of_torch_optim(ours, theirs):
    start = torch.randn(4, 3, dtype=torch.float64)
    results = []
    for make in (ours, theirs):
        weight = torch.nn.Parameter(start.clone())
        optimizer = make([weight])
        for step in range(7):
            weight.grad = weight.grad.zero_() if weight.grad is not None else None
            ((weight - step) ** 2).sum().backward()
            optimizer.step()
        results.append(weight.detach())
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda p: SGD(p, 0.1, 0.9, True, 0.01), lambda p: Adam(p, 0.1, 0.01)]
)
def test_optimizers_do_not_mind_how_weights_and_gradients_are_stored(make):
    weights = build("lenet", {}, (3, 32, 32), 10, 2, 0).conv1.weight.detach().double()
    assert not weights.is_contiguous()
    results = []
    for weight in (weights.clone(), weights.contiguous()):
        weight = torch.nn.Parameter(weight)
        optimizer = make([weight])
        for step in range(3):
            weight.grad.copy_(step + torch.arange(weight.numel()).view(weight.shape))
            optimizer.step()
        results.append(weight.detach())
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_a_parameter_without_gradient_keeps_its_momentum_and_decay(make_cell):
    """That of a block which stochastic depth skips, after a step in which it had a gradient."""
    cell = make_cell((1, 8, 8), pad=1)
    options = {"depth": 8, "width": 4, "survival": 0.5}
    network = build("resnet", options, (1, 8, 8), 3, 2, 0).double()
    optimizer, weight = SGD(network.parameters(), 1.0, 0.5, False, 0.1), network.blocks[1].bn1.bias
    step, weights = Step(network, cell, [group("no_ls", students=2)], optimizer, 1), []
    batches = cell.batches(16, *(torch.Generator() for _ in range(3)))
    for network.coins, batch in zip(([True] * 3, [False] * 3), batches):
        weights.append(weight.detach().clone())
        step(*batch)
    velocity = weights[0] - weights[1]  # the learning rate is 1
    assert velocity.abs().min() > 0
    expected = weights[1] - (0.5 * velocity + 0.1 * weights[1])
    torch.testing.assert_close(weight.detach(), expected)


def test_every_view_is_the_padded_image_cropped_and_flipped():
    image = np.arange(1, 13, dtype=np.uint8).reshape(1, 1, 3, 4)
    augmentation = {"pad": 2, "flip": True}
    samples = Samples(
        image, np.zeros(1), np.ones(1), augmentation, torch.device("cpu"), torch.float64
    )
    assert (
        samples.views == view_count(augmentation) == 50
        and view_count({"pad": 4, "flip": True}) == 162
    )
    padded = np.pad(image[0, 0], 2)
    for dy in range(5):
        for dx in range(5):
            for flip in range(2):
                crop = padded[dy : dy + 3, dx : dx + 4]
                batch = samples.batch(torch.tensor([0]), torch.tensor([(dy * 5 + dx) * 2 + flip]))
                np.testing.assert_array_equal(batch[0, 0], crop[:, ::-1] if flip else crop)
    np.testing.assert_array_equal(samples.batch(torch.tensor([0]))[0, 0], image[0, 0])


def test_inputs_are_normalised_by_channel_or_feature():
    images = np.array([[[[1]], [[10]]], [[[3]], [[30]]]], np.uint8)
    plain = {"pad": 0, "flip": False}
    batch = Samples(images, [2, 20], [1, 10], plain, torch.device("cpu"), torch.float32).batch(
        torch.tensor([1, 0])
    )
    assert batch.flatten().tolist() == [1, 1, -1, -1]
    table = np.array([[1, 10], [3, 30]], np.float32)
    batch = Samples(table, [2, 20], [1, 10], plain, torch.device("cpu"), torch.float32).batch(
        torch.tensor([1])
    )
    assert batch.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "batch_size, sizes", [(16, [16, 16, 16, 6]), (54, [54]), (53, [54]), (18, [18] * 3)]
)
def test_an_epoch_visits_every_sample_once(make_cell, batch_size, sizes):
    cell = make_cell((3, 4, 4), pad=1)
    batches = list(
        cell.batches(batch_size, *(torch.Generator().manual_seed(seed) for seed in (0, 1, 2)))
    )
    assert [[len(numbers) for numbers in batch] for batch in batches] == [
        [size] * 4 for size in sizes
    ]
    indices, views, noise, draws = (torch.cat(numbers) for numbers in zip(*batches))
    assert indices.sort().values.tolist() == list(range(54))
    assert views.unique().tolist() == list(range(9))
    assert len(noise.unique()) == 54 and noise.min() >= 0 and noise.max() < 1
    assert draws.shape == (54, 2) and draws.min() >= 0 and draws.max() < 1
    assert len(torch.cat([noise, draws.flatten()]).unique()) == 3 * 54


@pytest.mark.parametrize("looked_up", [True, False])
def test_students_see_the_teachers_logits_of_the_view_they_are_shown(
    looked_up, make_cell, monkeypatch
):
    cell = make_cell((1, 4, 4), pad=1, teacher=True)
    seen, calls = [], []

    def both(onehot, teacher_logits):
        calls.append(len(onehot))
        return 100 * onehot + teacher_logits

    def spy(logits, targets):
        seen.append(targets)
        return learn(logits, targets)

    monkeypatch.setattr("ils.training.step.learn", spy)
    if not looked_up:
        monkeypatch.setattr("ils.training.step.LOOKED_UP", 0)
    network = build("lenet", {"padding": 4}, (1, 4, 4), 3, 1, 0)
    train(network, cell, [group(both)], replace(RECIPE, epochs=1), 5, "spy")
    assert calls == ([54 * 9] if looked_up else [16, 16, 16, 6])
    order = torch.Generator().manual_seed(stream(5, BATCHES))
    plan = cell.batches(RECIPE.batch_size, order, torch.Generator(), torch.Generator())
    for targets, (indices, views, *_) in zip(seen, plan, strict=True):
        for row, (index, view) in enumerate(zip(indices, views, strict=True)):
            expected = 100 * cell.onehot[index] + cell.teacher_logits[0][index, view]
            assert torch.equal(targets[row], expected)


def test_class_distances_are_mean_euclidean_distances_of_training_inputs(make_cell):
    cell = make_cell((5,))
    x, labels = cell.train.batch(torch.arange(54)).numpy(), cell.labels("train").numpy()
    by_hand = [
        [
            np.mean([np.linalg.norm(u - v) for u in x[labels == a] for v in x[labels == b]])
            for b in range(3)
        ]
        for a in range(3)
    ]
    np.testing.assert_allclose(cell.class_distances(500), by_hand)
    first = [
        [np.linalg.norm(x[labels == a][0] - x[labels == b][0]) for b in range(3)] for a in range(3)
    ]
    np.testing.assert_allclose(cell.class_distances(1), first)


def test_the_average_of_the_weights_decays_by_0_999_a_step(make_cell):
    cell, network, memory = make_cell((5,)), mlp(2).double(), {}
    batch = Batch(torch.arange(4), None, None, cell.train.batch(torch.arange(4)), None, 0, 1)
    load("target_input", "ema_confidence")(cell, network, batch, memory)
    start = network.layers[0].bias.detach().clone()
    for step in (1.0, 2.0):
        with torch.no_grad():
            network.layers[0].bias += step
        confidence = load("target_input", "ema_confidence")(cell, network, batch, memory)
    average = start + 0.999 * 0.001 * 1.0 + 0.001 * 3.0  # of start, start + 1 and start + 3
    torch.testing.assert_close(memory["average"].layers[0].bias.detach(), average)
    logits = memory["average"](batch.x)
    expected = logits.softmax(-1).gather(
        -1, cell.labels("train")[:4].view(1, 4, 1).expand(2, 4, 1)
    )[..., 0]
    torch.testing.assert_close(confidence, expected)


def test_ps_kd_remembers_what_each_student_predicted_last(make_cell):
    cell, network, memory = make_cell((5,)), mlp(2).double(), {}
    indices, logits = torch.tensor([3, 1]), torch.randn(2, 2, 3, dtype=torch.float64)
    batch = Batch(indices, None, None, None, logits, 0, 1)
    first = load("target_input", "previous_probabilities")(cell, network, batch, memory)
    assert torch.equal(first, cell.onehot[indices].expand(2, 2, 3))
    second = load("target_input", "previous_probabilities")(
        cell, network, batch._replace(logits=logits + 1), memory
    )
    torch.testing.assert_close(second, logits.softmax(-1))


def test_online_ls_averages_the_right_predictions_of_the_epoch_before(make_cell):
    """Two students, three classes; the samples are of the classes 0, 0 and 1."""
    cell, memory, compute = make_cell((5,)), {}, load("target_input", "class_averages")
    cell.onehot = torch.eye(3, dtype=torch.float64)[[0, 0, 1]]
    p = [[[0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]]]  # the last one is wrong
    p += [[[0.1, 0.1, 0.8], [0.4, 0.3, 0.3], [0.1, 0.7, 0.2]]]  # and here the first
    logits = torch.tensor(p, dtype=torch.float64).log()

    def averages(epoch, *rows):
        x = Batch(torch.tensor(rows), None, None, None, logits[:, rows], epoch, 9)
        return compute(cell, None, x, memory)

    even = [1 / 3] * 3
    for rows in ((0, 2), (1,)):
        assert averages(0, *rows).tolist() == [[even] * 3] * 2
    expected = [[[0.6, 0.25, 0.15], even, even], [[0.4, 0.3, 0.3], [0.1, 0.7, 0.2], even]]
    for row in range(2):  # nothing of the epoch itself
        torch.testing.assert_close(averages(1, row), torch.tensor(expected).double())
    assert averages(2, 2)[1, 1].tolist() == even  # that class was not seen in epoch 1


def test_loss_is_the_mean_cross_entropy_of_each_student():
    logits = torch.tensor([[[0.0, 0.0]], [[0.0, np.log(3.0)]]])
    targets = torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]])
    torch.testing.assert_close(
        cross_entropy(logits, targets), torch.tensor([np.log(2), np.log(4)], dtype=torch.float64)
    )


def test_the_best_validation_epoch_is_kept_and_patience_stops(make_cell):
    cell = make_cell((5,))
    recipe = replace(RECIPE, epochs=60, learning_rate=0.5, milestones=[], patience=4)
    students = train(mlp(2), cell, [group("ls", {"epsilon": [0.0, 0.3]})], recipe, 0, "test")
    for g in range(2):
        ce = students.validation_ce[g]
        ran = int(np.isfinite(ce).sum())
        assert students.best_epoch[g] == np.nanargmin(ce) + 1 == ran - 4 < 56
        assert np.isnan(ce[ran:]).all() and np.isnan(students.train_loss[g, ran:]).all()
        logits = torch.as_tensor(students.validation_logits[g])
        kept = torch.nn.functional.cross_entropy(logits, cell.validation_labels)
        assert kept.item() == pytest.approx(np.nanmin(ce), abs=1e-12)


def test_learning_rate_follows_the_milestones():
    recipe = replace(RECIPE, learning_rate=1.0, decay=0.1, milestones=[2, 4])
    assert [recipe.rate(epoch) for epoch in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_a_student_that_diverges_is_marked_and_leaves_the_others_alone(make_cell, tmp_path):
    cell = make_cell((5,))

    def poison(onehot, *, epsilon):
        return onehot * torch.where(epsilon > 0.5, torch.nan, 1.0)

    grid = {"epsilon": [0.1, 0.9, 0.2]}
    students = train(mlp(3), cell, [group(poison, grid)], RECIPE, 0, "test")
    alone = train(mlp(1), cell, [group("no_ls")], RECIPE, 0, "test")
    assert students.failed_epoch.tolist() == [0, 1, 0]
    for g in (0, 2):
        np.testing.assert_allclose(
            students.validation_logits[g], alone.validation_logits[0], atol=1e-9
        )

    paths, labels = [tmp_path / "shard0", tmp_path / "shard1"], cell.validation_labels.numpy()
    save_students(paths[0], [students], grid_points(grid), labels, "poison")
    kept = Grid(paths[:1], CELL.name, "poison")
    assert kept.failed.tolist() == [False, True, False]
    column = Column("toy", "poison", "temperature", "joint")
    assert choose(kept, column, "toy job", temperature)[0].index in (0, 2)
    best = best_student(paths[:1], CELL, "poison")
    assert best.point["epsilon"] in (0.1, 0.2) and np.isfinite(best.validation_logits).all()
    kept.failed[:] = True
    with pytest.raises(UserError, match="toy job poison: every student"):
        choose(kept, replace(column, reading="selected"), "toy job")

    all_failed = train(mlp(1), cell, [group(poison, {"epsilon": [0.9]})], RECIPE, 0, "test")
    save_students(paths[1], [all_failed], [{"epsilon": 0.9}], labels, "poison")
    assert best_student(reversed(paths), CELL, "poison").point == best.point
    with pytest.raises(UserError, match="toy MLP seed 0: every student of poison diverged"):
        best_student(paths[1:], CELL, "poison")


def test_shards_together_are_the_grid(make_cell, tmp_path):
    cell = make_cell((5,))
    grid = {"epsilon": [0.0, 0.1, 0.2, 0.3], "temperature": [1, 2]}
    points = grid_points(grid)
    assert len(points) == 8 and points[1] == {"epsilon": 0.0, "temperature": 2}
    assert [point for shard in shares(points, 3) for point in shard] == points
    labels = cell.validation_labels.numpy()
    recipe = replace(RECIPE, epochs=2)

    def trained(points):
        students = group("ls", {"epsilon": [p["epsilon"] for p in points]})
        return train(mlp(len(points)), cell, [students], recipe, 0, "t")

    paths = []
    for shard, mine in enumerate(shares(points, 3)):
        chunks = [trained(mine[start : start + 2]) for start in range(0, len(mine), 2)]
        paths.append(tmp_path / f"shard{shard}.safetensors")
        save_students(paths[-1], chunks, mine, labels)
    whole = trained(points)
    joined = Grid(paths, CELL.name, "ls")
    assert joined.points == points and [row for _, row in joined.rows] == [0, 1, 2, 0, 1, 2, 0, 1]
    np.testing.assert_allclose(joined.validation_logits, whole.validation_logits, atol=1e-9)
    chosen, _ = choose(joined, Column("LS", "ls"), "toy", temperature)
    best = best_student(paths, CELL, "ls")
    assert best.point == points[chosen.index]
    assert np.array_equal(best.validation_logits, joined.validation_logits[chosen.index])
    assert best.weights.keys() == whole.weights.keys()
    for name, array in best.weights.items():
        np.testing.assert_allclose(array[0], whole.weights[name][chosen.index], atol=1e-9)


def test_the_same_seed_gives_the_same_bytes(make_cell, tmp_path):
    for run in "ab":
        cell = make_cell((1, 8, 8), pad=1, teacher=True)
        network = build("resnet", {"depth": 8, "width": 4, "survival": 0.5}, (1, 8, 8), 3, 2, 0)
        both = group("ls", {"epsilon": [0.1, 0.2]})
        students = train(network, cell, [both], RECIPE, 1, "test")
        points, labels = [{"epsilon": 0.1}, {"epsilon": 0.2}], cell.validation_labels.numpy()
        save_students(tmp_path / run, [students], points, labels)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_soft_targets_of_other_samples_are_refused(make_cell):
    data = made_up_data((5,))
    teacher = {"logits": np.zeros((54, 1, 3)), "ids": np.arange(54)}
    cell = data, made_up_split(data), {"pad": 0, "flip": False}, torch.device("cpu")
    with pytest.raises(UserError, match="other training samples"):
        CellData(*cell, [teacher])


def test_a_missing_cuda_device_is_an_error_only_when_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(UserError, match="device: cuda"):
        choose_device("cuda")
