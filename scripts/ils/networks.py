"""The architectures, each written once for G students trained side by side; G = 1 is the ordinary network.

A network is a function of the input shape (C, H, W) or (F,), the number of classes and its own options. To add one,
write it with the layers of `ils.stacked`, put its function under `@network`, and name it in the config's `networks`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ils.errors import UserError
from ils.stacked import (
    BatchNorm,
    Conv,
    Linear,
    Network,
    channels_of_students,
    concatenate,
    images_of_students,
    repeat,
    replace_tensors,
    vectors_of_students,
)

NETWORKS = {}


def network(function):
    """Make a network available to the config under its function's name."""
    NETWORKS[function.__name__] = function
    return function


def build(family, options, shape, classes, students, seed):
    """Return the network of `students` equal students whose initial weights follow from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return repeat(NETWORKS[family](shape, classes, **options), students)


def image_channels(shape):
    """Return C of an image shape (C, H, W), or say that the dataset holds no images."""
    if len(shape) != 3:
        raise UserError(f"this network needs images (C, H, W), but the dataset's inputs have shape {tuple(shape)}; use mlp")
    return shape[0]


def restore(family, options, shape, classes, arrays):
    """Return the network whose state dict, as numpy arrays (G, ...), was saved."""
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return replace_tensors(build(family, options, shape, classes, 1, 0), weights)


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
            x = layer(x).relu()
        return self.layers[-1](x)


@network
def lenet(shape, classes, *, padding=0):
    """LeNet: conv 6@5x5, pool, conv 16@5x5, pool, fc 120, fc 84, fc K. 62,006 parameters on 3x32x32, K = 10.

    `padding` of the two convolutions lets it take images smaller than 16x16 (2 keeps their size).
    """
    return LeNet(shape, classes, padding)


class LeNet(Network):
    def __init__(self, shape, classes, padding):
        super().__init__()
        channels, sides = image_channels(shape), shape[1:]
        for _ in range(2):
            sides = [(side + 2 * padding - 4) // 2 for side in sides]
        if min(sides) < 1:
            raise UserError(f"lenet with padding {padding} cannot take images of {shape}; set options: {{padding: 2}}")
        self.conv1 = Conv(channels, 6, 5, padding=padding, bias=True)
        self.conv2 = Conv(6, 16, 5, padding=padding, bias=True)
        self.head = MLP([16 * math.prod(sides), 120, 84, classes])

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x).relu(), 2)
        x = F.max_pool2d(self.conv2(x).relu(), 2)
        x = vectors_of_students(x, self.students)
        for layer in self.head.layers[:-1]:
            x = layer(x).relu()
        return self.head.layers[-1](x)


def blocks_per_stage(family, depth, per_block, extra):
    """Return n of depth = per_block * n + extra, or say which depths exist."""
    blocks, rest = divmod(depth - extra, per_block)
    if rest or blocks < 1:
        raise UserError(f"{family}: depth {depth} is not {per_block}n + {extra} with n >= 1")
    return blocks


@network
def resnet(shape, classes, *, depth, width=16, survival=1.0):
    """ResNet for small images (He et al. 2016), depth 6n + 2, option A shortcuts, widths w, 2w, 4w.

    ResNet110 has 1,727,962 parameters. `survival` < 1 gives stochastic depth (Huang et al. 2016): block l of L
    survives a mini-batch with p_l = 1 - l/L (1 - survival), and its branch is scaled by p_l at test time.
    """
    return ResNet(shape, classes, blocks_per_stage("resnet", depth, 6, 2), width, survival)


class Residual(nn.Module):
    """The branch of a basic block: conv, bn, relu, conv, bn."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.conv1, self.bn1 = Conv(channels_in, channels_out, 3, stride, 1), BatchNorm(channels_out)
        self.conv2, self.bn2 = Conv(channels_out, channels_out, 3, 1, 1), BatchNorm(channels_out)

    def forward(self, x):
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))


def shortcut_a(x, students, channels, stride):
    """Option A: every `stride`-th pixel, the new channels zero, half of them on each side."""
    x = channels_of_students(x[:, :, ::stride, ::stride], students)
    missing = channels - x.shape[-1]
    return images_of_students(F.pad(x, (missing // 2, missing - missing // 2)))


class ResNet(Network):
    def __init__(self, shape, classes, blocks, width, survival):
        super().__init__()
        self.stem, self.bn = Conv(image_channels(shape), width, 3, 1, 1), BatchNorm(width)
        self.blocks, self.plan, channels = nn.ModuleList(), [], width
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

    def forward(self, x):
        x = self.bn(self.stem(x)).relu()
        for l, (block, (channels, stride)) in enumerate(zip(self.blocks, self.plan)):
            shortcut = x if stride == 1 else shortcut_a(x, self.students, channels, stride)
            if not self.survival:
                x = (shortcut + block(x)).relu()
            elif not self.training:
                x = (shortcut + self.survival[l] * block(x)).relu()
            else:
                x = (shortcut + block(x)).relu() if self.coins[l] else shortcut.relu()
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))


@network
def wide_resnet(shape, classes, *, depth, widen):
    """Wide ResNet (Zagoruyko & Komodakis 2016), depth 6n + 4, pre-activation blocks. WRN-34-10: 46,160,474 parameters."""
    return WideResNet(shape, classes, blocks_per_stage("wide_resnet", depth, 6, 4), widen)


class WideBlock(nn.Module):
    """bn, relu, conv, bn, relu, conv, with a 1x1 shortcut where the channels change."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        self.bn1, self.conv1 = BatchNorm(channels_in), Conv(channels_in, channels_out, 3, stride, 1)
        self.bn2, self.conv2 = BatchNorm(channels_out), Conv(channels_out, channels_out, 3, 1, 1)
        self.shortcut = Conv(channels_in, channels_out, 1, stride) if channels_in != channels_out else None

    def forward(self, x):
        y = self.bn1(x).relu()
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return shortcut + self.conv2(self.bn2(self.conv1(y)).relu())


class WideResNet(Network):
    def __init__(self, shape, classes, blocks, widen):
        super().__init__()
        self.stem, channels, layers = Conv(image_channels(shape), 16, 3, 1, 1), 16, []
        for stage in range(3):
            for block in range(blocks):
                layers.append(WideBlock(channels, 16 * widen << stage, 2 if stage and not block else 1))
                channels = 16 * widen << stage
        self.blocks, self.bn, self.fc = nn.Sequential(*layers), BatchNorm(channels), Linear(channels, classes)

    def forward(self, x):
        x = self.bn(self.blocks(self.stem(x))).relu()
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))


@network
def densenet(shape, classes, *, depth, growth=12, variant="bc"):
    """DenseNet for small images (Huang et al. 2017), three dense blocks.

    `variant` "plain" (depth 3n + 4) has 1,019,722 parameters at depth 40, growth 12; "bc", with bottlenecks and
    compression 0.5 (depth 6n + 4), has 176,122.
    """
    if variant not in ("plain", "bc"):
        raise UserError(f"densenet: variant {variant!r} is neither 'plain' nor 'bc'")
    return DenseNet(shape, classes, blocks_per_stage("densenet", depth, 6 if variant == "bc" else 3, 4), growth, variant == "bc")


class DenseLayer(nn.Module):
    """bn, relu, conv 3x3 to `growth` channels, behind a bn, relu, conv 1x1 bottleneck of 4 growth channels if bc."""

    def __init__(self, channels, growth, bc):
        super().__init__()
        self.bottleneck = nn.Sequential(BatchNorm(channels), nn.ReLU(), Conv(channels, 4 * growth, 1)) if bc else None
        inner = 4 * growth if bc else channels
        self.bn, self.conv = BatchNorm(inner), Conv(inner, growth, 3, 1, 1)

    def forward(self, x):
        return self.conv(self.bn(x if self.bottleneck is None else self.bottleneck(x)).relu())


class DenseNet(Network):
    def __init__(self, shape, classes, layers, growth, bc):
        super().__init__()
        channels = 2 * growth if bc else 16
        self.stem, self.blocks, self.transitions = Conv(image_channels(shape), channels, 3, 1, 1), nn.ModuleList(), nn.ModuleList()
        for stage in range(3):
            self.blocks.append(nn.ModuleList(DenseLayer(channels + i * growth, growth, bc) for i in range(layers)))
            channels += layers * growth
            if stage < 2:
                out = channels // 2 if bc else channels
                self.transitions.append(nn.Sequential(BatchNorm(channels), nn.ReLU(), Conv(channels, out, 1)))
                channels = out
        self.bn, self.fc = BatchNorm(channels), Linear(channels, classes)

    def forward(self, x):
        x = self.stem(x)
        for stage, block in enumerate(self.blocks):
            for layer in block:
                x = concatenate(self.students, x, layer(x))
            if stage < 2:
                x = F.avg_pool2d(self.transitions[stage](x), 2)
        x = self.bn(x).relu()
        return self.fc(vectors_of_students(x.mean((2, 3), keepdim=True), self.students))
