"""What a target function may look at, by the name of its positional parameter, in one mini-batch.

An input is a function of the cell (`ils.training.cell.CellData`) and of what its parameters name:
the `indices` and `views` of the samples, or the `network` in training, the `batch` and a `memory`
that lasts as long as the training does. It sees the students of its own method only, G of them;
B samples, K classes. Targets of nothing but samples are computed once and looked up. Only the
inputs that a method asks for are computed. Keyword-only parameters are options, which a method's
entry in the config may set under `inputs`.
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
    students' logits, with their gradient, (G, B, K); `epoch` counts from 0 and ends before
    `epochs`.
    """

    indices: Tensor
    views: Tensor
    noise: Tensor
    x: Tensor
    logits: Tensor
    epoch: int
    epochs: int


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


@target_input
def onehot(cell, indices: Tensor, views: Tensor) -> Tensor:
    """The labels, (B, K)."""
    return cell.onehot[indices]


@target_input
def teacher_logits(cell, indices: Tensor, views: Tensor) -> Tensor:
    """The teacher's logits on the same views of the samples, (B, K)."""
    return cell.teacher_logits[0][indices, views]


@target_input
def teachers_logits(cell, indices: Tensor, views: Tensor) -> Tensor:
    """The logits of several teachers on the same views of the samples, (M, B, K).

    They are in the order that the soft targets were given in.
    """
    return torch.stack([logits[indices, views] for logits in cell.teacher_logits])


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
def progress(cell, network, batch: Batch, memory: dict) -> float:
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
        return (probabilities * cell.onehot[batch.indices]).sum(-1)


@target_input
def uniform(cell, network, batch: Batch, memory: dict) -> Tensor:
    """Independent U(0, 1) numbers (B,), the same for all students."""
    return batch.noise
