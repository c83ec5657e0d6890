"""Inception-v4 (Szegedy et al. 2017) for small images, written as a plan of its branches.

A plan is a list of layers on top of each other: (channels, kernel) or (channels, kernel, stride) is
a convolution with batch norm and ReLU, a list of plans stands for branches side by side, whose
outputs are concatenated.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ils.errors import UserError
from ils.networks.build import image_channels, network
from ils.networks.layers import (
    BatchNorm,
    Conv,
    Dropout,
    Linear,
    Network,
    concatenate,
    vectors_of_students,
)

AVERAGE = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
MAX = nn.MaxPool2d(3, 1, 1)
HALVE = nn.MaxPool2d(3, 2, 1)

STEM = [
    *((32, 3), (32, 3), (64, 3)),
    [[MAX], [(96, 3)]],
    [[(64, 1), (96, 3)], [(64, 1), (64, (7, 1)), (64, (1, 7)), (96, 3)]],
    [[MAX], [(192, 3)]],
]
A = [
    [AVERAGE, (96, 1)],
    [(96, 1)],
    [(64, 1), (96, 3)],
    [(64, 1), (96, 3), (96, 3)],
]
REDUCTION_A = [
    [HALVE],
    [(384, 3, 2)],
    [(192, 1), (224, 3), (256, 3, 2)],
]
B = [
    [AVERAGE, (128, 1)],
    [(384, 1)],
    [(192, 1), (224, (1, 7)), (256, (7, 1))],
    [(192, 1), (192, (1, 7)), (224, (7, 1)), (224, (1, 7)), (256, (7, 1))],
]
REDUCTION_B = [
    [HALVE],
    [(192, 1), (192, 3, 2)],
    [(256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2)],
]
SPLIT = [[(256, (1, 3))], [(256, (3, 1))]]
C = [
    [AVERAGE, (256, 1)],
    [(256, 1)],
    [(384, 1), SPLIT],
    [(384, 1), (448, (1, 3)), (512, (3, 1)), SPLIT],
]


def plan(blocks: Sequence[int]) -> list:
    """The whole network's plan with so many blocks of A, B and C."""
    a, b, c = blocks
    return [*STEM, *[A] * a, REDUCTION_A, *[B] * b, REDUCTION_B, *[C] * c]


class Branches(nn.Module):
    """Branches that see the same images; their channels are concatenated student by student."""

    def __init__(self, branches: Sequence[nn.Module]):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        students = len(next(self.parameters()))
        return concatenate(students, *(branch(x) for branch in self.branches))


def layers(stack: Sequence, channels: int, width: int) -> tuple[nn.Sequential, int]:
    """Return the layers of the plan `stack` for images of `channels` channels.

    Also returns how many channels leave them. The plan's own channels are for a `width` of 32.
    Padding keeps the images' size, up to the stride.
    """
    built: list[nn.Module] = []
    for layer in stack:
        if isinstance(layer, nn.Module):
            built.append(layer)
        elif isinstance(layer, list):
            branches, branch_channels = zip(*(layers(branch, channels, width) for branch in layer))
            built.append(Branches(branches))
            channels = sum(branch_channels)
        else:
            out, kernel, stride = (*layer, 1)[:3]
            out = out * width // 32
            kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
            padding = (kernel[0] // 2, kernel[1] // 2)
            conv = Conv(channels, out, kernel, stride, padding)
            built += [conv, BatchNorm(out), nn.ReLU(inplace=True)]
            channels = out
    return nn.Sequential(*built), channels


class InceptionV4(Network):
    """The network of the plan, then average pooling, dropout and one linear layer.

    It takes images of `channels` channels.
    """

    def __init__(
        self, channels: int, classes: int, blocks: Sequence[int], width: int, dropout: float
    ):
        super().__init__()
        self.body, channels = layers(plan(blocks), channels, width)
        self.dropout, self.fc = Dropout(dropout), Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x).mean((2, 3), keepdim=True)
        return self.fc(self.dropout(vectors_of_students(x, self.students)))


@network
def inception_v4(
    shape: Sequence[int],
    classes: int,
    *,
    blocks: Sequence[int] = (4, 7, 3),
    width: int = 32,
    dropout: float = 0.2,
) -> Network:
    """Inception-v4 (Szegedy et al. 2017) for small images.

    41,158,186 parameters on 3x32x32, K = 10. Changed for small images: the five strides of 2 in the
    stem are 1, and every convolution and pooling is padded, so that 32x32 stays so up to reduction
    A (16x16) and reduction B (8x8). As in the paper are the `blocks` of A, B and C, the channels,
    which grow with `width`, that of the first convolution, and the dropout before the linear layer.
    """
    if len(blocks) != 3:
        raise UserError(
            f"inception_v4: blocks {list(blocks)} are not three numbers, of blocks A, B and C"
        )
    return InceptionV4(image_channels(shape), classes, blocks, width, dropout)
