"""What a target function may look at, by the name of its positional parameter, for one mini-batch.

An input is a function of the cell, the network in training, the `Batch` and a `memory` that lasts as long as the
training does; only the inputs that a method asks for are computed. G students, B samples, K classes. Its keyword-only
parameters are options, which a method's entry in the config may set under `inputs`.
"""

import copy
import inspect
from typing import NamedTuple

import torch


class Batch(NamedTuple):
    """A mini-batch: sample indices, views and independent U(0, 1) numbers (B,), inputs x (B, ...), the students' logits
    (G, B, K) with their gradient, and the 0-based epoch out of `epochs`."""

    indices: torch.Tensor
    views: torch.Tensor
    noise: torch.Tensor
    x: torch.Tensor
    logits: torch.Tensor
    epoch: int
    epochs: int


def target_input(function):
    """Make an input available to target functions under its own name."""
    return function


def inputs_of(method):
    """List the names of what a target function looks at: its parameters that are not keyword-only."""
    return [
        name
        for name, p in inspect.signature(method).parameters.items()
        if p.kind is not p.KEYWORD_ONLY
    ]


@target_input
def onehot(cell, network, batch, memory):
    """The labels, (B, K)."""
    return cell.onehot[batch.indices]


@target_input
def teacher_logits(cell, network, batch, memory):
    """The teacher's logits on the same views of the samples, (B, K)."""
    return cell.teacher_logits[0][batch.indices, batch.views]


@target_input
def teachers_logits(cell, network, batch, memory):
    """The logits of several teachers on the same views of the samples, (M, B, K), in the order that they were given."""
    return torch.stack([logits[batch.indices, batch.views] for logits in cell.teacher_logits])


@target_input
def teacher_temperature(cell, network, batch, memory):
    """The temperature T* fitted to the teacher on validation data."""
    return cell.teacher_temperature


@target_input
def class_distances(cell, network, batch, memory, *, samples=500):
    """Mean Euclidean distance (K, K) between normalised training inputs of two classes, `samples` of each, without views."""
    if "class_distances" not in memory:
        memory["class_distances"] = cell.class_distances(samples)
    return memory["class_distances"]


@target_input
def student_logits(cell, network, batch, memory):
    """The students' own logits (G, B, K); the loss's gradient flows through them."""
    return batch.logits


@target_input
def progress(cell, network, batch, memory):
    """The share of epochs begun, t / T with t = 1 ... T."""
    return (batch.epoch + 1) / batch.epochs


@target_input
def previous_probabilities(cell, network, batch, memory):
    """What each student predicted (G, B, K) when it last saw the samples; the labels in the first epoch."""
    if "previous" not in memory:
        memory["previous"] = cell.onehot.expand(network.students, *cell.onehot.shape).clone()
    previous = memory["previous"][:, batch.indices]
    memory["previous"][:, batch.indices] = batch.logits.detach().softmax(-1)
    return previous


@target_input
def ema_confidence(cell, network, batch, memory, *, decay=0.999):
    """The true class's probability (G, B) under the exponential moving average of each student's weights so far.

    The decay is Zhang & Sabuncu's (2020).
    """
    state = network.state_dict()
    if "average" not in memory:
        memory["average"] = copy.deepcopy(network).eval().requires_grad_(False)
    else:
        for name, tensor in memory["average"].state_dict().items():
            tensor.lerp_(state[name], 1 - decay)
    with torch.no_grad():
        return (memory["average"].logits(batch.x).softmax(-1) * cell.onehot[batch.indices]).sum(-1)


@target_input
def uniform(cell, network, batch, memory):
    """Independent U(0, 1) numbers (B,), the same for all students."""
    return batch.noise
