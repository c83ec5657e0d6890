"""SGD and Adam over stacked weights: the fused kernels of torch.optim without its import, which costs a short job a second.

One call updates all weights in one pass. Every update is elementwise, so students in one network are updated as if each
had its own optimizer. A parameter that took no part in a mini-batch (a block that stochastic depth skipped) has gradient
zero: momentum and decay go on.
"""

import torch


class Stored:
    """Parameters as dense blocks of memory: the fused kernels walk through that, whatever strides say.

    Convolution weights, for example, are channels_last.
    """

    def __init__(self, parameters):
        self.parameters = list(parameters)
        self.orders = [
            sorted(range(p.dim()), key=p.stride().__getitem__, reverse=True)
            for p in self.parameters
        ]
        self.blocks = [p.detach().permute(order) for p, order in zip(self.parameters, self.orders)]

    def zeros(self):
        """A block of zeros for each parameter."""
        return [torch.zeros_like(block) for block in self.blocks]

    def gradients(self):
        """The gradients in the order of the blocks."""
        given = (torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters)
        return [gradient.permute(order).contiguous() for gradient, order in zip(given, self.orders)]


def named(**lists):
    """The tensors of some lists under names of their own."""
    return {
        f"{name}/{i}": tensor for name, tensors in lists.items() for i, tensor in enumerate(tensors)
    }


class SGD:
    """SGD with momentum (optionally Nesterov) and L2 weight decay added to the gradient, as torch.optim.SGD."""

    def __init__(self, parameters, learning_rate, momentum, nesterov, weight_decay):
        self.stored, self.learning_rate = Stored(parameters), learning_rate
        self.options = {
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "dampening": 0,
        }
        self.velocity = self.stored.zeros() if momentum else []

    def tensors(self):
        """What is remembered between steps, {name: tensor}."""
        return named(velocity=self.velocity)

    @torch.no_grad()
    def step(self):
        options = self.options | {
            "lr": self.learning_rate,
            "maximize": False,
            "is_first_step": False,
        }
        torch._fused_sgd_(self.stored.blocks, self.stored.gradients(), self.velocity, **options)


class Adam:
    """Adam with betas (0.9, 0.999), eps 1e-8 and L2 weight decay added to the gradient, as torch.optim.Adam."""

    def __init__(self, parameters, learning_rate, weight_decay):
        self.stored, self.learning_rate = Stored(parameters), learning_rate
        self.options = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": weight_decay}
        self.mean, self.square = self.stored.zeros(), self.stored.zeros()
        self.steps = torch.zeros((), device=self.stored.blocks[0].device)

    def tensors(self):
        """What is remembered between steps, {name: tensor}."""
        return named(mean=self.mean, square=self.square, steps=[self.steps])

    @torch.no_grad()
    def step(self):
        self.steps += 1
        moments = self.mean, self.square, [], [self.steps] * len(self.mean)
        options = self.options | {"lr": self.learning_rate, "amsgrad": False, "maximize": False}
        torch._fused_adam_(self.stored.blocks, self.stored.gradients(), *moments, **options)
