"""SGD and Adam over stacked weights: the fused kernels of torch.optim without its import.

The import costs a short job a second. One call updates all weights in one pass. Every update is
elementwise, so students in one network are updated as if each had its own optimizer. A parameter
that took no part in a mini-batch (a block that stochastic depth skipped) has gradient zero:
momentum and decay go on.
"""

import itertools
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ils.plan.records import Recipe

ALIGNMENT = 64  # numbers; the kernels round those after the last whole vector in another way


class Flat:
    """Parameters laid one after the other into one block of memory, `weights`, and the gradients
    that are added to each into a block like it.

    Each keeps the order of its dimensions in memory (convolution weights are channels_last) and
    begins, as the blocks end, at a multiple of `ALIGNMENT`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        self.parameters = list(parameters)
        padded = [math.ceil(p.numel() / ALIGNMENT) * ALIGNMENT for p in self.parameters]
        self.starts = [0, *itertools.accumulate(padded)]
        self.weights = self.parameters[0].detach().new_zeros(self.starts[-1])
        self.gradient = torch.zeros_like(self.weights)
        for parameter, view in zip(self.parameters, self.views(self.weights), strict=True):
            parameter.data = view.copy_(parameter.detach())
        for parameter, gradient in zip(self.parameters, self.views(self.gradient), strict=True):
            parameter.grad = gradient

    def views(self, block: Tensor) -> list[Tensor]:
        """Each parameter's part of a block, in its shape and layout."""
        views = []
        for start, p in zip(self.starts, self.parameters, strict=False):
            order = sorted(range(p.dim()), key=p.stride().__getitem__, reverse=True)
            dense = block[start : start + p.numel()].view([p.shape[d] for d in order])
            views.append(dense.permute([order.index(d) for d in range(p.dim())]))
        return views

    def named(self, **blocks: Tensor) -> dict[str, Tensor]:
        """The parts of some blocks, {"block/number of the parameter": view}."""
        return {
            f"{name}/{number}": view
            for name, block in blocks.items()
            for number, view in enumerate(self.views(block))
        }


class SGD:
    """torch.optim.SGD with momentum, optionally Nesterov's.

    L2 weight decay is added to the gradient.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
    ):
        self.flat, self.learning_rate = Flat(parameters), learning_rate
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.velocity = [torch.zeros_like(self.flat.weights)] if momentum else []

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered between steps, {name: tensor}, students first."""
        return self.flat.named(velocity=self.velocity[0]) if self.velocity else {}

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters by their gradients."""
        torch._fused_sgd_(
            [self.flat.weights],
            [self.flat.gradient],
            self.velocity,
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            dampening=0,
            maximize=False,
            is_first_step=False,
        )


class Adam:
    """torch.optim.Adam with betas (0.9, 0.999), eps 1e-8.

    L2 weight decay is added to the gradient.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
    ):
        self.flat, self.learning_rate = Flat(parameters), learning_rate
        self.weight_decay = weight_decay
        self.mean, self.square = (torch.zeros_like(self.flat.weights) for _ in range(2))
        self.steps = torch.zeros((), device=self.mean.device)

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered between steps, {name: tensor}: students first, or one for all."""
        return self.flat.named(mean=self.mean, square=self.square) | {"steps": self.steps}

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters by their gradients."""
        self.steps += 1
        torch._fused_adam_(
            [self.flat.weights],
            [self.flat.gradient],
            [self.mean],
            [self.square],
            [],  # the largest squares, of AMSGrad
            [self.steps],
            lr=self.learning_rate,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=self.weight_decay,
            amsgrad=False,
            maximize=False,
        )


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> SGD | Adam:
    """Return the optimizer of `recipe`, at the learning rate of its start."""
    if recipe.optimizer == "adam":
        return Adam(parameters, recipe.learning_rate, recipe.weight_decay)
    return SGD(
        parameters, recipe.learning_rate, recipe.momentum, recipe.nesterov, recipe.weight_decay
    )
