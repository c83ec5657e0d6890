"""ResNets for small images, with stochastic depth, and torchvision's."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ils.errors import UserError
from ils.networks.build import blocks_per_stage, image_channels, network
from ils.networks.layers import (
    BatchNorm,
    Conv,
    Linear,
    Network,
    channels_of_students,
    images_of_students,
    vectors_of_students,
)


@network
def resnet(
    shape: Sequence[int], classes: int, *, depth: int, width: int = 16, survival: float = 1.0
) -> Network:
    """ResNet for small images (He et al. 2016), depth 6n + 2.

    Option A shortcuts, stages of w, 2w, 4w channels (w is `width`). ResNet110 has 1,727,962
    parameters. `survival` < 1 gives stochastic depth (Huang et al. 2016): block l of L survives a
    mini-batch with p_l = 1 - l/L (1 - survival), and its branch is scaled by p_l at test time.
    """
    return ResNet(shape, classes, blocks_per_stage("resnet", depth, 6, 2), width, survival)


class Residual(nn.Module):
    """The branch of a basic block: conv, bn, relu, conv, bn."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.conv1 = Conv(channels_in, channels_out, 3, stride, 1)
        self.bn1 = BatchNorm(channels_out)
        self.conv2 = Conv(channels_out, channels_out, 3, 1, 1)
        self.bn2 = BatchNorm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))


def shortcut_a(x: Tensor, students: int, channels: int, stride: int) -> Tensor:
    """Option A: every `stride`-th pixel, the new channels zero, half of them on each side."""
    x = channels_of_students(x[:, :, ::stride, ::stride], students)
    missing = channels - x.shape[-1]
    return images_of_students(F.pad(x, (missing // 2, missing - missing // 2)))


class ResNet(Network):
    """Three stages of `blocks` basic blocks."""

    def __init__(
        self, shape: Sequence[int], classes: int, blocks: int, width: int, survival: float
    ):
        super().__init__()
        self.stem, self.bn = Conv(image_channels(shape), width, 3, 1, 1), BatchNorm(width)
        self.blocks, channels = nn.ModuleList(), width
        self.plan: list[tuple[int, int]] = []  # of each block: channels, stride
        for stage in range(3):
            for block in range(blocks):
                stride, out = (2, width << stage) if stage and not block else (1, width << stage)
                self.blocks.append(Residual(channels, out, stride))
                self.plan.append((out, stride))
                channels = out
        total = len(self.blocks)
        if survival < 1:
            self.survival = tuple(1 - (l + 1) / total * (1 - survival) for l in range(total))
        self.fc = Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.stem(x)).relu_()
        for l, (block, (channels, stride)) in enumerate(zip(self.blocks, self.plan)):
            shortcut = x if stride == 1 else shortcut_a(x, self.students, channels, stride)
            if not self.survival:
                x = block(x).add_(shortcut).relu_()
            elif not self.training:
                x = block(x).mul_(self.survival[l]).add_(shortcut).relu_()
            else:  # a shortcut is nowhere below 0
                x = block(x).add_(shortcut).relu_() if self.coins[l] else shortcut
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))


@network
def torchvision_resnet(
    shape: Sequence[int], classes: int, *, depth: int, width: int = 64
) -> Network:
    """torchvision's ResNet (He et al. 2016, Table 1) of depth 18, 34 or 50 for small images.

    Its stem is one 3x3 convolution of stride 1. Option B shortcuts, stages of w, 2w, 4w, 8w
    channels (w is `width`), four times as many behind bottlenecks, whose stride is that of the 3x3
    convolution. ResNet18 has 11,173,962 parameters on 3x32x32, K = 10, ResNet50 23,520,842.
    """
    if depth not in FOUR_STAGES:
        raise UserError(
            f"torchvision_resnet: depth {depth} is none of {', '.join(map(str, FOUR_STAGES))}"
        )
    return FourStageResNet(shape, classes, *FOUR_STAGES[depth], width)


class Bottleneck(nn.Module):
    """The branch of a bottleneck block: conv 1x1, 3x3, 1x1, with their batch norms.

    The inner convolutions have a quarter of `channels_out`.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        inner = channels_out // 4
        self.conv1, self.bn1 = Conv(channels_in, inner, 1), BatchNorm(inner)
        self.conv2, self.bn2 = Conv(inner, inner, 3, stride, 1), BatchNorm(inner)
        self.conv3, self.bn3 = Conv(inner, channels_out, 1), BatchNorm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn3(self.conv3(self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_())).relu_()))


FOUR_STAGES = {  # depth: the blocks' branch, the blocks of each stage, channels per unit of width
    18: (Residual, (2, 2, 2, 2), 1),
    34: (Residual, (3, 4, 6, 3), 1),
    50: (Bottleneck, (3, 4, 6, 3), 4),
}


class ProjectedBlock(nn.Module):
    """A residual block; its shortcut is a 1x1 convolution where the shape changes (option B)."""

    def __init__(
        self,
        branch: Callable[[int, int, int], nn.Module],
        channels_in: int,
        channels_out: int,
        stride: int,
    ):
        super().__init__()
        self.branch = branch(channels_in, channels_out, stride)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                Conv(channels_in, channels_out, 1, stride), BatchNorm(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x).add_(self.shortcut(x)).relu_()


class FourStageResNet(Network):
    """Four stages, of so many blocks each (`stages`), of `expansion` channels per unit of width."""

    def __init__(
        self,
        shape: Sequence[int],
        classes: int,
        branch: Callable[[int, int, int], nn.Module],
        stages: Sequence[int],
        expansion: int,
        width: int,
    ):
        super().__init__()
        self.stem, self.bn = Conv(image_channels(shape), width, 3, 1, 1), BatchNorm(width)
        channels, layers = width, []
        for stage, blocks in enumerate(stages):
            out = expansion * width << stage
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(ProjectedBlock(branch, channels, out, stride))
                channels = out
        self.blocks, self.fc = nn.Sequential(*layers), Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.bn(self.stem(x)).relu_())
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))
