"""The data of a cell on the device, and what a network says of its samples."""

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from ils.data.samples import Samples
from ils.errors import UserError
from ils.networks.layers import Network


def origin(arrays: Mapping, what: str) -> str:
    """The file that arrays came from, or in words what they are."""
    return getattr(arrays, "path", what)


class CellData:
    """What all students of one dataset x network x seed share, on the device.

    data: arrays of the prepared dataset; split: its index arrays and normalisation. soft_targets:
    arrays `logits` (N_train, views, K) and `ids` (N_train,) of each teacher, in the order of
    split["train"], which stay in the precision that they have; teacher_temperature: T* fitted to
    the first.
    """

    def __init__(
        self,
        data: Mapping[str, np.ndarray],
        split: Mapping[str, np.ndarray],
        augmentation: Mapping,
        device: torch.device,
        soft_targets: Sequence[Mapping[str, np.ndarray]] = (),
        teacher_temperature: float | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.device, self.dtype = device, dtype
        self.classes = int(data["labels"].max()) + 1
        self.shape = data["inputs"].shape[1:]
        parts = split["train"], split["validation"], split.get("test", split["train"])
        if max(part.max() for part in parts) >= len(data["labels"]):
            raise UserError(
                f"{origin(split, 'the split')}: is of another dataset than "
                f"{origin(data, 'the data')}; delete it and run again"
            )
        self._data, self._split, self._augmentation = data, split, augmentation
        self.train, self.validation = self.samples("train"), self.samples("validation")
        self.onehot = torch.nn.functional.one_hot(self.labels("train"), self.classes).to(dtype)
        self.validation_labels = self.labels("validation")
        self.teacher_logits = [self._logits(arrays) for arrays in soft_targets]
        self.teacher_temperature = teacher_temperature

    def _logits(self, arrays):
        """A teacher's logits on the device; UserError unless they are of this cell's samples."""
        wrong = "" if np.array_equal(arrays["ids"], self.ids("train")) else "training samples"
        if arrays["logits"].shape != (len(self.train), self.train.views, self.classes):
            wrong = wrong or "views or classes"
        if wrong:
            raise UserError(
                f"{origin(arrays, 'soft targets')}: the soft targets are of other {wrong} than "
                "the split's; delete them and run again"
            )
        return torch.as_tensor(arrays["logits"], device=self.device)

    @functools.cache
    def class_distances(self, samples: int) -> torch.Tensor:
        """Mean Euclidean distance (K, K) between the normalised training inputs of each two
        classes.

        At most `samples` of a class enter, those first in the dataset's order.
        """
        labels = self.onehot.argmax(1)
        rows = [
            self.train.batch((labels == k).nonzero()[:samples, 0]).flatten(1)
            for k in range(self.classes)
        ]
        return torch.stack([torch.stack([torch.cdist(a, b).mean() for b in rows]) for a in rows])

    def batches(
        self,
        batch_size: int,
        generator: torch.Generator,
        noise: torch.Generator,
        draws: torch.Generator,
    ) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the mini-batches of one epoch: indices, views and a number between 0 and 1 for each
        sample, (B,), and two more for transforms, (B, 2).

        `generator` draws order and views, `noise` and `draws` the numbers. A last batch of one
        sample joins the one before it.
        """
        n = len(self.train)
        drawn = (
            torch.randperm(n, generator=generator),
            torch.randint(self.train.views, (n,), generator=generator),
        )
        numbers = torch.rand(n, generator=noise), torch.rand(n, 2, generator=draws)
        epoch = [*drawn, *(each.to(self.dtype) for each in numbers)]
        cuts = [start for start in range(batch_size, n, batch_size) if n - start > 1]
        yield from zip(*(numbers.to(self.device).tensor_split(cuts) for numbers in epoch))

    def samples(self, part: str) -> Samples:
        """The inputs of a split: "train", "validation" or "test"."""
        inputs, mean, std = self._data["inputs"], self._split["mean"], self._split["std"]
        inputs = inputs[self._split[part]]
        return Samples(inputs, mean, std, self._augmentation, self.device, self.dtype)

    def labels(self, part: str) -> torch.Tensor:
        """The labels (N,) of a split."""
        return torch.as_tensor(self._data["labels"][self._split[part]], device=self.device)

    def ids(self, part: str) -> np.ndarray:
        """The ids (N,) of a split's samples."""
        return self._data["ids"][self._split[part]]


@torch.no_grad()
def predict(
    network: Network, samples: Samples, views: torch.Tensor | None = None, batch_size: int = 1000
) -> torch.Tensor:
    """Return logits (G, N, K) in evaluation mode; `views` (N,) picks one augmented view of each."""
    network.eval()
    logits = []
    for rows in torch.arange(len(samples), device=samples.mean.device).split(batch_size):
        logits.append(network.logits(samples.batch(rows, None if views is None else views[rows])))
    return torch.cat(logits, 1)
