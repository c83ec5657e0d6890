"""Students of all methods in one network: each learns what it learns alone, to the last bit."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import RECIPE, group, made_up_data, made_up_split
from ils.networks.build import build
from ils.networks.layers import Network, repeat, replace_tensors
from ils.networks.mlp import MLP
from ils.plan.plugins import load, plugins
from ils.targets.inputs import inputs_of
from ils.targets.methods import Term
from ils.training.cell import CellData
from ils.training.checkpoints import Checkpoints
from ils.training.optimizers import SGD
from ils.training.step import Group, Step
from ils.training.trainer import Students, train, train_chunks

IMAGE, TEACHERS = (1, 8, 8), 2
GRIDS = {  # of each method, so that one to three students of it are in the network
    "no_ls": {},
    "ls": {"epsilon": [0.01, 0.1]},
    "beta": {"epsilon": [0.05, 0.2], "alpha": [0.4, 0.2], "decay": [0.5, 0.9]},
    "focal": {"gamma": [0.0, 0.5, 3.0]},
    "cls": {"epsilon": [0.1], "beta": [0.1]},
    "bs_soft": {"beta": [0.95, 0.8]},
    "ils1": {"p1": [0.9], "p2": [2.0]},
    "ils2": {"epsilon": [0.1], "temperature": [4]},
    "distil": {
        "teacher": [0, 1, 1],
        "weight": [0.9, 0.5, 0.9],
        "teacher_temperature": [20.0, 2.0, 3.0],
        "student_temperature": [1.0, 2.0, 4.0],
        "times_t_squared": [0, 1, 0],
    },
    "ils": {"p1": [0.95], "p2": [1.0], "temperature": [2.0]},
    "ps_kd": {"alpha": [0.8, 0.5]},
    "dis": {},
    "sinusoidal": {"shift": [0.7], "rate": [-4.0]},
    "ils_one_temperature": {"p1": [0.9], "p2": [1.0], "temperature": [2.0]},
    "dual_focal": {"gamma": [1.0, 5.0]},
    "mbls": {"margin": [0.0, 0.2], "alpha": [0.1, 2.0]},
    "online_ls": {"alpha": [0.5, 0.2]},
    "confidence_penalty": {"beta": [0.3]},
}
CASES = {  # networks as small as they can be; the odd numbers of channels fill no vector
    "mlp": ("mlp", {"hidden": [8, 7]}, (5,), "sgd"),
    "mlp of 3 features": ("mlp", {"hidden": [4]}, (3,), "adam"),
    "lenet": ("lenet", {"padding": 2}, IMAGE, "adam"),
    "resnet": ("resnet", {"depth": 8, "width": 4, "survival": 0.5}, IMAGE, "adam"),
    "resnet of 5 channels": ("resnet", {"depth": 8, "width": 5}, (3, 8, 8), "sgd"),
    "densenet": ("densenet", {"depth": 10, "growth": 4}, IMAGE, "sgd"),
    "densenet of 6 channels": (
        "densenet",
        {"depth": 7, "growth": 6, "variant": "plain"},
        IMAGE,
        "adam",
    ),
    "wide_resnet": ("wide_resnet", {"depth": 10, "widen": 1}, IMAGE, "sgd"),
    "alexnet": ("alexnet", {"width": 2, "hidden": [8, 6], "stride": 1}, IMAGE, "sgd"),
    "torchvision_resnet": ("torchvision_resnet", {"depth": 18, "width": 2}, IMAGE, "sgd"),
    "bottlenecks": ("torchvision_resnet", {"depth": 50, "width": 2}, IMAGE, "adam"),
    "inception_v4": ("inception_v4", {"blocks": [0, 1, 1], "width": 2}, IMAGE, "sgd"),
}
DEEP = "bottlenecks", "inception_v4"  # fewer, larger batches spare time
NUMBERS = "validation_logits", "best_epoch", "failed_epoch", "train_loss", "validation_ce"


def test_every_method_and_every_network_has_a_case_here():
    missing = plugins("method").keys() ^ GRIDS.keys()
    assert not missing, f"GRIDS of test_company.py needs the same methods: {sorted(missing)}"
    missing = plugins("network").keys() ^ {family for family, *_ in CASES.values()}
    assert not missing, f"CASES of test_company.py needs the same networks: {sorted(missing)}"


@functools.cache
def cell_of(shape, dtype):
    """A cell with two teachers and, of images, nine views."""
    data, pad = made_up_data(shape), int(len(shape) == 3)
    split, rng = made_up_split(data), np.random.default_rng(1)
    rows = split["train"]
    soft_targets = [
        {"logits": 2 * rng.normal(size=(len(rows), 9 if pad else 1, 3)), "ids": data["ids"][rows]}
        for _ in range(TEACHERS)
    ]
    augmentation, cpu = {"pad": pad, "flip": False}, torch.device("cpu")
    return CellData(data, split, augmentation, cpu, soft_targets, 1.3, dtype)


def all_groups(case):
    """The students of all methods; in each network others are its first and its last."""
    first = 5 * list(CASES).index(case) % len(GRIDS)
    names = [*GRIDS][first:] + [*GRIDS][:first]
    return [group(name, GRIDS[name]) for name in names]


def trained(case, groups, dtype):
    """The students of these groups in one network; an epoch's last batch is smaller."""
    family, options, shape, optimizer = CASES[case]
    rate = 0.01 if optimizer == "adam" else 0.05
    changes = {"optimizer": optimizer, "learning_rate": rate, "epochs": 2}
    changes["batch_size"] = 40 if case in DEEP else 20
    network = build(family, options, shape, 3, sum(len(g.points) for g in groups), seed=7)
    recipe = replace(RECIPE, **changes, milestones=[1])
    return train(network, cell_of(shape, dtype), groups, recipe, 3, "test")


def companies(case):
    """Yield (rows, groups): students of the network of all who also train in other company.

    They are the first, a middle and the last one, each alone; the students of each method alone,
    of tables all, of images one that has a memory of its own and one that is looked up; and the
    first half of all.
    """
    groups = all_groups(case)
    ends = list(itertools.accumulate(len(each.points) for each in groups))
    places = {
        each.method: slice(end - len(each.points), end)
        for each, end in zip(groups, ends, strict=True)
    }
    for place in (0, len(groups) // 2, len(groups) - 1):
        one = groups[place]._replace(points=groups[place].points[-1:])
        yield slice(ends[place] - 1, ends[place]), [one]
    number = list(CASES).index(case)
    pairs = ("beta", "mbls"), ("online_ls", "distil"), ("focal", "dual_focal")
    for name in GRIDS if case.startswith("mlp") else pairs[number % 3]:
        yield places[name], [each for each in groups if each.method == name]
    yield slice(ends[5]), groups[:6]


def numbers(students, rows):
    """All that is known of the students at `rows`, as arrays by name."""
    weights = {name: tensor[rows].numpy() for name, tensor in students.weights.items()}
    return {name: getattr(students, name)[rows] for name in NUMBERS} | weights


@pytest.mark.parametrize("case", CASES)
def test_a_student_has_the_same_bytes_in_any_company(case):
    whole = trained(case, all_groups(case), torch.float32)
    assert not whole.failed_epoch.any() and len(np.unique(whole.train_loss[:, -1])) >= 16
    for rows, groups in companies(case):
        apart = numbers(trained(case, groups, torch.float32), slice(None))
        for name, array in numbers(whole, rows).items():
            what = [each.method for each in groups]
            assert array.tobytes() == apart[name].tobytes(), f"{name} of {what}"


def brighter(x, onehot, draws, *, gain):
    """Inputs of each student's own, and labels that all share."""
    ones = [1] * (x.dim() - 1)
    return x * (1 + gain.view(-1, 1, *ones) * draws[:, 0].view(-1, *ones)), onehot


def sure(onehot, ema_confidence, previous_probabilities, x):
    """Targets of inputs that look at what the students were shown, and remember it."""
    assert len(x) == len(ema_confidence)
    return (ema_confidence[..., None] * onehot + previous_probabilities) / 2


def transformed_groups():
    """Students of several methods with a transform, and of one that shows all the same."""
    return [
        group("no_ls", {"alpha": [0.0, 0.1, 1.0]}, name="mixup", transform="mixup"),
        group("online_ls", {"alpha": [0.5], "gain": [2.0]}, transform=brighter),
        group(sure, {"alpha": [0.2, 8.0], "decay": [0.5, 0.9]}, transform="mixup"),
        group("mbls", {"margin": [0.1], "alpha": [1.0]}, transform=lambda x, onehot: (x, onehot)),
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_student_with_inputs_of_its_own_has_the_same_bytes_in_any_company(case):
    groups = transformed_groups()
    places = [slice(2, 3), slice(3, 4), slice(4, 6), slice(6, 7)]
    alone = [groups[0]._replace(points=groups[0].points[-1:]), *groups[1:]]
    whole = trained(case, groups, torch.float32)
    assert not whole.failed_epoch.any() and len(np.unique(whole.train_loss[:, -1])) == 7
    pairs = [*zip(places, alone, strict=True)]
    for rows, own in pairs if case.startswith("mlp") else pairs[:1]:
        apart = numbers(trained(case, [own], torch.float32), slice(None))
        for name, array in numbers(whole, rows).items():
            assert array.tobytes() == apart[name].tobytes(), f"{name} of {own.method}"


@pytest.mark.parametrize("case", CASES)
def test_students_trained_together_equal_students_trained_alone(case):
    whole = trained(case, all_groups(case), torch.float64)
    for rows, groups in [*companies(case)][1:4]:
        apart = numbers(trained(case, groups, torch.float64), slice(None))
        for name, array in numbers(whole, rows).items():
            np.testing.assert_allclose(array, apart[name], rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("case", ["mlp", "resnet of 5 channels"])
@pytest.mark.parametrize("first", [True, False])
def test_a_diverging_student_changes_no_byte_of_other_methods_students(case, first):
    def poison(onehot, *, epsilon):
        return onehot * torch.where(epsilon > 0.5, torch.nan, 1.0)

    others = [group(name, GRIDS[name]) for name in ("beta", "bs_soft", "distil", "ps_kd")]
    mixed = {}
    for epsilon in (0.9, 0.1):
        own = group(poison, {"epsilon": [0.1, epsilon] if first else [epsilon, 0.1]})
        mixed[epsilon] = trained(case, [own, *others] if first else [*others, own], torch.float32)
    bad, good = mixed[0.9], mixed[0.1]
    failed = bad.failed_epoch > 0
    assert failed.sum() == 1 and failed[1 if first else -2] and not good.failed_epoch.any()
    kept = np.flatnonzero(~failed)
    for name, array in numbers(good, kept).items():
        assert array.tobytes() == numbers(bad, kept)[name].tobytes(), name


# --------------------------------------------------------------------------------------------------


def first_batches(cell):
    return cell.batches(20, *(torch.Generator() for _ in range(3)))


def test_an_input_sees_the_students_of_its_own_method_only(monkeypatch):
    """Its network shows what they have learnt so far; its memory no other method has."""
    seen = []

    def watched(kind, name):
        function = load(kind, name)

        @functools.wraps(function)
        def watch(*arguments, **options):
            told = dict(zip(inputs_of(function), arguments, strict=True))
            out = function(*arguments, **options)
            if "network" in told:
                weights = {n: t.clone() for n, t in told["network"].state_dict().items()}
                seen.append(told | {"name": name, "weights": weights, "out": out})
            return out

        return watch

    def spy(
        onehot,
        teacher_logits,
        teachers_logits,
        teacher_temperature,
        class_distances,
        student_logits,
        progress,
        previous_probabilities,
        ema_confidence,
        class_averages,
        uniform,
        x,
        draws,
        memory,
    ):
        return onehot

    assert {*inputs_of(spy)} == plugins("target_input").keys(), "spy looks at all inputs"
    cell = cell_of((5,), torch.float64)
    network = build("mlp", {"hidden": [4]}, (5,), 3, 8, seed=7).to(cell.dtype)
    groups = [
        group("ls", {"epsilon": [0.1, 0.2]}),
        group(spy, None, 3, "a"),
        group(spy, None, 1, "b"),
    ]
    groups.append(group("bs_soft", GRIDS["bs_soft"]))
    rows = {"ls": slice(2), "a": slice(2, 5), "b": slice(5, 6), "bs_soft": slice(6, 8)}
    with monkeypatch.context() as patch:
        patch.setattr("ils.training.step.load", watched)
        step = Step(network, cell, groups, SGD(network.parameters(), 0.1, 0.9, True, 0.0), 2)
    of_part = {id(learners.network): learners for learners in step.learners}
    assert [learners.method for learners in step.learners] == [*rows]
    memories = {}
    for batch in itertools.islice(first_batches(cell), 2):
        seen.clear()
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        logits = network.logits(cell.train.batch(*batch[:2])).detach()
        step(*batch)
        changed = network.state_dict()
        assert not any(torch.equal(changed[name], before[name]) for name in before)
        for told in seen:
            learners = of_part[id(told["network"])]
            own = rows[learners.method]
            students = own.stop - own.start
            assert told["network"].students == learners.students == students
            assert torch.equal(told["batch"].logits.detach(), logits[own])
            assert memories.setdefault(learners.method, told["memory"]) is told["memory"]
            for name, tensor in told["weights"].items():
                assert torch.equal(tensor, before[name][own])
                assert torch.equal(told["network"].state_dict()[name], changed[name][own])
            if told["name"] in ("previous_probabilities", "ema_confidence"):
                assert len(told["out"]) == students
        calls = [(of_part[id(told["network"])].method, told["name"]) for told in seen]
        looking = [
            name for name in inputs_of(spy) if "network" in inputs_of(load("target_input", name))
        ]
        expected = [(method, name) for method in "ab" for name in looking]
        assert calls == [*expected, ("bs_soft", "student_logits")]
    assert memories["a"] is not memories["b"]
    assert len(memories["a"]["previous"]) == memories["a"]["average"].students == 3
    assert len(memories["b"]["previous"]) == memories["b"]["average"].students == 1


def two_parts(onehot, student_logits, *, weight):
    """A loss of two terms whose targets depend on the own predictions; the second's sum to 2."""
    q = student_logits.softmax(-1)
    return [Term(q, 1 - weight), Term(onehot + q, weight, 2.0)]


def plain_loss(logits, term, student):
    """The loss of a student's logits (B, K) by one term of all students, for autograd."""
    if torch.is_tensor(term):
        return term[student].sum() / len(logits)
    of_all = [torch.is_tensor(value) and value.dim() == 3 for value in term]
    t, w, temperature = (v[student] if own else v for v, own in zip(term, of_all, strict=True))
    return -(w * t * (logits / temperature).log_softmax(-1)).sum() / len(logits)


@pytest.mark.parametrize(
    "family, options, shape",
    [
        ("mlp", {"hidden": [8, 7]}, (5,)),
        ("densenet", {"depth": 7, "growth": 4, "variant": "plain"}, IMAGE),
    ],
)
def test_losses_and_gradients_of_mixed_targets_are_autograds(family, options, shape):
    cell = cell_of(shape, torch.float64)
    groups = [group(name, GRIDS[name]) for name in ("ls", "distil", "bs_soft", "no_ls", "ils2")]
    groups += [group(two_parts, {"weight": [0.3, 0.8]}), group("ils", GRIDS["ils"])]
    groups += [group(name, GRIDS[name]) for name in ("mbls", "focal", "confidence_penalty")]
    sizes = [len(each.points) for each in groups]
    network = build(family, options, shape, 3, sum(sizes), seed=7).to(cell.dtype)
    torch.manual_seed(0)
    with torch.no_grad():  # students whose logits differ, and in whom the targets matter
        for parameter in network.parameters():
            parameter *= 1 + torch.rand(len(parameter), *[1] * (parameter.dim() - 1))
    step = Step(network, cell, groups, SGD(network.parameters(), 0.0, 0.0, False, 0.0), 2)
    indices, views, *numbers = next(first_batches(cell))
    seen = {
        "onehot": cell.onehot[indices],
        "teacher_logits": cell.teacher_logits[0][indices, views],
        "teachers_logits": torch.stack([of[indices, views] for of in cell.teacher_logits]),
        "teacher_temperature": cell.teacher_temperature,
    }
    logits, losses = network(cell.train.batch(indices, views)), []
    for each, own in zip(groups, logits.split(sizes), strict=True):
        inputs = [seen.get(name, own) for name in inputs_of(each.targets)]
        columns = {
            name: torch.tensor([p[name] for p in each.points], dtype=cell.dtype).view(-1, 1, 1)
            for name in each.points[0]
        }
        targets = each.targets(*inputs, **columns)
        terms = targets if isinstance(targets, list) else [Term(targets)]
        losses += [sum(plain_loss(own[g], term, g) for term in terms) for g in range(len(own))]
    expected = torch.autograd.grad(sum(losses), [*network.parameters()])
    step(indices, views, *numbers)
    exact = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(step.total / len(indices), torch.stack(losses).detach(), **exact)
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, **exact)
        assert gradient.flatten(1).abs().amax(1).min() > 1e-4  # of each student


class Recorded(MLP):
    """The same network, whose backward pass autograd takes."""

    written_out = False


@pytest.mark.parametrize("widths", [[5, 3], [5, 4, 3], [5, 8, 7, 3]])
def test_the_written_out_backward_pass_of_the_mlp_is_autograds(widths):
    torch.manual_seed(0)
    written, recorded = MLP(widths).double(), Recorded(widths).double()
    assert written.written_out and not recorded.written_out
    assert Recorded.backward is MLP.backward and MLP.backward is not Network.backward
    replace_tensors(
        written, {n: torch.randn(4, *t.shape[1:]).double() for n, t in written.state_dict().items()}
    )
    repeat(recorded, 4)
    recorded.load_state_dict(written.state_dict())
    x, gradient = torch.randn(6, 5).double(), torch.randn(4, 6, 3).double()
    with torch.no_grad():  # nothing is recorded that it could use
        written.backward(written.logits(x), gradient)
    recorded.backward(recorded.logits(x), gradient)
    pairs = zip(written.parameters(), recorded.parameters(), strict=True)
    for ours, theirs in pairs:
        assert theirs.grad.abs().max() > 0.1
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "students, at_once, sizes",
    [(10, 8, [5, 5]), (9, 4, [3, 3, 3]), (8, 8, [8]), (11, 4, [4, 4, 3]), (3, 1, [1, 1, 1])],
)
def test_the_networks_of_a_job_are_of_about_the_same_size(students, at_once, sizes, tmp_path):
    """Whatever the methods of the students, who keep their order and their method's options."""
    points = [{"epsilon": 0.01 * i} for i in range(students)]
    options = {"onehot": {"some": 1}}
    groups = [
        Group("a", max, points[:2], options),
        Group("b", min, points[2:-1]),
        Group("c", max, points[-1:]),
    ]
    told = []

    def learn(network, groups, **_):
        told.append(groups)
        assert network == sum(len(each.points) for each in groups)
        one = np.zeros(network)
        return Students(*[one] * 6, {})

    checkpoints = Checkpoints(tmp_path / "shard", "digest", 1e9)
    train_chunks(groups, at_once, lambda count: count, learn, "toy", checkpoints)
    assert [sum(len(each.points) for each in chunk) for chunk in told] == sizes
    flat = [(g.method, g.targets, g.options, p) for chunk in told for g in chunk for p in g.points]
    assert flat == [(g.method, g.targets, g.options, p) for g in groups for p in g.points]
    for chunk in told:
        assert len({each.method for each in chunk}) == len(chunk)


def test_students_with_a_transform_train_in_networks_apart(tmp_path):
    points = [{"epsilon": 0.01 * i} for i in range(9)]
    groups = [Group("a", max, points[:5]), Group("b", max, points[5:7], transform=min)]
    groups += [Group("c", max, points[7:8], transform=max), Group("d", max, points[8:])]
    told = []

    def learn(network, groups, **_):
        told.append([(each.method, len(each.points)) for each in groups])
        return Students(*[np.zeros(network)] * 6, {})

    checkpoints = Checkpoints(tmp_path / "shard", "digest", 1e9)
    train_chunks(groups, 4, lambda count: count, learn, "toy", checkpoints)
    assert told == [[("a", 3)], [("a", 2)], [("b", 2), ("c", 1)], [("d", 1)]]
    assert len(list((tmp_path / "shard.partial").iterdir())) == 3  # all but the last


def test_neighbours_with_equal_options_are_a_group():
    points = [{"alpha": 0.4, "epsilon": e, "decay": d} for d in (0.9, 0.5) for e in (0.1, 0.2)]
    options = {"ema_confidence": {"decay": 0.1}, "onehot": {}}
    beta = Group("beta", load("method", "beta"), [*points, points[0]], options)
    cut = beta.alike()
    assert [each.points for each in cut] == [points[:2], points[2:], points[:1]]
    decays = [{"decay": 0.9}, {"decay": 0.5}, {"decay": 0.9}]
    assert [each.options for each in cut] == [{"ema_confidence": d, "onehot": {}} for d in decays]
    assert options["ema_confidence"] == {"decay": 0.1}
    plain = group("ls", {"epsilon": [0.1, 0.2]}, options={"onehot": {}})
    assert plain.alike() == [plain]


def test_an_option_that_is_searched_is_the_option(make_cell):
    """Of Beta's average and of cLS's distances: what the same value under `inputs` would do."""
    cell = make_cell((5,))
    for name, option, values in (("beta", "decay", [0.5, 0.99]), ("cls", "samples", [2, 500])):
        grid = {key: own[:1] for key, own in GRIDS[name].items() if key != "decay"}
        looked_at = {"decay": "ema_confidence", "samples": "class_distances"}[option]
        of_each = [group(name, grid, options={looked_at: {option: value}}) for value in values]
        searched = group(name, {k: own * 2 for k, own in grid.items()} | {option: values})
        networks = [build("mlp", {"hidden": [4]}, (5,), 3, 2, 0) for _ in range(2)]
        apart, together = (
            train(network, cell, groups, RECIPE, 0, "test")
            for network, groups in zip(networks, (of_each, [searched]), strict=True)
        )
        np.testing.assert_array_equal(apart.train_loss, together.train_loss)
        assert (together.train_loss[0] != together.train_loss[1]).all()
