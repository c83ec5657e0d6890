"""SGD and Adam over stacked weights: the fused kernels of torch.optim without its import.

The import costs a short job a second. One call updates all weights in one pass. Every update is
elementwise, so students in one network are updated as if each had its own optimizer. A parameter
that took no part in a mini-batch (a block that stochastic depth skipped) has gradient zero:
momentum and decay go on.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ils.plan.records import Recipe


class Blocks:
    """Parameters as dense blocks of memory, which the fused kernels walk through.

    They disregard strides, and convolution weights, for example, are channels_last.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]):
        self.parameters = list(parameters)
        self.orders = [
            sorted(range(p.dim()), key=p.stride().__getitem__, reverse=True)
            for p in self.parameters
        ]
        self.tensors = [p.detach().permute(order) for p, order in zip(self.parameters, self.orders)]

    def zeros(self) -> list[Tensor]:
        """A block of zeros for each parameter."""
        return [torch.zeros_like(block) for block in self.tensors]

    def gradients(self) -> list[Tensor]:
        """The gradients in the order of the blocks."""
        gradients = (torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters)
        return [g.permute(order).contiguous() for g, order in zip(gradients, self.orders)]


def numbered(**lists: list[Tensor]) -> dict[str, Tensor]:
    """The tensors of some lists, {"list/0": its first, ...}."""
    return {
        f"{name}/{i}": tensor for name, tensors in lists.items() for i, tensor in enumerate(tensors)
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
        self.blocks, self.learning_rate = Blocks(parameters), learning_rate
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.velocity = self.blocks.zeros() if momentum else []

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered between steps, {name: tensor}."""
        return numbered(velocity=self.velocity)

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters by their gradients."""
        torch._fused_sgd_(
            self.blocks.tensors,
            self.blocks.gradients(),
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
        self.blocks, self.learning_rate = Blocks(parameters), learning_rate
        self.weight_decay = weight_decay
        self.mean, self.square = self.blocks.zeros(), self.blocks.zeros()
        self.steps = torch.zeros((), device=self.blocks.tensors[0].device)

    def tensors(self) -> dict[str, Tensor]:
        """What is remembered between steps, {name: tensor}."""
        return numbered(mean=self.mean, square=self.square, steps=[self.steps])

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters by their gradients."""
        self.steps += 1
        torch._fused_adam_(
            self.blocks.tensors,
            self.blocks.gradients(),
            self.mean,
            self.square,
            [],  # the largest squares, of AMSGrad
            [self.steps] * len(self.mean),
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
