"""Calibrators: functions that fit to validation logits how to change the logits of a model.

A calibrator takes the logits (G, N, K) of G models on the validation data and the labels (N,), and
returns a `Fitted` a model. Its keyword-only parameters are the options of the config's entry. A
function of one model's logits (N, K) becomes one by `each_model`.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ils.evaluation.temperature import fit_temperature

Map = Callable[[np.ndarray], np.ndarray]  # logits (M, K) -> calibrated logits (M, K)


class Fitted(NamedTuple):
    """A calibrator fitted to one model: what it makes of the model's logits, and the numbers that
    are reported of it, by name."""

    map: Map
    parameters: Mapping[str, float] = {}

    @property
    def temperature(self) -> float | None:
        """By what the logits are divided; None where that is not what is done to them."""
        return self.parameters.get("temperature")


Calibrator = Callable[[np.ndarray, np.ndarray], Sequence[Fitted]]


def calibrator(function: Callable) -> Callable:
    """Make a calibrator available to the config under its function's name."""
    return function


def each_model(function: Callable) -> Callable:
    """Make a calibrator of a function of one model's logits (N, K) and labels (N,).

    That returns a `Fitted`, or, where there is nothing to report, just the map.
    """

    @functools.wraps(function)
    def of_all(logits, labels, **options):
        fitted = [function(model, labels, **options) for model in logits]
        return [one if isinstance(one, Fitted) else Fitted(one) for one in fitted]

    return of_all


AS_TRAINED = Fitted(lambda logits: logits, {"temperature": 1.0})


def uncalibrated(logits: np.ndarray, labels: np.ndarray) -> list[Fitted]:
    """Leave the logits as they are: what "none" means where a calibrator's name may stand."""
    return [AS_TRAINED] * len(logits)


@calibrator
def temperature(logits, labels, *, bounds=(0.05, 20.0)):
    """Temperature scaling, z / T, Guo et al. 2017, section 4.2: T within `bounds` by
    cross-entropy."""

    def divided(by):
        return Fitted(lambda logits: logits / by, {"temperature": by})

    return [divided(value) for value in fit_temperature(logits, labels, tuple(bounds)).tolist()]
