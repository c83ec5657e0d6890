"""One training step: what it may not do, what its precisions change, and its recording as a graph.

A double plays the graph.
"""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import RECIPE, group
from ils.errors import UserError
from ils.networks.build import build
from ils.training.optimizers import make_optimizer
from ils.training.step import Step
from ils.training.trainer import train

GRIDS = {
    "no_ls": {},
    "ils": {"p1": [0.95, 0.8], "p2": [0.5, 2.0], "temperature": [1.0, 2.0]},
    "cls": {"epsilon": [0.1, 0.2], "beta": [0.1, 1.0]},
    "bs_soft": {"beta": [0.95, 0.8]},
    "beta": {"epsilon": [0.05, 0.2], "alpha": [0.4, 0.2]},
    "ps_kd": {"alpha": [0.8, 0.5]},
    "distil": {
        "teacher": [0, 0],
        "weight": [0.9, 0.5],
        "teacher_temperature": [20.0, 2.0],
        "student_temperature": [1.0, 2.0],
        "times_t_squared": [0, 1],
    },
    "dual_focal": {"gamma": [1.0, 2.0]},
    "mbls": {"margin": [0.0, 0.1], "alpha": [0.1, 1.0]},
    "online_ls": {"alpha": [0.5, 0.9]},
    "mixup": {"alpha": [0.0, 0.4]},
}
# Students of one method, or of all whose inputs are shared, in one network.
TOGETHER = [*GRIDS, "all"]
NETWORKS = {
    "lenet": ("lenet", {"padding": 2}),
    "densenet": ("densenet", {"depth": 10, "growth": 4}),
    "resnet": ("resnet", {"depth": 8, "width": 4}),
}
WAITING = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "is_nonzero",
    "equal",
    "item",
    "unique",
    "_unique2",
}


class Watch(TorchDispatchMode):
    """Notes operations whose result the host has to wait for on a GPU."""

    def __init__(self):
        super().__init__()
        self.seen, self.calls = set(), 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        self.seen.add(function._overloadpacket._qualified_op_name.partition("::")[2])
        self.calls += 1
        return function(*arguments, **(named or {}))


class Recording(TorchDispatchMode):
    """Plays a CUDA graph on the CPU: notes every operation, and runs them again.

    They run into the tensors that they ran into before. Unlike a GPU it also executes what it
    notes; what was there before is put back at the end.
    """

    def __init__(self):
        super().__init__()
        self.calls, self.before = [], {}

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        for storage in (tensor.untyped_storage() for tensor in tensors_in((arguments, named))):
            if storage.data_ptr() not in self.before:
                self.before[storage.data_ptr()] = storage, storage.clone()
        out = function(*arguments, **(named or {}))
        self.calls.append((function, arguments, named or {}, out))
        return out

    def __exit__(self, *exception):
        super().__exit__(*exception)
        for storage, value in self.before.values():
            storage.copy_(value)

    @torch.no_grad()
    def replay(self):
        for function, arguments, named, out in self.calls:
            for kept, again in zip(
                tensors_in(out), tensors_in(function(*arguments, **named)), strict=True
            ):
                if kept.data_ptr() != again.data_ptr():
                    kept.copy_(again)


def tensors_in(tree):
    return [
        leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)
    ]


class Stream:
    device = torch.device("cpu")

    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        pass


@pytest.fixture
def recorded(monkeypatch):
    """CUDA's graphs and streams played on the CPU; returns the list of the graphs recorded."""
    graphs = []

    def record(graph, stream):
        graphs.append(graph)
        return graph

    for name, double in {"CUDAGraph": Recording, "graph": record, "Stream": Stream}.items():
        monkeypatch.setattr(torch.cuda, name, double)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    return graphs


def groups_of(method):
    if method == "mixup":
        return [group("no_ls", GRIDS[method], transform=method)]
    names = GRIDS.keys() - {"mixup"} if method == "all" else [method]
    return [group(name, GRIDS[name], 2) for name in sorted(names)]


def students_of(make_cell, network, method, **options):
    family, network_options = NETWORKS[network]
    cell, groups = make_cell((1, 8, 8), pad=1, teacher=True), groups_of(method)
    cell.teacher_logits *= 2  # as distillation has several
    built = build(family, network_options, (1, 8, 8), 3, 2 * len(groups), seed=7)
    recipe = options.pop("recipe", RECIPE)
    return train(built, cell, groups, recipe, seed=3, title="test", **options)


@pytest.mark.parametrize("method", TOGETHER)
def test_a_recorded_step_is_the_step(method, make_cell, recorded):
    optimizer = "adam" if method in ("beta", "all") else "sgd"
    recipe = dataclasses.replace(RECIPE, batch_size=8, optimizer=optimizer, learning_rate=0.01)
    step_by_step = students_of(make_cell, "lenet", method, recipe=recipe)
    assert not recorded
    replayed = students_of(make_cell, "lenet", method, recipe=recipe, cuda_graphs=True)
    assert len(recorded) == recipe.epochs  # each begins with the new learning rate
    for ours, theirs in zip(replayed[:-2], step_by_step[:-2]):  # weights and state
        np.testing.assert_array_equal(ours, theirs)
    for name, tensor in step_by_step.weights.items():
        assert torch.equal(replayed.weights[name], tensor), name


@pytest.mark.parametrize("network", NETWORKS)
def test_recorded_networks_learn_as_they_do_step_by_step(network, make_cell, recorded):
    step_by_step, replayed = (
        students_of(make_cell, network, "ils", cuda_graphs=graphs).train_loss
        for graphs in (False, True)
    )
    np.testing.assert_array_equal(replayed, step_by_step)


@pytest.mark.parametrize(
    "options",
    [
        ("resnet", {"depth": 8, "survival": 0.5}),
        ("alexnet", {"stride": 1, "width": 4, "hidden": [8]}),
    ],
)
def test_a_network_that_draws_coins_is_not_recorded(options, make_cell, recorded):
    network = build(*options, (1, 8, 8), 3, 1, seed=0)
    cell = make_cell((1, 8, 8))
    with pytest.raises(UserError, match=r"stochastic depth or dropout .* cuda_graphs: 0"):
        train(network, cell, [group("no_ls")], RECIPE, 0, "test", cuda_graphs=True)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", ["all", "mixup"])
def test_no_step_after_the_first_waits_for_the_device(network, method, make_cell):
    cell, groups = make_cell((1, 8, 8), pad=1, teacher=True), groups_of(method)
    cell.teacher_logits *= 2
    built = build(*NETWORKS[network], (1, 8, 8), 3, 2 * len(groups), seed=7).to(cell.dtype)
    step = Step(built, cell, groups, make_optimizer(RECIPE, built.parameters()), 3)
    first, second, *_ = cell.batches(16, *(torch.Generator() for _ in range(3)))
    step(*first)
    with Watch() as watch:
        step(*second)
    assert {"convolution_backward", "_fused_sgd_"} <= watch.seen
    assert not WAITING & watch.seen


def test_what_waits_is_noticed():
    with Watch() as watch:
        torch.ones(2).sum().item()
    assert WAITING & watch.seen


def test_bfloat16_is_for_convolutions_and_products_alone():
    network = build("resnet", {"depth": 8, "width": 4}, (1, 8, 8), 3, 2, 0, "bfloat16")
    x = torch.randn(6, 1, 8, 8)
    types = {}

    def note(layer, inputs, out):
        types[type(layer).__name__] = out.dtype

    for layer in network.modules():
        layer.register_forward_hook(note)
    logits = network.logits(x)
    assert logits.dtype == torch.float32 and types["Conv"] == types["Linear"] == torch.bfloat16
    logits.sum().backward()
    assert all(p.dtype == p.grad.dtype == torch.float32 for p in network.parameters())
    assert network.bn.running_mean.dtype == torch.float32
    exact = build("resnet", {"depth": 8, "width": 4}, (1, 8, 8), 3, 2, 0).logits(x)
    assert not torch.equal(exact, logits) and torch.allclose(exact, logits, atol=0.1)
