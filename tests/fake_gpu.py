"""A GPU that is not there, for tests of the path that a GPU takes.

PyTorch's fake tensors have a device and a shape but no values. An operation that mixes devices
raises, and so does one whose result the host waits for (`.item()`, `nonzero`); copies from device
to device are noted by `Gpu`. What fake tensors cannot do, the doubles below stand for. Never run
here: backward passes that autograd records, the optimizers' kernels, bfloat16 (autocast wants a
real GPU), CUDA's graphs and streams, and whatever depends on values.
"""

import contextlib

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ils.networks.layers import Network, replace_tensors
from ils.training.cell import CellData

DEVICE = torch.device("cuda", 0)
COPIES = torch.ops.aten._to_copy, torch.ops.aten.copy_
to_numpy, host_generator = torch.Tensor.numpy, torch.Generator
draw_on_host, draw_batches = Network.draw_coins, CellData.batches


def tensors_in(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Gpu(TorchDispatchMode):
    """Counts epochs and updates, and notes copies between devices from an epoch's first mini-batch
    to its last."""

    def __init__(self):
        super().__init__()
        self.in_epoch, self.epochs, self.updates, self.copies = False, 0, 0, []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        out = function(*arguments, **(named or {}))
        if self.in_epoch and function._overloadpacket in COPIES:
            devices = {str(tensor.device) for tensor in tensors_in((arguments, out))}
            self.copies += [str(function)] * (len(devices) - 1)
        return out

    def batches(self, cell, *arguments):
        for batch in draw_batches(cell, *arguments):
            self.in_epoch = True
            yield batch
        self.in_epoch, self.epochs = False, self.epochs + 1

    def update(self, *lists, **_):
        """The fused kernels ask the driver."""
        assert {tensor.device for tensor in tensors_in(lists)} == {DEVICE}
        self.updates += 1


def backward(tensors, gradients, *_, **__):
    """Autograd's engine asks the driver."""
    for tensor, gradient in zip(tensors_in(tensors), tensors_in(gradients), strict=True):
        assert tensor.device == gradient.device == DEVICE
        assert tensor.shape == gradient.shape


def numpy(tensor):
    """There are no values: what the host reads at an epoch's end is 0."""
    assert tensor.device.type == "cpu"
    if not isinstance(tensor, FakeTensor):
        return to_numpy(tensor)
    return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


class Generator:
    """A generator on the GPU asks the driver: it becomes one on the host."""

    def __new__(cls, device="cpu"):
        return host_generator()


def to(network, device, dtype=None):
    """A module that moves exchanges its tensors, which these refuse: it gets others."""
    state = {name: tensor.to(device, dtype) for name, tensor in network.state_dict().items()}
    return replace_tensors(network, state)


def deepcopy(tensor, memo):
    """A deep copy is one of the memory, which they do not have."""
    return memo.setdefault(id(tensor), tensor.detach().clone())


def draw_coins(network, generator):
    """Coins and the seeds of dropout are drawn on the host, on purpose, and have values."""
    with unset_fake_temporarily():
        draw_on_host(network, generator)


def class_distances(cell, samples):
    """A training's first step looks up which inputs a class has (`nonzero`) ..."""
    return torch.zeros(cell.classes, cell.classes, device=DEVICE)


def beta_quantiles(alpha):
    """... and quantiles, computed on the host."""
    return torch.zeros(len(alpha), 2**14, device=DEVICE)


DOUBLES = [
    (torch.autograd, backward),
    (torch.Tensor, numpy),
    (torch, Generator),
    (Network, to),
    (Network, draw_coins),
    (CellData, class_distances),
]


@contextlib.contextmanager
def fake_gpu(monkeypatch):
    """Yield the `Gpu` in whose context tensors on `DEVICE` can be made and computed with."""
    gpu = Gpu()
    for place, double in DOUBLES:
        monkeypatch.setattr(place, double.__name__, double)
    monkeypatch.setattr(FakeTensor, "__deepcopy__", deepcopy)
    monkeypatch.setattr("ils.targets.transforms.beta_quantiles", beta_quantiles)
    monkeypatch.setattr(CellData, "batches", lambda *arguments: gpu.batches(*arguments))
    for kernel in ("_fused_sgd_", "_fused_adam_"):
        monkeypatch.setattr(torch, kernel, gpu.update)
    with FakeTensorMode(allow_non_fake_inputs=True), gpu:
        yield gpu
