"""Losses other than a cross-entropy to some distribution, each through the students' own logits.

What weighs the cross-entropy of a sample returns as targets whose sum is that weight, and what is
added to it as a value (G, B). Both are written in log-probabilities, so that neither a certain nor
a hopeless prediction makes a gradient that is no number.
"""

import torch
from torch import Tensor

from ils.targets.methods import Term, method


@method(one_class=True)
def focal(onehot: Tensor, student_logits: Tensor, *, gamma) -> Tensor:
    """Focal loss (Lin et al. 2017, Eq. 4; Mukhoti et al. 2020): -(1 - p_t)^gamma log p_t.

    log(1 - p_t) is a logsumexp over the other classes.
    """
    others = student_logits.log_softmax(-1).masked_fill(onehot > 0, -torch.inf)
    return (gamma * others.logsumexp(-1, keepdim=True)).exp() * onehot


@method(one_class=True)
def dual_focal(onehot: Tensor, student_logits: Tensor, *, gamma) -> Tensor:
    """Dual focal loss (Tao et al. 2023): -(1 - p_t + p_j)^gamma log p_t.

    p_j is the largest probability below p_t, 0 where there is none; so 1 - p_t + p_j sums the other
    classes and class j twice. Classes that share p_j, share its gradient.
    """
    log_q = student_logits.log_softmax(-1)
    q = log_q.detach()
    below = q.masked_fill(q >= (q * onehot).sum(-1, keepdim=True), -torch.inf)
    at_j = ((below == below.amax(-1, keepdim=True)) & (below > -torch.inf)).to(q)
    times = 1 + at_j / at_j.sum(-1, keepdim=True).clamp(min=1)
    times = times.log().masked_fill(onehot > 0, -torch.inf)
    return (gamma * (log_q + times).logsumexp(-1, keepdim=True)).exp() * onehot


@method
def mbls(onehot: Tensor, student_logits: Tensor, *, margin, alpha) -> list[Term | Tensor]:
    """Margin-based label smoothing (Liu et al. 2022): the cross-entropy to the labels, plus alpha
    times the mean over the classes k of max(0, max_j z_j - z_k - margin).

    The mean is that of the authors' code, and so of the values of alpha in use; in the paper's
    equation it is a sum.
    """
    gaps = student_logits.amax(-1, keepdim=True) - student_logits - margin
    return [Term(onehot), (alpha * gaps.clamp(min=0)).mean(-1)]


@method
def confidence_penalty(onehot: Tensor, student_logits: Tensor, *, beta) -> list[Term | Tensor]:
    """Confidence penalty (Pereyra et al. 2017): -log p_t - beta H(p), H the entropy in nats."""
    log_q = student_logits.log_softmax(-1)
    return [Term(onehot), (beta * log_q.exp() * log_q).sum(-1)]
