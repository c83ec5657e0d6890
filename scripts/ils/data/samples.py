"""Samples in memory on the device, and their augmented views, made there a batch at a time."""

from collections.abc import Mapping

import numpy as np
import torch

from ils.errors import UserError


def view_count(augmentation: Mapping[str, int]) -> int:
    """How many views of an image crop and flip can give: (2 pad + 1)^2, twice with the flip."""
    return (2 * augmentation["pad"] + 1) ** 2 * (1 + augmentation["flip"])


class Samples:
    """Inputs of one split, (N, C, H, W) or (N, F), as stored, with the training normalisation.

    A view v of an image stands for (dy, dx, flip) with v = (dy (2 pad + 1) + dx)(1 + has_flip) +
    flip: the image, padded with `pad` zero pixels on each side, cropped to its size at (dy, dx),
    then flipped left to right if flip = 1.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        mean: np.ndarray,
        std: np.ndarray,
        augmentation: Mapping[str, int],
        device: torch.device,
        dtype: torch.dtype,
    ):
        self.pad, self.flip = augmentation["pad"], augmentation["flip"]
        self.views = view_count(augmentation)
        if self.views > 1 and inputs.ndim != 4:
            raise UserError(
                "datasets: augmentation crops and flips images, and this dataset is a table; "
                "set pad: 0, flip: false"
            )
        shape = (-1,) + (1,) * (inputs.ndim - 2)
        self.mean = torch.as_tensor(mean, dtype=dtype, device=device).view(shape)
        self.std = torch.as_tensor(std, dtype=dtype, device=device).view(shape)
        self.inputs = torch.as_tensor(inputs, device=device)
        if self.inputs.dim() == 2:  # a table is small: it is normalised once
            self.inputs = (self.inputs - self.mean) / self.std
        if self.pad:
            padded = torch.nn.functional.pad(self.inputs, (self.pad,) * 4)
            self.windows = padded.unfold(2, inputs.shape[2], 1).unfold(3, inputs.shape[3], 1)

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, indices: torch.Tensor, views: torch.Tensor | None = None) -> torch.Tensor:
        """Return normalised inputs (B, ...) at `indices` (B,).

        `views` (B,) picks augmented views, None the inputs as they are.
        """
        if self.inputs.dim() == 2:
            return self.inputs[indices]
        x = self.inputs[indices] if views is None or not self.pad else self._crops(indices, views)
        if views is not None and self.flip:
            x = torch.where((views % 2 == 1).view(-1, 1, 1, 1), x.flip(-1), x)
        # Not x.contiguous(memory_format=...): where C is 1 that leaves strides which convolutions
        # take for another layout.
        normalised = torch.empty(
            x.shape, dtype=self.mean.dtype, device=x.device, memory_format=torch.channels_last
        )
        return torch.sub(x, self.mean, out=normalised).div_(self.std)

    def _crops(self, indices: torch.Tensor, views: torch.Tensor) -> torch.Tensor:
        position, side = views // (1 + self.flip), 2 * self.pad + 1
        return self.windows[indices, :, position // side, position % side]
