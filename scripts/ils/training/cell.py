"""What all students of one dataset x network x seed share, on the device, and what a network says of its samples."""

import numpy as np
import torch
from ils.data.samples import Samples
from ils.errors import UserError


def named(arrays, what):
    """Return the file that arrays came from, or in words what they are."""
    return getattr(arrays, "path", what)


class CellData:
    """What all students of one dataset x network x seed share, on the device.

    data: arrays of the prepared dataset; split: its index arrays and normalisation; teachers: the arrays and metadata
    of each one's soft targets, whose logits (N_train, views, K) are in the order of split["train"].
    """

    def __init__(self, data, split, augmentation, device, teachers=(), dtype=torch.float32):
        self.device, self.dtype = device, dtype
        self.classes = int(data["labels"].max()) + 1
        self.shape = data["inputs"].shape[1:]
        parts = split["train"], split["validation"], split.get("test", split["train"])
        if max(part.max() for part in parts) >= len(data["labels"]):
            found, wanted = named(split, "the split"), named(data, "the data")
            raise UserError(
                f"{found}: is of another dataset than {wanted}; delete it and run again"
            )
        self._data, self._split, self._augmentation = data, split, augmentation
        self.train, self.validation = self.samples("train"), self.samples("validation")
        self.onehot = torch.nn.functional.one_hot(self.labels("train"), self.classes).to(dtype)
        self.validation_labels = self.labels("validation")
        self.teacher_logits, self.teacher_temperature = [], None
        for arrays, metadata in teachers:
            wrong = "" if np.array_equal(arrays["ids"], self.ids("train")) else "training samples"
            if arrays["logits"].shape != (len(self.train), self.train.views, self.classes):
                wrong = wrong or "views or classes"
            if wrong:
                found = named(arrays, "soft targets")
                raise UserError(
                    f"{found}: the soft targets are of other {wrong} than the split's; delete them and run again"
                )
            self.teacher_logits.append(
                torch.as_tensor(arrays["logits"], dtype=dtype, device=device)
            )
        if teachers:
            self.teacher_temperature = teachers[0][1]["temperature"]

    def class_distances(self, samples):
        """Mean Euclidean distance (K, K) between the normalised training inputs of each two classes.

        At most `samples` of a class enter, those first in the dataset's order.
        """
        labels = self.onehot.argmax(1)
        rows = [
            self.train.batch((labels == k).nonzero()[:samples, 0]).flatten(1)
            for k in range(self.classes)
        ]
        return torch.stack([torch.stack([torch.cdist(a, b).mean() for b in rows]) for a in rows])

    def batches(self, batch_size, generator, noise):
        """Yield the mini-batches (indices, views, numbers between 0 and 1) of one epoch, (B,) each, on the device.

        `generator` draws order and views, `noise` the numbers. A last batch of one sample joins the one before it.
        """
        n = len(self.train)
        drawn = (
            torch.randperm(n, generator=generator),
            torch.randint(self.train.views, (n,), generator=generator),
        )
        epoch = [*drawn, torch.rand(n, generator=noise).to(self.dtype)]
        cuts = [start for start in range(batch_size, n, batch_size) if n - start > 1]
        yield from zip(*(numbers.to(self.device).tensor_split(cuts) for numbers in epoch))

    def samples(self, part):
        """The inputs of a split: "train", "validation" or "test"."""
        inputs = self._data["inputs"][self._split[part]]
        return Samples(
            inputs,
            self._split["mean"],
            self._split["std"],
            self._augmentation,
            self.device,
            self.dtype,
        )

    def labels(self, part):
        """The labels (N,) of a split."""
        return torch.as_tensor(self._data["labels"][self._split[part]], device=self.device)

    def ids(self, part):
        """The ids (N,) of a split's samples, as a numpy array."""
        return self._data["ids"][self._split[part]]


@torch.no_grad()
def predict(network, samples, views=None, batch_size=1000):
    """Return logits (G, N, K) in evaluation mode; `views` (N,) picks one augmented view of each sample."""
    network.eval()
    parts = torch.arange(len(samples), device=samples.mean.device).split(batch_size)
    return torch.cat(
        [
            network.logits(samples.batch(part, None if views is None else views[part]))
            for part in parts
        ],
        1,
    )
