"""AlexNet."""

import itertools
import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ils.errors import UserError
from ils.networks.build import image_channels, network
from ils.networks.layers import Conv, Dropout, Network, vectors_of_students
from ils.networks.mlp import MLP


@network
def alexnet(
    shape: Sequence[int],
    classes: int,
    *,
    width: int = 64,
    hidden: Sequence[int] = (4096, 4096),
    dropout: float = 0.5,
    stride: int = 2,
) -> Network:
    """AlexNet (Krizhevsky et al. 2012) as it is usual for small images.

    23,272,266 parameters on 3x32x32, K = 10. Convolutions of w, 3w, 6w, 4w, 4w channels (w is
    `width`), all 3x3, the first of this `stride`; 2x2 max-pools after the first, second and last;
    dropout before each fully connected layer of the `hidden` widths. The channels are those of
    Krizhevsky 2014, for one device; in both papers the first two kernels are 11x11, of stride 4,
    and 5x5, and the pools overlap, in the first local response is normalised, too. Takes images
    from 15x15, with stride 1 from 8x8.
    """
    return AlexNet(shape, classes, width, hidden, dropout, stride)


class AlexNet(Network):
    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        width: int,
        hidden: Sequence[int],
        dropout: float,
        stride: int,
    ):
        super().__init__()
        channels = [image_channels(shape), *(width * times for times in (1, 3, 6, 4, 4))]
        sides = [math.ceil(side / stride) // 8 for side in shape[1:]]
        if min(sides) < 1:
            raise UserError(
                f"alexnet with stride {stride} cannot take images of {shape}; "
                "options: {stride: 1} takes 8x8"
            )
        strides = (stride, 1, 1, 1, 1)
        self.convs = nn.ModuleList(
            Conv(a, b, 3, s, 1, bias=True)
            for (a, b), s in zip(itertools.pairwise(channels), strides)
        )
        self.head = MLP([channels[-1] * math.prod(sides), *hidden, classes])
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in hidden)

    def forward(self, x: Tensor) -> Tensor:
        for l, conv in enumerate(self.convs):
            x = conv(x)
            x = (F.max_pool2d(x, 2) if l in (0, 1, 4) else x).relu_()
        x = vectors_of_students(x, self.students)
        for layer, dropout in zip(self.head.layers, self.dropouts):
            x = layer(dropout(x)).relu_()
        return self.head.layers[-1](x)
