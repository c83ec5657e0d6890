"""LeNet."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ils.errors import UserError
from ils.networks.build import image_channels, network
from ils.networks.layers import Conv, Network, vectors_of_students
from ils.networks.mlp import MLP


@network
def lenet(shape: Sequence[int], classes: int, *, padding: int = 0) -> Network:
    """LeNet: conv 6@5x5, pool, conv 16@5x5, pool, fc 120, fc 84, fc K.

    62,006 parameters on 3x32x32, K = 10. `padding` of the two convolutions lets it take images
    smaller than 16x16 (2 keeps their size).
    """
    return LeNet(shape, classes, padding)


class LeNet(Network):
    def __init__(self, shape: Sequence[int], classes: int, padding: int):
        super().__init__()
        channels, sides = image_channels(shape), list(shape[1:])
        for _ in range(2):
            sides = [(side + 2 * padding - 4) // 2 for side in sides]
        if min(sides) < 1:
            raise UserError(
                f"lenet with padding {padding} cannot take images of {shape}; "
                "set options: {padding: 2}"
            )
        self.conv1 = Conv(channels, 6, 5, padding=padding, bias=True)
        self.conv2 = Conv(6, 16, 5, padding=padding, bias=True)
        self.head = MLP([16 * math.prod(sides), 120, 84, classes])

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv1(x), 2).relu_()
        x = F.max_pool2d(self.conv2(x), 2).relu_()
        x = vectors_of_students(x, self.students)
        for layer in self.head.layers[:-1]:
            x = layer(x).relu_()
        return self.head.layers[-1](x)
