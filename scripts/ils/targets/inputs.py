"""What a target function may look at, by the name of its positional parameter, in one mini-batch.

An input is a function of what its parameters name: the `cell` (`ils.training.cell.CellData`), the
`indices` and `views` of the samples, or the `network` in training, the `batch` and a `memory` that
lasts as long as the training does: numbers, or tensors and copies of the network that have the
students first, as some of them may leave. It sees the students of its own method only, G of them; B
samples, K classes. Targets of nothing but samples are computed once and looked up. Only the inputs
that a method asks for are computed. A transform comes before the network has seen the batch: it
may look at inputs that name no `network`. Keyword-only parameters are options, which a method's
entry in the config may set under `inputs`, or search in its grid.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable)


class Batch(NamedTuple):
    """A mini-batch: what is learnt from, and what the students say of it.

    indices, views and noise, independent U(0, 1) numbers, are (B,), the inputs x (B, ...), the
    students' logits, with their gradient, (G, B, K), in a transform nothing yet; `epoch` counts
    from 0 and ends before `epochs`. draws: U(0, 1) numbers (B, 2) for transforms. After one x is
    (G, B, ...), and onehot (G, B, K) the labels.
    """

    indices: Tensor
    views: Tensor
    noise: Tensor
    x: Tensor
    logits: Tensor
    epoch: int
    epochs: int
    draws: Tensor | None = None
    onehot: Tensor | None = None


def target_input(function: Function) -> Function:
    """Make an input available to target functions under its own name."""
    return function


def inputs_of(method: Callable) -> list[str]:
    """List the inputs that a target function looks at: its parameters but the keyword-only."""
    return [
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.kind is not parameter.KEYWORD_ONLY
    ]


def options_of(function: Callable) -> list[str]:
    """List the keyword-only parameters: a method's hyperparameters, an input's options."""
    return list(inspect.signature(function).parameters)[len(inputs_of(function)) :]


def labels_of(cell, batch: Batch) -> Tensor:
    """The labels of a batch, (B, K), or as a transform left them, (G, B, K)."""
    return cell.onehot[batch.indices] if batch.onehot is None else batch.onehot


@target_input
def onehot(cell, indices: Tensor, views: Tensor) -> Tensor:
    """The labels, (B, K); after a transform its own, (G, B, K)."""
    return cell.onehot[indices]


@target_input
def teacher_logits(cell, indices: Tensor, views: Tensor) -> Tensor:
    """The teacher's logits on the same views of the samples, (B, K)."""
    return cell.teacher_logits[0][indices, views].to(cell.dtype)


@target_input
def teachers_logits(cell, indices: Tensor, views: Tensor) -> Tensor:
    """The logits of several teachers on the same views of the samples, (M, B, K).

    They are in the order that the soft targets were given in.
    """
    return torch.stack([logits[indices, views].to(cell.dtype) for logits in cell.teacher_logits])


@target_input
def teacher_temperature(cell, indices: Tensor, views: Tensor) -> float:
    """The temperature T* fitted to the teacher on validation data."""
    return cell.teacher_temperature


@target_input
def class_distances(cell, indices: Tensor, views: Tensor, *, samples: int = 500) -> Tensor:
    """Mean Euclidean distance (K, K) between normalised training inputs of two classes.

    `samples` of each class enter, without views.
    """
    return cell.class_distances(samples)


@target_input
def student_logits(cell, network, batch: Batch, memory: dict) -> Tensor:
    """The students' own logits (G, B, K); the loss's gradient flows through them."""
    return batch.logits


@target_input
def progress(batch: Batch) -> float:
    """The share of epochs begun, t / T with t = 1 ... T."""
    return (batch.epoch + 1) / batch.epochs


@target_input
def previous_probabilities(cell, network, batch: Batch, memory: dict) -> Tensor:
    """What each student predicted (G, B, K) when it last saw the samples; at first the labels."""
    if "previous" not in memory:
        memory["previous"] = cell.onehot.expand(network.students, *cell.onehot.shape).clone()
    previous = memory["previous"][:, batch.indices]
    memory["previous"][:, batch.indices] = batch.logits.detach().softmax(-1)
    return previous


@target_input
def ema_confidence(cell, network, batch: Batch, memory: dict, *, decay: float = 0.999) -> Tensor:
    """The true class's probability (G, B) under the average of each student's weights so far.

    The average is exponential and moving; its decay is Zhang & Sabuncu's (2020).
    """
    if "average" not in memory:
        memory["average"] = network.copied()
    average, students = memory["average"], len(network.tensors[0])
    with torch.no_grad():
        of_them = [tensor[:students] for tensor in average.tensors]
        torch._foreach_lerp_(of_them, network.tensors, 1 - decay)
        probabilities = average.logits(batch.x)[:students].softmax(-1)
        return (probabilities * labels_of(cell, batch)).sum(-1)


@target_input
def class_averages(cell, network, batch: Batch, memory: dict) -> Tensor:
    """What each student predicted for the samples of each class (G, K, K), on average over those
    that it had right in the epoch before, from the mini-batches as it learnt from them.

    Zhang et al. (2021). In the first epoch, and for a class of which it had none right, it is 1/K.
    """
    if memory.get("epoch") != batch.epoch:
        empty = batch.logits.new_zeros(len(batch.logits), cell.classes, cell.classes)
        sums, right = memory.get("sums", empty), memory.get("right", empty[..., :1])
        memory["averages"] = (sums / right).where(right > 0, 1 / cell.classes)
        memory["sums"], memory["right"] = empty, empty[..., :1].clone()
        memory["epoch"] = batch.epoch
    q, labels = batch.logits.detach().softmax(-1), labels_of(cell, batch)
    right = (q.argmax(-1) == labels.argmax(-1))[..., None] * labels
    memory["sums"] += right.mT @ q
    memory["right"] += right.sum(-2)[..., None]
    return memory["averages"]


@target_input
def uniform(batch: Batch) -> Tensor:
    """Independent U(0, 1) numbers (B,), the same for all students."""
    return batch.noise


@target_input
def x(batch: Batch) -> Tensor:
    """The normalised inputs as the network sees them (B, ...); after a transform (G, B, ...)."""
    return batch.x


@target_input
def draws(batch: Batch) -> Tensor | None:
    """Independent U(0, 1) numbers (B, 2), the same for all students, for transforms alone."""
    return batch.draws


@target_input
def memory(memory: dict) -> dict:
    """What lasts as long as the training does, and is in its checkpoints: numbers, or tensors with
    the students first."""
    return memory
