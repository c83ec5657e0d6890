"""Layers that hold G students side by side, and the operations on whole networks of them.

Every parameter and buffer has the student as its first dimension, so a network for G students is
the network of one with each tensor repeated G times, and the layers read G off their weights.
Images travel as (B, G*C, H, W) in channels_last memory, vectors as (G, B, F). The students never
mix: the gradient of the summed loss is each one's own. On the CPU nor does a student's rounding
depend on how many others there are, or on its place among them.
"""

import contextlib
import copy
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ils.errors import UserError

LANES = 8  # channels that the CPU's batch norm computes in one vector


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let a GPU round the factors of convolutions and products to 10 bits in here, or not.

    PyTorch has one setting for the process: whatever is computed outside of a network is not
    rounded so.
    """
    _set_tf32(allowed)
    try:
        yield
    finally:
        _set_tf32(False)


def _set_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


class Linear(nn.Module):
    """Affine map (G, B, F_in) -> (G, B, F_out); an input (B, F_in) is shared by all students."""

    def __init__(self, features_in: int, features_out: int):
        super().__init__()
        bound = 1 / math.sqrt(features_in)
        self.weight = nn.Parameter(
            torch.empty(1, features_in, features_out).uniform_(-bound, bound)
        )
        self.bias = nn.Parameter(torch.empty(1, 1, features_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x.expand(len(self.weight), *x.shape[-2:]), self.weight)


class Conv(nn.Module):
    """2-d convolution (B, G*C_in, H, W) -> (B, G*C_out, H', W').

    An input of C_in channels is shared by all students. `kernel` and `padding` are one number or
    (height, width). With a bias it starts as PyTorch's layer does; without one, before batch norm,
    it starts as He et al. 2015 (fan out).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = False,
    ):
        super().__init__()
        self.stride, self.padding = stride, padding
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        weight = torch.empty(channels_out, channels_in, height, width)
        self.bias: nn.Parameter | None = None
        if bias:
            bound = 1 / math.sqrt(channels_in * height * width)
            weight.uniform_(-bound, bound)
            self.bias = nn.Parameter(torch.empty(1, channels_out).uniform_(-bound, bound))
        else:
            weight.normal_(0, math.sqrt(2 / (channels_out * height * width)))
        self.weight = nn.Parameter(weight[None])

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.flatten(0, 1)
        bias = None if self.bias is None else self.bias.flatten()
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, bias, self.stride, self.padding, groups=groups)


class BatchNorm(nn.Module):
    """Batch norm over (B, H, W) of each student's channels, momentum 0.1, eps 1e-5."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels))
        self.bias = nn.Parameter(torch.zeros(1, channels))
        self.register_buffer("running_mean", torch.zeros(1, channels))
        self.register_buffer("running_var", torch.ones(1, channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, var = self.running_mean.flatten(), self.running_var.flatten()
        return F.batch_norm(x, mean, var, self.weight.flatten(), self.bias.flatten(), self.training)


class Dropout(nn.Module):
    """Dropout of vectors (G, B, F) at `rate`: one mask (B, F) for all students.

    It is the identity in evaluation mode. `seed` decides the mask of a mini-batch; it is drawn with
    the network's other coins and spares a mask's way from the CPU to the device.
    """

    def __init__(self, rate: float):
        super().__init__()
        if not 0 <= rate < 1:
            raise UserError(f"dropout {rate} must be 0 or more and below 1")
        self.rate = rate
        self.seed: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        assert self.seed is not None, "draw_coins comes before a training step"
        generator = torch.Generator(x.device).manual_seed(self.seed)
        kept = torch.rand(x.shape[1:], generator=generator, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


def channels_of_students(x: Tensor, students: int) -> Tensor:
    """View (B, G*C, H, W) as (B, H, W, G, C), without a copy when x is channels_last."""
    return x.permute(0, 2, 3, 1).unflatten(-1, (students, -1))


def images_of_students(x: Tensor) -> Tensor:
    """The inverse of `channels_of_students`."""
    return x.flatten(-2).permute(0, 3, 1, 2)


def inputs_of_students(x: Tensor, students: int) -> Tensor:
    """Bring inputs of each student's own, (G, B, F) or (G, B, C, H, W), into the form that layers
    take, for as many `students` as a network computes: those beyond G see what the first sees.

    Images become (B, G*C, H, W).
    """
    x = torch.cat([x, x[:1].expand(students - len(x), *x.shape[1:])])
    return x if x.dim() == 3 else images_of_students(x.permute(1, 3, 4, 0, 2).contiguous())


def concatenate(students: int, *images: Tensor) -> Tensor:
    """Concatenate the channels of each student.

    (B, G*C1, H, W), (B, G*C2, H, W), ... -> (B, G*(C1+C2+...), H, W).
    """
    return images_of_students(torch.cat([channels_of_students(x, students) for x in images], -1))


def vectors_of_students(x: Tensor, students: int) -> Tensor:
    """Flatten images (B, G*C, H, W) to vectors (G, B, C*H*W)."""
    return x.unflatten(1, (students, -1)).flatten(2).transpose(0, 1)


class Network(nn.Module):
    """Base of all networks: forward takes a shared batch (B, ...) and returns logits (G, B, K).

    Or the batch is each student's own: (G, B, F), or images (B, G*C, H, W).
    `survival` holds the survival probability p_l of each residual block of a network with
    stochastic depth, else it is empty. The coins of a mini-batch, those blocks and the masks of
    `Dropout`, are drawn by the trainer, so that all students share them.
    """

    survival: Sequence[float] = ()
    coins: Sequence[bool] = ()
    precision: str = "float32"

    @property
    def written_out(self) -> bool:
        """Whether `backward` needs nothing that autograd records."""
        return False

    @property
    def students(self) -> int:
        """G, the number of students in this network."""
        return len(next(self.parameters()))

    @functools.cached_property
    def tensors(self) -> list[Tensor]:
        """All parameters and buffers, of a network that gets no others any more."""
        return [*(parameter.detach() for parameter in self.parameters()), *self.buffers()]

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (G, B, K) of x, in x's type, in the network's `precision`.

        x is shared by the students, (B, ...), or each one's own: (G, B, F) or (G, B, C, H, W).
        float32; tf32, in which a GPU rounds the factors of convolutions and products to 10 bits; or
        bfloat16: convolutions and products in it, batch norm's statistics, the weights and whatever
        comes after the logits as without it.
        """
        missing = 0 if x.is_cuda or self.written_out else self._missing()
        if x.dim() in (3, 5):
            x = inputs_of_students(x, self.students + missing)
        forward = functools.partial(self._filled_up, missing) if missing else self
        if self.precision == "bfloat16":
            with torch.autocast(x.device.type, torch.bfloat16):
                return forward(x).to(x.dtype)
        with self.products(x):
            return forward(x)

    def products(self, x: Tensor) -> contextlib.AbstractContextManager:
        """In it, products on the device of x are rounded as `precision` says."""
        return tf32(self.precision == "tf32") if x.is_cuda else contextlib.nullcontext()

    @functools.cached_property
    def _multiple(self) -> int:
        """Of how many students the channels of every batch norm fill whole vectors."""
        norms = [layer for layer in self.modules() if isinstance(layer, BatchNorm)]
        return math.lcm(1, *(LANES // math.gcd(LANES, norm.weight.shape[1]) for norm in norms))

    def _missing(self) -> int:
        """How many students the CPU computes in vain, so that its rounding is the same whatever
        their number.

        A lone student's convolutions, without groups, sum in another order. Batch norm rounds the
        gradients of what lies beyond the last whole vector of channels in another way.
        """
        multiple = self._multiple if self.training else 1
        return max(2, math.ceil(self.students / multiple) * multiple) - self.students

    def _more(self, missing: int) -> dict[str, Tensor]:
        """All tensors by name, of so many more students like the first."""
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {
            name: _layout(torch.cat([t, t[:1].expand(missing, *t.shape[1:])]))
            for name, t in tensors.items()
        }

    def _filled_up(self, missing: int, x: Tensor) -> Tensor:
        """The logits (G, B, K) of the first G among so many more."""
        more = self._more(missing)
        logits = torch.func.functional_call(self, more, x)[: self.students]
        for name, buffer in self.named_buffers():
            buffer.copy_(more[name][: self.students])
        return logits

    def copied(self) -> "Network":
        """A copy for evaluation, with as many more students as the CPU would add at every call."""
        copied = copy.deepcopy(self).eval()
        missing = 0 if copied.written_out or self.tensors[0].is_cuda else copied._missing()
        return replace_tensors(copied, copied._more(missing)).requires_grad_(False)

    def backward(self, logits: Tensor, gradient: Tensor) -> None:
        """Add the parameters' gradients by that of the `logits` (G, B, K) of the last batch.

        A network that has it `written_out` sets them.
        """
        with self.products(logits):
            logits.backward(gradient)

    def part(self, rows: slice) -> "Network":
        """The students at `rows` as a network of their own, whose tensors are views of this one's:
        what changes here changes there."""
        views: dict[int, Any] = {id(b): b[rows] for b in self.buffers()}
        views |= {id(p): nn.Parameter(p.detach()[rows]) for p in self.parameters()}
        return copy.deepcopy(self, views)

    def draw_coins(self, generator: torch.Generator) -> None:
        """Draw which residual blocks survive the next mini-batch, and its dropout.

        `generator` is a CPU generator; a network without either draws nothing.
        """
        if self.survival:
            uniform = torch.rand(len(self.survival), generator=generator)
            self.coins = (uniform < torch.tensor(self.survival)).tolist()
        for layer in self._dropouts:
            layer.seed = int(torch.randint(2**62, (), generator=generator))

    @functools.cached_property
    def _dropouts(self) -> list[Dropout]:
        return [layer for layer in self.modules() if isinstance(layer, Dropout)]

    @property
    def draws_coins(self) -> bool:
        """Whether `draw_coins` draws anything."""
        return bool(self.survival or self._dropouts)


def _layout(tensor: Tensor) -> Tensor:
    """Lay convolution weights (G, C_out, C_in, k, k) out so that their 4-d view is channels_last.

    Other tensors become contiguous.
    """
    if tensor.dim() != 5:
        return tensor.clone(memory_format=torch.contiguous_format)
    kernels = tensor.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return kernels.unflatten(0, tensor.shape[:2])


def replace_tensors(network: Network, tensors: Mapping[str, Tensor]) -> Network:
    """Give `network` the parameters and buffers of a state dict for any number of students."""
    network.__dict__.pop("tensors", None)
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        layer = network.get_submodule(path)
        value = _layout(tensor.detach())
        setattr(layer, leaf, nn.Parameter(value) if leaf in layer._parameters else value)
    return network


def repeat(network: Network, students: int) -> Network:
    """Turn a network of one student into one of `students` equal ones, in place."""
    state = network.state_dict()
    return replace_tensors(
        network,
        {name: tensor.expand(students, *tensor.shape[1:]) for name, tensor in state.items()},
    )
