"""Many small multilayer perceptrons trained side by side, each towards its own targets.

A student is one row of a matrix: all its weights and biases, flat. A layer of G students is a view
into G rows, so it is one batched product, and Adam is one fused update of everything. The backward
pass is written out: for a multilayer perceptron it is a few lines, and no graph is built. At this
size a network is a fraction of a millisecond of arithmetic, so what is saved is the calls around
it.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

ALIGNMENT = 64  # bytes: each block of a row starts on such a boundary, the same for every student


class Network:
    """The shape of a ReLU multilayer perceptron: `widths` is (features, hidden..., classes)."""

    def __init__(self, widths: Sequence[int], dtype: torch.dtype = torch.float32):
        self.widths, self.dtype = tuple(widths), dtype
        step = ALIGNMENT // dtype.itemsize
        # of each layer: offset of the weight, offset of the bias, inputs, outputs
        self.blocks: list[tuple[int, int, int, int]] = []
        self.size = 0
        for inputs, outputs in pairwise(widths):
            bias = self.size + math.ceil(inputs * outputs / step) * step
            self.blocks.append((self.size, bias, inputs, outputs))
            self.size = bias + math.ceil(outputs / step) * step

    def layers(self, rows: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the views (weight, bias) of rows (G, size), layer by layer.

        A weight is (G, inputs, outputs), a bias (G, 1, outputs).
        """
        return [
            (rows[:, w : w + i * o].unflatten(1, (i, o)), rows[:, b : b + o].unsqueeze(1))
            for w, b, i, o in self.blocks
        ]

    def initial(self, seed: int) -> torch.Tensor:
        """Return one student's weights (size,), U(-1, 1) / sqrt(inputs) as torch.nn.Linear's."""
        generator = torch.Generator().manual_seed(seed)
        row = torch.zeros(self.size, dtype=self.dtype)
        for weight, bias in self.layers(row[None]):
            for block in (weight, bias):
                uniform = torch.rand(block.shape, generator=generator, dtype=torch.float64)
                block.copy_((2 * uniform - 1) / math.sqrt(weight.shape[-2]))
        return row

    def logits(
        self, rows: torch.Tensor, x: torch.Tensor, samples_at_once: int = 512
    ) -> torch.Tensor:
        """Return the logits (G, N, K) of students `rows` (G, size) on samples x (N, features).

        Students go through one after another and samples in blocks, so that a block's activations
        stay in the cache.
        """
        output = torch.empty(len(rows), len(x), self.widths[-1], dtype=self.dtype)
        for row, result in zip(rows.split(1), output):
            *hidden, (last_weight, last_bias) = [
                (weight[0], bias[0]) for weight, bias in self.layers(row)
            ]
            blocks = x.to(self.dtype).split(samples_at_once)
            for part, a in zip(result.split(samples_at_once), blocks):
                for weight, bias in hidden:
                    a = torch.ops.aten._add_relu_(torch.mm(a, weight), bias)
                torch.addmm(last_bias, a, last_weight, out=part)
        return output


class Trained(NamedTuple):
    """Students at their best epochs: weights (S, size), that epoch (S,) from 1 on, and its loss.

    validation_ce (S,) is the cross-entropy of that epoch on the validation samples, in nats. A
    student whose validation loss was never finite keeps epoch 0 and an infinite cross-entropy.
    """

    weights: torch.Tensor
    best_epoch: torch.Tensor
    validation_ce: torch.Tensor

    @property
    def failed(self) -> np.ndarray:
        """Which students diverged, (S,) bool."""
        return (self.best_epoch == 0).numpy()


def train(
    network: Network,
    initial: torch.Tensor,
    x: torch.Tensor,
    targets: torch.Tensor,
    x_validation: torch.Tensor,
    validation_labels: torch.Tensor,
    *,
    students_at_once: int,
    **options: Any,
) -> Trained:
    """Train one student on x (N, features) for each row of targets (S, N, K).

    `students_at_once` of them go side by side.
    All start from `initial` (size,). x_validation is (M, features), validation_labels (M,);
    `options` are the keyword arguments of `train_group`. Groups follow the order given, so a
    student depends on nothing outside this call.
    """
    samples = torch.cat([x, x_validation]).to(network.dtype)
    onehot = torch.nn.functional.one_hot(validation_labels, network.widths[-1]).to(network.dtype)
    groups = targets.to(network.dtype).split(students_at_once)
    trained = [train_group(network, initial, samples, group, onehot, **options) for group in groups]
    return Trained(*map(torch.cat, zip(*trained)))


def train_group(
    network: Network,
    initial: torch.Tensor,
    samples: torch.Tensor,
    targets: torch.Tensor,
    validation_onehot: torch.Tensor,
    *,
    learning_rate: float,
    max_epochs: int,
    patience: int,
) -> Trained:
    """Train G students together by full-batch Adam.

    Each stops `patience` epochs after its lowest validation loss, or after `max_epochs`.
    samples (N + M, features) are the training samples followed by the validation samples: the
    forward pass that validates epoch e is also the one that epoch e + 1 learns from. targets (G, N,
    K), validation_onehot (M, K). Returns a `Trained` of G students.
    """
    slots = Slots(network, initial, samples, targets)
    count = len(targets)
    best = Trained(
        slots.weights.clone(),
        torch.zeros(count, dtype=torch.long),
        slots.weights.new_full((count,), torch.inf),
    )
    for epoch in range(max_epochs + 1):
        slots.forward()
        if epoch:
            who, ce = slots.student, slots.validation_ce(validation_onehot)
            better = ce < best.validation_ce[who]
            names = who.tolist()
            for slot, is_better in enumerate(better.tolist()):
                if is_better:
                    best.weights[names[slot]].copy_(slots.weights[slot])
            best.validation_ce[who] = torch.where(better, ce, best.validation_ce[who])
            best.best_epoch[who] = torch.where(better, epoch, best.best_epoch[who])
            going = epoch - best.best_epoch[who] < patience
            if epoch == max_epochs or not going.any():
                break
            if not going.all():
                slots.keep(going)
        slots.learn(learning_rate)
    return best


class Slots:
    """The places in which students train: weights, Adam's moments, targets and activations of each.

    Students that have stopped leave; the last ones move into their places, so the first
    `len(student)` places are always those in use and every view of them is contiguous.
    """

    def __init__(
        self,
        network: Network,
        initial: torch.Tensor,
        samples: torch.Tensor,
        targets: torch.Tensor,
    ):
        self.network, self.samples = network, samples
        count, self.training = targets.shape[:2]
        self.places: dict[str | int, torch.Tensor] = {
            name: torch.zeros(count, network.size, dtype=network.dtype)
            for name in ("weights", "gradient", "mean", "square")
        }
        self.places["weights"].copy_(initial.expand(count, -1))
        self.places["targets"] = targets.clone()
        for layer, width in enumerate(network.widths[1:]):
            self.places[layer] = torch.empty(count, len(samples), width, dtype=network.dtype)
        # Two take turns in the backward pass: what a product writes is still in the cache when the
        # next one reads it.
        self.deltas = [
            torch.empty(count * self.training * max(network.widths), dtype=network.dtype)
            for _ in range(2)
        ]
        self.step = torch.zeros(())
        self.student = torch.arange(count)
        self.view()

    def view(self):
        """Make the attributes name the places in use."""
        used = {name: place[: len(self.student)] for name, place in self.places.items()}
        self.weights, self.gradient, self.mean, self.square = (
            used[k] for k in ("weights", "gradient", "mean", "square")
        )
        self.targets = used["targets"]
        self.layers = self.network.layers(self.weights)
        self.gradients = self.network.layers(self.gradient)
        # of each layer, and at the end the logits
        self.inputs = [self.samples.expand(len(self.student), -1, -1)]
        self.inputs += [used[layer] for layer in range(len(self.layers))]

    def keep(self, going: torch.Tensor):
        """Keep the students where `going` (G,) is true."""
        count = int(going.sum())
        to, source = (~going[:count]).nonzero().flatten(), going[count:].nonzero().flatten() + count
        for a, b in zip(to.tolist(), source.tolist()):
            for place in self.places.values():
                place[a].copy_(place[b])
        self.student[to] = self.student[source]
        self.student = self.student[:count]
        self.view()

    def forward(self):
        """Compute every layer's activations, on the training and the validation samples."""
        *hidden, last = zip(self.layers, self.inputs, self.inputs[1:])
        for (weight, bias), a, output in hidden:
            # one pass instead of two
            torch.ops.aten._add_relu_(torch.bmm(a, weight, out=output), bias)
        (weight, bias), a, output = last
        torch.bmm(a, weight, out=output).add_(bias)

    def validation_ce(self, onehot: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy (G,) on the validation samples."""
        logits = self.inputs[-1][:, self.training :]
        shifted = logits - logits.amax(-1, keepdim=True)
        return (shifted.exp().sum(-1).log() - (shifted * onehot).sum(-1)).mean(1)

    def learn(self, learning_rate: float):
        """Take one Adam step on the mean over the training samples of -sum_j target_j log q_j."""
        n = self.training
        logits = self.inputs[-1][:, :n]
        q = (logits - logits.amax(-1, keepdim=True)).exp_()
        # the loss's gradient by the logits
        delta = q.div_(q.sum(-1, keepdim=True)).sub_(self.targets).div_(n)
        for layer in reversed(range(len(self.layers))):
            weight, _ = self.layers[layer]
            weight_gradient, bias_gradient = self.gradients[layer]
            a = self.inputs[layer][:, :n]
            torch.bmm(a.mT, delta, out=weight_gradient)
            torch.sum(delta, 1, keepdim=True, out=bias_gradient)
            if layer:
                product = self.deltas[layer % 2][: a.numel()].view(a.shape)
                delta = torch.bmm(delta, weight.mT, out=product)
                # 0 where ReLU was
                torch.ops.aten.threshold_backward.grad_input(delta, a, 0, grad_input=delta)
        self.step += 1
        torch._fused_adam_(
            [self.weights],
            [self.gradient],
            [self.mean],
            [self.square],
            [],
            [self.step],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
