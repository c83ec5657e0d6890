"""The fully connected network."""

import math

from ils.networks.build import network
from ils.networks.layers import Linear, Network
from torch import nn


@network
def mlp(shape, classes, *, hidden):
    """Fully connected ReLU network; `hidden` lists the widths of its hidden layers."""
    return MLP([math.prod(shape), *hidden, classes])


class MLP(Network):
    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.layers[:-1]:
            x = layer(x).relu_()
        return self.layers[-1](x)
