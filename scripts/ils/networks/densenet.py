"""DenseNets."""

import torch.nn.functional as F
from ils.errors import UserError
from ils.networks.build import blocks_per_stage, image_channels, network
from ils.networks.layers import BatchNorm, Conv, Linear, Network, concatenate, vectors_of_students
from torch import nn


@network
def densenet(shape, classes, *, depth, growth=12, variant="bc"):
    """DenseNet for small images (Huang et al. 2017), three dense blocks.

    `variant` "plain" (depth 3n + 4) has 1,019,722 parameters at depth 40, growth 12; "bc", with bottlenecks and
    compression 0.5 (depth 6n + 4), has 176,122.
    """
    if variant not in ("plain", "bc"):
        raise UserError(f"densenet: variant {variant!r} is neither 'plain' nor 'bc'")
    return DenseNet(
        shape,
        classes,
        blocks_per_stage("densenet", depth, 6 if variant == "bc" else 3, 4),
        growth,
        variant == "bc",
    )


class DenseLayer(nn.Module):
    """bn, relu, conv 3x3 to `growth` channels, behind a bn, relu, conv 1x1 bottleneck of 4 growth channels if bc."""

    def __init__(self, channels, growth, bc):
        super().__init__()
        self.bottleneck = (
            nn.Sequential(BatchNorm(channels), nn.ReLU(inplace=True), Conv(channels, 4 * growth, 1))
            if bc
            else None
        )
        inner = 4 * growth if bc else channels
        self.bn, self.conv = BatchNorm(inner), Conv(inner, growth, 3, 1, 1)

    def forward(self, x):
        return self.conv(self.bn(x if self.bottleneck is None else self.bottleneck(x)).relu_())


class DenseNet(Network):
    def __init__(self, shape, classes, layers, growth, bc):
        super().__init__()
        channels = 2 * growth if bc else 16
        self.stem, self.blocks, self.transitions = (
            Conv(image_channels(shape), channels, 3, 1, 1),
            nn.ModuleList(),
            nn.ModuleList(),
        )
        for stage in range(3):
            self.blocks.append(
                nn.ModuleList(DenseLayer(channels + i * growth, growth, bc) for i in range(layers))
            )
            channels += layers * growth
            if stage < 2:
                out = channels // 2 if bc else channels
                self.transitions.append(
                    nn.Sequential(
                        BatchNorm(channels), nn.ReLU(inplace=True), Conv(channels, out, 1)
                    )
                )
                channels = out
        self.bn, self.fc = BatchNorm(channels), Linear(channels, classes)

    def forward(self, x):
        x = self.stem(x)
        for stage, block in enumerate(self.blocks):
            for layer in block:
                x = concatenate(self.students, x, layer(x))
            if stage < 2:
                x = F.avg_pool2d(self.transitions[stage](x), 2)
        x = self.bn(x).relu_()
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))
