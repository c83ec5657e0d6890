"""The architectures, each written once for G students trained side by side; G = 1 is the ordinary network.

A network is a function of the input shape (C, H, W) or (F,), the number of classes and its own options. To add one,
write it with the layers of `ils.stacked`, put its function under `@network`, and name it in the config's `networks`.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ils.errors import UserError
from ils.inception import InceptionV4
from ils.stacked import (
    BatchNorm,
    Conv,
    Dropout,
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


def build(family, options, shape, classes, students, seed, precision="float32"):
    """Return the network of `students` equal students whose initial weights follow from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = repeat(NETWORKS[family](shape, classes, **options), students)
    network.precision = precision
    return network


def image_channels(shape):
    """Return C of an image shape (C, H, W), or say that the dataset holds no images."""
    if len(shape) != 3:
        raise UserError(f"this network needs images (C, H, W), but the dataset's inputs have shape {tuple(shape)}; use mlp")
    return shape[0]


def restore(family, options, shape, classes, arrays, precision):
    """Return the network whose state dict, as numpy arrays (G, ...), was saved."""
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return replace_tensors(build(family, options, shape, classes, 1, 0, precision), weights)


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
        x = F.max_pool2d(self.conv1(x), 2).relu_()
        x = F.max_pool2d(self.conv2(x), 2).relu_()
        x = vectors_of_students(x, self.students)
        for layer in self.head.layers[:-1]:
            x = layer(x).relu_()
        return self.head.layers[-1](x)


@network
def alexnet(shape, classes, *, width=64, hidden=(4096, 4096), dropout=0.5, stride=2):
    """AlexNet (Krizhevsky et al. 2012) as it is usual for small images; 23,272,266 parameters on 3x32x32, K = 10.

    Convolutions of w, 3w, 6w, 4w, 4w channels (w is `width`), all 3x3, the first of this `stride`; 2x2 max-pools after
    the first, second and last; dropout before each fully connected layer of the `hidden` widths. The channels are those
    of Krizhevsky 2014, for one device; in both papers the first two kernels are 11x11, of stride 4, and 5x5, and the
    pools overlap, in the first local response is normalised, too. Takes images from 15x15, with stride 1 from 8x8.
    """
    return AlexNet(shape, classes, width, hidden, dropout, stride)


class AlexNet(Network):
    def __init__(self, shape, classes, width, hidden, dropout, stride):
        super().__init__()
        widths = [image_channels(shape), *(width * times for times in (1, 3, 6, 4, 4))]
        sides = [math.ceil(side / stride) // 8 for side in shape[1:]]
        if min(sides) < 1:
            raise UserError(f"alexnet with stride {stride} cannot take images of {shape}; options: {{stride: 1}} takes 8x8")
        strides = (stride, 1, 1, 1, 1)
        self.convs = nn.ModuleList(Conv(a, b, 3, s, 1, bias=True) for a, b, s in zip(widths, widths[1:], strides))
        self.head = MLP([widths[-1] * math.prod(sides), *hidden, classes])
        self.dropouts = nn.ModuleList(Dropout(dropout) for _ in hidden)

    def forward(self, x):
        for l, conv in enumerate(self.convs):
            x = conv(x)
            x = (F.max_pool2d(x, 2) if l in (0, 1, 4) else x).relu_()
        x = vectors_of_students(x, self.students)
        for layer, dropout in zip(self.head.layers, self.dropouts):
            x = layer(dropout(x)).relu_()
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
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))


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
def torchvision_resnet(shape, classes, *, depth, width=64):
    """torchvision's ResNet (He et al. 2016, Table 1) of depth 18, 34 or 50, its stem one 3x3 convolution of stride 1.

    Option B shortcuts, stages of w, 2w, 4w, 8w channels (w is `width`), four times as many behind bottlenecks, whose
    stride is that of the 3x3 convolution. ResNet18 has 11,173,962 parameters on 3x32x32, K = 10, ResNet50 23,520,842.
    """
    if depth not in FOUR_STAGES:
        raise UserError(f"torchvision_resnet: depth {depth} is none of {', '.join(map(str, FOUR_STAGES))}")
    return FourStageResNet(shape, classes, *FOUR_STAGES[depth], width)


class Bottleneck(nn.Module):
    """The branch of a bottleneck block: conv 1x1 to a quarter of `channels_out`, 3x3, 1x1, with their batch norms."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        inner = channels_out // 4
        self.conv1, self.bn1 = Conv(channels_in, inner, 1), BatchNorm(inner)
        self.conv2, self.bn2 = Conv(inner, inner, 3, stride, 1), BatchNorm(inner)
        self.conv3, self.bn3 = Conv(inner, channels_out, 1), BatchNorm(channels_out)

    def forward(self, x):
        return self.bn3(self.conv3(self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_())).relu_()))


FOUR_STAGES = {  # depth: the blocks' branch, the blocks of each stage, channels per unit of width
    18: (Residual, (2, 2, 2, 2), 1),
    34: (Residual, (3, 4, 6, 3), 1),
    50: (Bottleneck, (3, 4, 6, 3), 4),
}


class ProjectedBlock(nn.Module):
    """A residual block; its shortcut is a 1x1 convolution and batch norm where the shape changes (option B)."""

    def __init__(self, branch, channels_in, channels_out, stride):
        super().__init__()
        self.branch, self.shortcut = branch(channels_in, channels_out, stride), nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(Conv(channels_in, channels_out, 1, stride), BatchNorm(channels_out))

    def forward(self, x):
        return self.branch(x).add_(self.shortcut(x)).relu_()


class FourStageResNet(Network):
    def __init__(self, shape, classes, branch, stages, expansion, width):
        super().__init__()
        self.stem, self.bn, channels, blocks = Conv(image_channels(shape), width, 3, 1, 1), BatchNorm(width), width, []
        for stage, count in enumerate(stages):
            out = expansion * width << stage
            for block in range(count):
                blocks.append(ProjectedBlock(branch, channels, out, 2 if stage and not block else 1))
                channels = out
        self.blocks, self.fc = nn.Sequential(*blocks), Linear(channels, classes)

    def forward(self, x):
        x = self.blocks(self.bn(self.stem(x)).relu_())
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
        y = self.bn1(x).relu_()
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return self.conv2(self.bn2(self.conv1(y)).relu_()).add_(shortcut)


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
        x = self.bn(self.blocks(self.stem(x))).relu_()
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
        self.bottleneck = nn.Sequential(BatchNorm(channels), nn.ReLU(inplace=True), Conv(channels, 4 * growth, 1)) if bc else None
        inner = 4 * growth if bc else channels
        self.bn, self.conv = BatchNorm(inner), Conv(inner, growth, 3, 1, 1)

    def forward(self, x):
        return self.conv(self.bn(x if self.bottleneck is None else self.bottleneck(x)).relu_())


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
                self.transitions.append(nn.Sequential(BatchNorm(channels), nn.ReLU(inplace=True), Conv(channels, out, 1)))
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


@network
def inception_v4(shape, classes, *, blocks=(4, 7, 3), width=32, dropout=0.2):
    """Inception-v4 (Szegedy et al. 2017) for small images; 41,158,186 parameters on 3x32x32, K = 10.

    Changed for small images: the five strides of 2 in the stem are 1, and every convolution and pooling is padded, so
    that 32x32 stays so up to reduction A (16x16) and reduction B (8x8). As in the paper are the `blocks` of A, B and C,
    the channels, which grow with `width`, that of the first convolution, and the dropout before the linear layer.
    """
    if len(blocks) != 3:
        raise UserError(f"inception_v4: blocks {list(blocks)} are not three numbers, of blocks A, B and C")
    return InceptionV4(image_channels(shape), classes, blocks, width, dropout)
