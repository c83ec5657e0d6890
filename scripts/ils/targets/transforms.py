"""Transforms change a mini-batch before the students see it: each is a function like a method.

Its positional parameters name what it looks at, of `ils.targets.inputs`, but nothing of the
students, who have not seen the batch yet; its keyword-only parameters are hyperparameters, searched
in the grid of the method that names it. It returns the inputs, (B, ...) or (G, B, ...), and the
labels, (B, K) or (G, B, K), that the method's target function then gets as `onehot`.
"""

from typing import Any

import torch
from torch import Tensor

QUANTILES = 2**14


def transform(function: Any = None, *, mixes_labels: bool = False) -> Any:
    """Make a transform available to the config under its own name.

    mixes_labels: whether a label that it returns may be of several classes.
    """
    return function or transform


@transform(mixes_labels=True)
def mixup(x: Tensor, onehot: Tensor, draws: Tensor, memory: dict, *, alpha) -> tuple:
    """mixup (Zhang et al. 2018, Eq. 1; Thulasidasan et al. 2019): with lambda ~ Beta(alpha, alpha)
    lambda x_i + (1 - lambda) x_j, and the labels likewise.

    As in the authors' code a mini-batch has one lambda, and its j are a permutation of its i. Both
    are drawn once for all students, lambda as one U(0, 1) number u of which each takes its own
    quantile; alpha = 0 mixes nothing. A quantile is one of 2^14 that are equally likely: that at
    the middle of the interval of length 2^-14 that u is in.
    """
    if "quantiles" not in memory:
        memory["quantiles"] = beta_quantiles(alpha)
    order, number = draws[:, 0].argsort(), (draws[:1, 1] * QUANTILES).long()
    share = memory["quantiles"].index_select(1, number)
    of_inputs, of_labels = (share.view(-1, *[1] * t.dim()) for t in (x, onehot))
    mixed = of_inputs * x + (1 - of_inputs) * x[order]
    return mixed, of_labels * onehot + (1 - of_labels) * onehot[order]


def beta_quantiles(alpha: Tensor) -> Tensor:
    """Quantiles (G, 2^14) of Beta(alpha, alpha) at the middles of equal shares; of 0 all are 1."""
    from scipy.special import betaincinv  # half a second, that other trainings do without

    column = alpha.double().cpu().view(-1, 1).numpy()
    middles = (torch.arange(QUANTILES).double().numpy() + 0.5) / QUANTILES
    some = column + (column == 0)
    quantiles = torch.from_numpy(betaincinv(some, some, middles)).to(alpha)
    return quantiles.where(alpha.view(-1, 1) > 0, 1)
