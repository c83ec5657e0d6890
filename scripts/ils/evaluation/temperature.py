"""Temperature scaling: one number by which logits are divided, fitted to validation data."""

import numpy as np

from ils.probabilities import softmax, true_class


def fit_temperature(
    logits: np.ndarray, labels: np.ndarray, bounds: tuple[float, float] = (0.05, 20.0)
) -> np.ndarray:
    """Return the temperature T in `bounds` that minimises the cross-entropy of logits / T.

    logits (..., N, K), labels (N,) or (..., N); returns (...), a temperature a model. Guo et al.
    2017, section 4.2. In b = 1/T the cross-entropy is convex: its slope is mean(E_p[z] - z_t), its
    curvature mean(Var_p[z]). Where the slope has no zero within the bounds T is the nearer bound
    (the lower one when every sample is classified correctly); elsewhere Newton steps, halving the
    bracket when one would leave it, find the minimum to machine precision.
    """
    logits = np.asarray(logits, np.float64)
    logits, shape = logits - logits.max(-1, keepdims=True), logits.shape[:-2]
    target = true_class(logits, labels).mean(-1).reshape(-1)
    logits = logits.reshape(-1, *logits.shape[-2:])

    def slope_and_curvature(b, models=slice(None)):
        z = logits[models]
        p = softmax(z * b[:, None, None])
        mean = (p * z).sum(-1)
        return mean.mean(-1) - target[models], ((p * z * z).sum(-1) - mean**2).mean(-1)

    low, high = (np.full(len(logits), 1 / bound) for bound in reversed(bounds))
    too_sharp, too_flat = slope_and_curvature(low)[0] >= 0, slope_and_curvature(high)[0] <= 0
    result = np.where(too_flat, high, low)
    models = np.flatnonzero(~(too_sharp | too_flat))
    low, high = low[models], high[models]
    b = np.clip(np.ones(len(models)), low, high)
    while len(models):
        slope, curvature = slope_and_curvature(b, models)
        low, high = np.where(slope < 0, b, low), np.where(slope < 0, high, b)
        newton = b - slope / np.maximum(curvature, np.finfo(float).tiny)
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        going = np.abs(following - b) > 1e-9 * b  # one more Newton step changes the last digit
        result[models] = following
        models, low, high, b = models[going], low[going], high[going], following[going]
    return (1 / result).reshape(shape)
