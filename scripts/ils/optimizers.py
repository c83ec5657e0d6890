"""SGD and Adam over stacked weights. The same arithmetic as torch.optim, whose import alone costs a short job a second.

Every update is elementwise, so students in one network are updated as if each had its own optimizer. A parameter that
took no part in a mini-batch (a block that stochastic depth skipped) has gradient zero: momentum and decay go on.
"""

import torch


def gradients_of(parameters, weight_decay):
    """The list of gradients, with the gradient of weight_decay/2 |w|^2 added in place."""
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    if weight_decay:
        torch._foreach_add_(gradients, parameters, alpha=weight_decay)
    return gradients


def named(**lists):
    """The tensors of some lists under names of their own."""
    return {f"{name}/{i}": tensor for name, tensors in lists.items() for i, tensor in enumerate(tensors)}


class SGD:
    """SGD with momentum (optionally Nesterov) and L2 weight decay added to the gradient, as torch.optim.SGD."""

    def __init__(self, parameters, learning_rate, momentum, nesterov, weight_decay):
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.velocity = [torch.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def tensors(self):
        """What is remembered between steps, {name: tensor}."""
        return named(velocity=self.velocity)

    @torch.no_grad()
    def step(self):
        self.steps += 1
        gradients = gradients_of(self.parameters, self.weight_decay)
        if self.momentum:
            torch._foreach_mul_(self.velocity, self.momentum)
            torch._foreach_add_(self.velocity, gradients)
            if self.nesterov:
                torch._foreach_add_(gradients, self.velocity, alpha=self.momentum)
            else:
                gradients = self.velocity
        torch._foreach_add_(self.parameters, gradients, alpha=-self.learning_rate)


class Adam:
    """Adam with betas (0.9, 0.999), eps 1e-8 and L2 weight decay added to the gradient, as torch.optim.Adam."""

    def __init__(self, parameters, learning_rate, weight_decay, betas=(0.9, 0.999), eps=1e-8):
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.weight_decay, self.betas, self.eps, self.steps = weight_decay, betas, eps, 0
        self.mean = [torch.zeros_like(p) for p in self.parameters]
        self.square = [torch.zeros_like(p) for p in self.parameters]

    def tensors(self):
        """What is remembered between steps, {name: tensor}."""
        return named(mean=self.mean, square=self.square)

    @torch.no_grad()
    def step(self):
        self.steps += 1
        gradients = gradients_of(self.parameters, self.weight_decay)
        beta1, beta2 = self.betas
        torch._foreach_lerp_(self.mean, gradients, 1 - beta1)
        torch._foreach_mul_(self.square, beta2)
        torch._foreach_addcmul_(self.square, gradients, gradients, 1 - beta2)
        denominator = torch._foreach_sqrt(self.square)
        torch._foreach_div_(denominator, (1 - beta2**self.steps) ** 0.5)
        torch._foreach_add_(denominator, self.eps)
        torch._foreach_addcdiv_(self.parameters, self.mean, denominator, -self.learning_rate / (1 - beta1**self.steps))
