"""The fully connected network."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ils.networks.build import network
from ils.networks.layers import Linear, Network


@network
def mlp(shape: Sequence[int], classes: int, *, hidden: Sequence[int]) -> Network:
    """Fully connected ReLU network; `hidden` lists the widths of its hidden layers."""
    return MLP([math.prod(shape), *hidden, classes])


class MLP(Network):
    """Linear layers of these widths, from the inputs' to the classes', with ReLU in between.

    Its backward pass is written out: at this size a step is a fraction of a millisecond, and a
    graph would take longer than the products.
    """

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(widths))
        self.inputs: list[Tensor] = []  # of each layer, in the last training step

    @property
    def written_out(self) -> bool:
        return self.precision != "bfloat16"

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        inputs = []
        for layer in self.layers[:-1]:
            inputs.append(x)
            x = layer(x).relu_()
        inputs.append(x)
        if self.training and self.written_out:
            self.inputs = inputs
        return self.layers[-1](x)

    def backward(self, logits: Tensor, gradient: Tensor) -> None:
        if not self.written_out:
            return super().backward(logits, gradient)
        for number, layer in reversed(list(enumerate(self.layers))):
            x = self.inputs[number]
            x = x.expand(self.students, *x.shape[-2:])
            layer.weight.grad = torch.bmm(x.mT, gradient)
            layer.bias.grad = gradient.sum(1, keepdim=True)
            if number:
                gradient = torch.bmm(gradient, layer.weight.detach().mT)
                torch.ops.aten.threshold_backward.grad_input(gradient, x, 0, grad_input=gradient)
        return None
