"""Training targets: each method is a function from labels and teacher logits to distributions.

A method's positional parameters name the inputs that it is given, each one of those of
`ils.targets.inputs`; its keyword-only parameters are its hyperparameters, searched over the
config's grid. Shapes broadcast: B samples of K classes, G students trained side by side,
hyperparameters (G, 1, 1) or plain numbers.

It returns (B, K), or (G, B, K) when a hyperparameter made the students' targets differ; or, for a
loss of several parts, a list: of `Term`s, each with such targets, and of plain values (G, B) of a
loss for each student and sample. The gradient of a value, and of targets that depend on them, flows
through the input `student_logits`. To add a method, write one such function under `@method` and
name it in one entry of the config's `methods`.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Term(NamedTuple):
    """A part of a loss: `weight` times a cross-entropy to `targets`.

    The cross-entropy is that of softmax(student logits / temperature). weight and temperature are
    (G, 1, 1) or plain numbers.
    """

    targets: Tensor
    weight: Tensor | float = 1.0
    temperature: Tensor | float = 1.0


def method(function: Any = None, *, one_class: bool = False) -> Any:
    """Make a target function available to the config under its own name.

    one_class: it must know the one class that a label is of, so no transform may mix its labels.
    """
    return function or method


@method
def no_ls(onehot: Tensor) -> Tensor:
    """Hard labels: the teacher itself."""
    return onehot


@method
def ls(onehot: Tensor, *, epsilon) -> Tensor:
    """Label smoothing, Section II-A: (1 - epsilon) onehot + epsilon / K."""
    return (1 - epsilon) * onehot + epsilon / onehot.shape[-1]


def true_class_probability(onehot: Tensor, logits: Tensor, temperature) -> Tensor:
    """Return p_t (..., B, 1): the true class's softmax probability of `logits` / `temperature`."""
    return ((logits / temperature).softmax(-1) * onehot).sum(-1, keepdim=True)


def quadratic_epsilon(p_true: Tensor, p1, p2, cap: float = 0.2) -> Tensor:
    """Eq. 3: min(cap, p2 (p_t - p1)^2). It rises again for p_t > p1, as printed."""
    return (p2 * (p_true - p1) ** 2).clamp(max=cap)


def wrong_classes(onehot: Tensor, logits: Tensor, temperature) -> Tensor:
    """Return p_j / (1 - p_t) for j != t and 0 for t, the split of Eq. 4.

    As p_t -> 1 that quotient is 0/0 in floating point; a softmax over the other classes' logits is
    the same number.
    """
    return (logits / temperature).masked_fill(onehot > 0, -torch.inf).softmax(-1)


@method
def ils1(onehot: Tensor, teacher_logits: Tensor, teacher_temperature, *, p1, p2) -> Tensor:
    """ILS1: label smoothing with the instance's own epsilon of Eq. 3."""
    p_true = true_class_probability(onehot, teacher_logits, teacher_temperature)
    return ls(onehot, epsilon=quadratic_epsilon(p_true, p1, p2))


@method
def ils2(onehot: Tensor, teacher_logits: Tensor, *, epsilon, temperature) -> Tensor:
    """ILS2, Eq. 4: 1 - epsilon on the true class, the rest split as the teacher does.

    The teacher's split is taken at `temperature`.
    """
    return (1 - epsilon) * onehot + epsilon * wrong_classes(onehot, teacher_logits, temperature)


@method
def ils(
    onehot: Tensor, teacher_logits: Tensor, teacher_temperature, *, p1, p2, temperature
) -> Tensor:
    """ILS: Eq. 4 with the epsilon of Eq. 3.

    p_t is taken at T*, the fitted `teacher_temperature`, only the split at the grid's
    `temperature`.
    """
    p_true = true_class_probability(onehot, teacher_logits, teacher_temperature)
    epsilon = quadratic_epsilon(p_true, p1, p2)
    return ils2(onehot, teacher_logits, epsilon=epsilon, temperature=temperature)


@method
def ils_one_temperature(onehot: Tensor, teacher_logits: Tensor, *, p1, p2, temperature) -> Tensor:
    """The other reading of ILS: the grid's `temperature` for p_t as well as for the split."""
    return ils(onehot, teacher_logits, temperature, p1=p1, p2=p2, temperature=temperature)


@method
def dis(onehot: Tensor, teacher_logits: Tensor) -> Tensor:
    """One-level self-distillation: the No-LS teacher's probabilities at temperature 1."""
    return teacher_logits.softmax(-1)


@method
def distil(
    onehot: Tensor,
    teachers_logits: Tensor,
    *,
    teacher,
    weight,
    teacher_temperature,
    student_temperature,
    times_t_squared,
) -> list[Term]:
    """Distillation (Hinton et al. 2015; Appendix C-B) from a teacher's softened probabilities.

    They have `weight` of the loss, the labels, at temperature 1, the rest. teachers_logits
    (M, B, K); each student has its `teacher`, 0 to M - 1. With `times_t_squared` 1 the soft part is
    also multiplied by teacher_temperature^2, Hinton's balance of gradients.
    """
    logits = teachers_logits[torch.as_tensor(teacher).long().flatten()]
    scale = 1 + times_t_squared * (teacher_temperature**2 - 1)
    soft = Term((logits / teacher_temperature).softmax(-1), weight * scale, student_temperature)
    return [soft, Term(onehot, 1 - weight)]


@method
def ps_kd(onehot: Tensor, previous_probabilities: Tensor, progress: float, *, alpha) -> Tensor:
    """PS-KD (Kim et al. 2020), the other reading of Dis.

    (1 - a_t) onehot + a_t p_(t-1) with a_t = alpha t / T.
    """
    return (1 - alpha * progress) * onehot + alpha * progress * previous_probabilities


@method
def cls(onehot: Tensor, class_distances: Tensor, *, epsilon, beta) -> Tensor:
    """Class-similarity label smoothing (Liu & JaJa 2020): (1 - epsilon) onehot + epsilon S[t].

    S[a, c] = exp(-beta d(a, c)) / sum_(c' != a) exp(-beta d(a, c')), d the mean distance of the two
    classes' inputs.
    """
    itself = torch.eye(len(class_distances), dtype=torch.bool, device=class_distances.device)
    similarity = (-beta * class_distances).masked_fill(itself, -torch.inf).softmax(-1)
    return (1 - epsilon) * onehot + epsilon * (onehot @ similarity)


@method
def bs_soft(onehot: Tensor, student_logits: Tensor, *, beta) -> Tensor:
    """Soft bootstrapping (Reed et al. 2014): beta onehot + (1 - beta) q.

    The gradient flows through the student's prediction q, too.
    """
    return beta * onehot + (1 - beta) * student_logits.softmax(-1)


@method(one_class=True)
def beta(onehot: Tensor, ema_confidence: Tensor, uniform: Tensor, *, epsilon, alpha) -> Tensor:
    """Beta smoothing (Zhang & Sabuncu 2020).

    alpha onehot + (1 - alpha) (b on the true class, the rest spread evenly).

    The b of a mini-batch are draws from Beta(a, 1), that is U^(1/a), sorted so that the sample of
    which the averaged model is surest gets the largest. a = (1 - alpha - epsilon) / epsilon makes
    the mean mass of the true class, alpha + (1 - alpha) E[b], equal to 1 - epsilon.
    """
    a = (1 - alpha - epsilon) / epsilon
    # A power as an exponential: the CPU rounds powers in another way at the end of a tensor.
    draws = (uniform.sort().values.log() / a).exp()  # (G, 1, B), or (1, 1, B)
    surest_last = ema_confidence.argsort(-1)
    draws = draws.expand(len(surest_last), 1, -1).squeeze(1)
    b = torch.empty_like(draws).scatter_(-1, surest_last, draws)[..., None]
    rest = (1 - alpha) * (1 - b) / (onehot.shape[-1] - 1)  # of each wrong class
    return torch.where(onehot > 0, alpha + (1 - alpha) * b, rest)


@method
def online_ls(onehot: Tensor, class_averages: Tensor, *, alpha) -> Tensor:
    """Online label smoothing (Zhang et al. 2021): alpha onehot + (1 - alpha) S[t].

    S[t] is what the student itself said of the class t in the epoch before, where it was right.
    """
    return alpha * onehot + (1 - alpha) * (onehot @ class_averages)


@method
def sinusoidal(
    onehot: Tensor, teacher_logits: Tensor, teacher_temperature, *, shift, rate
) -> Tensor:
    """ILS1 with the other family of Section IV-A, epsilon = 0.1 (sin(rate (p_t - shift)) + 1)."""
    p_true = true_class_probability(onehot, teacher_logits, teacher_temperature)
    return ls(onehot, epsilon=0.1 * ((rate * (p_true - shift)).sin() + 1))
