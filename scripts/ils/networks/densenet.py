"""DenseNets."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ils.errors import UserError
from ils.networks.build import blocks_per_stage, image_channels, network
from ils.networks.layers import BatchNorm, Conv, Linear, Network, concatenate, vectors_of_students


@network
def densenet(
    shape: Sequence[int], classes: int, *, depth: int, growth: int = 12, variant: str = "bc"
) -> Network:
    """DenseNet for small images (Huang et al. 2017), three dense blocks.

    `variant` "plain" (depth 3n + 4) has 1,019,722 parameters at depth 40, growth 12; "bc", with
    bottlenecks and compression 0.5 (depth 6n + 4), has 176,122.
    """
    if variant not in ("plain", "bc"):
        raise UserError(f"densenet: variant {variant!r} is neither 'plain' nor 'bc'")
    bc = variant == "bc"
    layers = blocks_per_stage("densenet", depth, 6 if bc else 3, 4)
    return DenseNet(shape, classes, layers, growth, bc)


def activated_conv1x1(channels_in: int, channels_out: int) -> nn.Sequential:
    """bn, relu, conv 1x1."""
    return nn.Sequential(
        BatchNorm(channels_in), nn.ReLU(inplace=True), Conv(channels_in, channels_out, 1)
    )


class DenseLayer(nn.Module):
    """bn, relu, conv 3x3 to `growth` channels.

    With `bc` they stand behind a bottleneck: bn, relu, conv 1x1 to 4 growth channels.
    """

    def __init__(self, channels: int, growth: int, bc: bool):
        super().__init__()
        self.bottleneck = activated_conv1x1(channels, 4 * growth) if bc else None
        inner = 4 * growth if bc else channels
        self.bn, self.conv = BatchNorm(inner), Conv(inner, growth, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.bn(x if self.bottleneck is None else self.bottleneck(x)).relu_())


class DenseNet(Network):
    def __init__(self, shape: Sequence[int], classes: int, layers: int, growth: int, bc: bool):
        super().__init__()
        channels = 2 * growth if bc else 16
        self.stem = Conv(image_channels(shape), channels, 3, 1, 1)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        for stage in range(3):
            widths = (channels + i * growth for i in range(layers))
            self.blocks.append(nn.ModuleList(DenseLayer(width, growth, bc) for width in widths))
            channels += layers * growth
            if stage < 2:
                out = channels // 2 if bc else channels
                self.transitions.append(activated_conv1x1(channels, out))
                channels = out
        self.bn, self.fc = BatchNorm(channels), Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage, block in enumerate(self.blocks):
            for layer in block.children():
                x = concatenate(self.students, x, layer(x))
            if stage < 2:
                x = F.avg_pool2d(self.transitions[stage](x), 2)
        x = self.bn(x).relu_()
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))
