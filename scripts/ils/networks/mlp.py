"""The fully connected network."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ils.networks.build import network
from ils.networks.layers import Linear, Network, vectors_of_students


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
    def _linear(self) -> list[Linear]:
        return [layer for layer in self.layers if isinstance(layer, Linear)]

    @property
    def written_out(self) -> bool:
        return self.precision != "bfloat16"

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self._linear
        if x.dim() == 4:
            own = x[0].numel() > self._linear[0].weight.shape[1]
            x = vectors_of_students(x, self.students).contiguous() if own else x.flatten(1)
        x = x.expand(self.students, -1, -1)
        inputs = [x]
        for layer in hidden:
            x = torch.baddbmm(layer.bias, x, layer.weight).relu_()
            inputs.append(x)
        self.inputs = inputs
        return torch.baddbmm(last.bias, x, last.weight)

    def backward(self, logits: Tensor, gradient: Tensor) -> None:
        if not self.written_out:
            return super().backward(logits, gradient)
        with self.products(logits):
            return self._backward(gradient)

    def _backward(self, gradient: Tensor) -> None:
        for layer, x in zip(reversed(self._linear), reversed(self.inputs)):
            weight, bias = layer.weight, layer.bias
            weight.grad = torch.bmm(x.mT, gradient, out=weight.grad)
            bias.grad = torch.sum(gradient, 1, keepdim=True, out=bias.grad)
            if x is not self.inputs[0]:
                gradient = torch.bmm(gradient, weight.detach().mT)
                torch.ops.aten.threshold_backward.grad_input(gradient, x, 0, grad_input=gradient)
