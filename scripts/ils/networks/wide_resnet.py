"""Wide ResNets."""

from collections.abc import Sequence

from torch import Tensor, nn

from ils.networks.build import blocks_per_stage, image_channels, network
from ils.networks.layers import BatchNorm, Conv, Linear, Network, vectors_of_students


@network
def wide_resnet(shape: Sequence[int], classes: int, *, depth: int, widen: int) -> Network:
    """Wide ResNet (Zagoruyko & Komodakis 2016), depth 6n + 4, pre-activation blocks.

    WRN-34-10 has 46,160,474 parameters on 3x32x32, K = 10.
    """
    return WideResNet(shape, classes, blocks_per_stage("wide_resnet", depth, 6, 4), widen)


class WideBlock(nn.Module):
    """bn, relu, conv, bn, relu, conv, with a 1x1 shortcut where the channels change."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.bn1, self.conv1 = BatchNorm(channels_in), Conv(channels_in, channels_out, 3, stride, 1)
        self.bn2, self.conv2 = BatchNorm(channels_out), Conv(channels_out, channels_out, 3, 1, 1)
        self.shortcut = (
            Conv(channels_in, channels_out, 1, stride) if channels_in != channels_out else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(x).relu_()
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return self.conv2(self.bn2(self.conv1(y)).relu_()).add_(shortcut)


class WideResNet(Network):
    """Three stages of `blocks` blocks, of 16, 32, 64 times `widen` channels."""

    def __init__(self, shape: Sequence[int], classes: int, blocks: int, widen: int):
        super().__init__()
        self.stem, channels, layers = Conv(image_channels(shape), 16, 3, 1, 1), 16, []
        for stage in range(3):
            out = 16 * widen << stage
            for block in range(blocks):
                layers.append(WideBlock(channels, out, 2 if stage and not block else 1))
                channels = out
        self.blocks, self.bn = nn.Sequential(*layers), BatchNorm(channels)
        self.fc = Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.blocks(self.stem(x))).relu_()
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))
