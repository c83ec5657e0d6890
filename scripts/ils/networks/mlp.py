"""The fully connected network."""

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from ils.networks.build import network
from ils.networks.layers import Linear, Network


@network
def mlp(shape: Sequence[int], classes: int, *, hidden: Sequence[int]) -> Network:
    """Fully connected ReLU network; `hidden` lists the widths of its hidden layers."""
    return MLP([math.prod(shape), *hidden, classes])


class MLP(Network):
    """Linear layers of these widths, from the inputs' to the classes', with ReLU in between."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.layers = nn.ModuleList(Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = layer(x).relu_()
        return self.layers[-1](x)
