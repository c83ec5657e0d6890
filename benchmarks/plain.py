"""The plain way to train a student, as a script without this project would.

It is what `images.py` compares with: ordinary modules, a DataLoader with torchvision's transforms,
one student after another in float32, a forward pass of the teacher at every mini-batch,
`torch.optim.SGD`, and `.item()` of the loss at every step.
"""

import random

import torch
import torchvision
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import transforms


class Block(nn.Module):
    """A basic block with option A shortcuts; with `survival` below 1 it may be skipped."""

    def __init__(self, before, after, stride, survival):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.grown, self.survival = stride, after - before, survival

    def forward(self, x):
        padding = (0, 0, 0, 0, self.grown // 2, self.grown - self.grown // 2)
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], padding)
        if self.training and random.random() >= self.survival:
            return F.relu(shortcut)
        branch = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(shortcut + (branch if self.training else self.survival * branch))


class WideBlock(nn.Module):
    """A pre-activation block of a Wide ResNet."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if before != after else None

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return shortcut + self.conv2(F.relu(self.bn2(self.conv1(y))))


def lenet(shape, classes):
    """LeNet."""
    side = ((shape[1] - 4) // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(shape[0], 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * side**2, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


def resnet(shape, classes, depth, width=16, survival=1.0):
    """ResNet, with `survival` below 1 of stochastic depth."""
    blocks, before, total = [], width, (depth - 2) // 2
    for number in range(total):
        after, survives = width << number // (total // 3), 1 - (number + 1) / total * (1 - survival)
        blocks.append(Block(before, after, 1 + (after > before), survives))
        before = after
    stem = [nn.Conv2d(shape[0], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*stem, *blocks, *head)


def wide_resnet(shape, classes, depth, widen):
    """Wide ResNet."""
    blocks, before, each = [], 16, (depth - 4) // 6
    for number in range(3 * each):
        after = 16 * widen << number // each
        blocks.append(WideBlock(before, after, 2 if number and number % each == 0 else 1))
        before = after
    stem = nn.Conv2d(shape[0], 16, 3, 1, 1, bias=False)
    head = [nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(stem, *blocks, *head, nn.Linear(before, classes))


def densenet(shape, classes, depth, growth):
    """torchvision's DenseNet with bottlenecks and compression, for small images."""
    layers = (depth - 4) // 6
    model = torchvision.models.DenseNet(growth, (layers,) * 3, 2 * growth, num_classes=classes)
    model.features.conv0 = nn.Conv2d(shape[0], 2 * growth, 3, 1, 1, bias=False)
    for name in ("norm0", "relu0", "pool0"):
        delattr(model.features, name)
    return model


MODELS = {"lenet": lenet, "resnet": resnet, "wide_resnet": wide_resnet, "densenet": densenet}


class Images(torch.utils.data.Dataset):
    """Images (N, C, H, W) of bytes with labels, transformed one by one."""

    def __init__(self, images, labels, transform):
        pictures = images.transpose(0, 2, 3, 1)
        self.pictures = pictures.squeeze(-1) if pictures.shape[-1] == 1 else pictures
        self.labels, self.transform = labels, transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.pictures[index])), int(self.labels[index])


def loader(images, labels, mean, std, batch_size, workers, augmentation=None):
    """A DataLoader; with an augmentation (pad, flip) it shuffles, crops and flips."""
    steps = [
        transforms.ToTensor(),
        transforms.Normalize([m / 255 for m in mean], [s / 255 for s in std]),
    ]
    if augmentation and augmentation["pad"]:
        steps.insert(0, transforms.RandomCrop(images.shape[2:], augmentation["pad"]))
    if augmentation and augmentation["flip"]:
        steps.insert(0, transforms.RandomHorizontalFlip())
    data = Images(images, labels, transforms.Compose(steps))
    options = {
        "num_workers": workers,
        "pin_memory": torch.cuda.is_available(),
        "persistent_workers": workers > 0,
    }
    shuffle = augmentation is not None
    return torch.utils.data.DataLoader(data, batch_size, shuffle=shuffle, **options)


def ils(labels, logits, temperature, p1, p2, split_temperature):
    """Eqs. 3 and 4: the soft targets of ILS from a teacher's logits."""
    onehot = F.one_hot(labels, logits.shape[1]).float()
    p_true = (F.softmax(logits / temperature, 1) * onehot).sum(1, keepdim=True)
    epsilon = (p2 * (p_true - p1) ** 2).clamp(max=0.2)
    others = F.softmax(logits / split_temperature, 1) * (1 - onehot)
    return (1 - epsilon) * onehot + epsilon * others / others.sum(1, keepdim=True)


def train_epoch(model, batches, optimizer, device, targets):
    """One epoch; `targets(x, labels)` returns the soft targets.

    Yields the number of images of each step when it is done.
    """
    model.train()
    running = 0.0
    for x, labels in batches:
        x, labels = x.to(device), labels.to(device)
        loss = -(targets(x, labels) * F.log_softmax(model(x), 1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
        yield len(x)
