"""One training step of G students: views, logits, targets, losses, gradients and update.

The students of several methods share it: each method computes the targets of its own, from inputs
that see no others, and one loss, one backward pass and one update serve all. On a GPU nothing of it
waits for a result, so the host runs ahead; as a CUDA graph it is one call instead of thousands.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ils.errors import UserError
from ils.networks.layers import Network
from ils.plan.plugins import load
from ils.targets.inputs import Batch, inputs_of, options_of
from ils.targets.methods import Term
from ils.training.cell import CellData
from ils.training.optimizers import SGD, Adam

Targets = Tensor | list[Term | Tensor]
LOOKED_UP = 250_000  # numbers of a student's targets for all samples and views that are kept
WARM_UP = 3  # steps before the first graph, in which libraries choose their algorithms


class Group(NamedTuple):
    """Students of one method: its name, its target function, each one's hyperparameters, the
    options of what the functions look at, {input: its options}, and its transform, if any."""

    method: str
    targets: Callable
    points: Sequence[Mapping[str, float]]
    options: Mapping[str, Mapping] = {}
    transform: Callable | None = None

    def alike(self) -> "list[Group]":
        """Cut the group into neighbours to whom an input has the same options: those of the group
        and those that are hyperparameters of theirs."""
        looked_at = {name for f in (self.targets, self.transform) if f for name in inputs_of(f)}
        searched = {
            option: name
            for name in sorted(looked_at)
            for option in options_of(load("target_input", name))
            if option in self.points[0]
        }
        groups = []
        runs = itertools.groupby(self.points, lambda point: [point[name] for name in searched])
        for values, run in runs:
            options = {name: dict(of_input) for name, of_input in self.options.items()}
            for (option, name), value in zip(searched.items(), values):
                options.setdefault(name, {})[option] = value
            groups.append(self._replace(points=list(run), options=options))
        return groups


class Call:
    """A function with what its parameters name: inputs, and the hyperparameters of a group's
    students, (G, 1, 1)."""

    def __init__(self, function: Callable, group: Group, cell: CellData):
        self.function, self.names = function, inputs_of(function)
        functions = [load("target_input", name) for name in self.names]
        options = [group.options.get(name, {}) for name in self.names]
        self.inputs = list(zip(functions, map(inputs_of, functions), options))
        self.seen = {name for _, names, _ in self.inputs for name in names}
        self.hyperparameters = {
            name: torch.as_tensor(
                [point[name] for point in group.points], dtype=cell.dtype, device=cell.device
            ).view(-1, 1, 1)
            for name in options_of(function)
            if name in group.points[0]
        }

    def __call__(self, seen: Mapping[str, Any], onehot: Tensor | None = None) -> Any:
        """Call the function; `onehot` are the labels, if no longer those of the samples."""
        inputs = (
            onehot
            if name == "onehot" and onehot is not None
            else compute(*(seen[each] for each in names), **options)
            for name, (compute, names, options) in zip(self.names, self.inputs)
        )
        return self.function(*inputs, **self.hyperparameters)


class Learners:
    """The students of a `Group` and what their targets remember.

    network: the part of the network in training that they are.
    """

    def __init__(self, group: Group, network: Network, cell: CellData):
        self.method, self.students = group.method, len(group.points)
        self.network, self.cell, self.memory = network, cell, dict[str, Any]()
        self.function = Call(group.targets, group, cell)
        self.transform = Call(group.transform, group, cell) if group.transform else None
        in_training = self.transform or self.function.seen & {"network", "batch", "memory"}
        self.of_samples = not in_training

    def targets(self, indices: Tensor, views: Tensor, batch: Batch | None = None) -> Targets:
        """What they learn of the samples at `indices` in these views, (B,) each.

        batch: of these samples, with the logits (G, B, K) of these students alone; for targets that
        are `of_samples` None.
        """
        seen = self.seen(indices, views, batch)
        return self.function(seen, batch.onehot if batch else None)

    def seen(self, indices: Tensor, views: Tensor, batch: Batch | None) -> dict[str, Any]:
        """All that the parameters of an input may name."""
        seen = {"cell": self.cell, "network": self.network, "batch": batch, "memory": self.memory}
        return seen | {"indices": indices, "views": views}

    def transformed(self, batch: Batch) -> Batch:
        """The batch as these students see it: x (G, B, ...) and onehot (G, B, K) their own, if they
        have a transform."""
        if self.transform is None:
            return batch
        x, onehot = self.transform(self.seen(batch.indices, batch.views, batch))
        x = x.expand(self.students, *batch.x.shape)
        return batch._replace(x=x, onehot=onehot.expand(self.students, *onehot.shape[-2:]))


class Lookup:
    """Targets for all training samples and views, computed once.

    targets: of so many neighbouring students, ((G,) N views, K).
    """

    def __init__(self, students: int, targets: Targets, views: int):
        self.students, self.all, self.views = students, targets, views

    def targets(self, indices: Tensor, views: Tensor, batch: Batch | None = None) -> Targets:
        """As those of `Learners`."""
        at = indices * self.views + views if self.views > 1 else indices
        if isinstance(self.all, list):
            return [
                t.index_select(-1, at)
                if isinstance(t, Tensor)
                else t._replace(targets=t.targets.index_select(-2, at))
                for t in self.all
            ]
        return self.all.index_select(-2, at)


def merged(sizes: Sequence[int], targets: Sequence[Targets]) -> list[tuple[int, Targets]]:
    """Join the targets of neighbours, so many students each, but lists of terms."""
    joined: list[tuple[int, Targets]] = []
    runs = itertools.groupby(zip(sizes, targets), lambda each: isinstance(each[1], list))
    for of_terms, run in runs:
        parts = list(run)
        if of_terms or len(parts) == 1:
            joined += parts
            continue
        own = [t.expand(n, *t.shape[-2:]) for n, t in parts if not isinstance(t, list)]
        joined.append((sum(n for n, _ in parts), torch.cat(own)))
    return joined


def looked_up(learners: Sequence[Learners], cell: CellData) -> list[Learners | Lookup]:
    """The learners, but those whose targets are of the samples alone and not too many.

    How many are too many depends on the cell alone, so that a student's numbers do not depend on
    its company.
    """
    views = cell.train.views
    if len(cell.train) * views * cell.classes > LOOKED_UP:
        return list(learners)
    all_views = torch.arange(len(cell.train) * views, device=cell.device)
    samples = all_views.div(views, rounding_mode="floor"), all_views % views
    parts: list[Learners | Lookup] = []
    for of_samples, run in itertools.groupby(learners, lambda each: each.of_samples):
        if not of_samples:
            parts += run
            continue
        sizes, targets = zip(*((each.students, each.targets(*samples)) for each in run))
        parts += [Lookup(n, t, views) for n, t in merged(sizes, targets)]
    return parts


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """That of each student, (G,), in nats: logits (G, B, K); targets (G, B, K) or (B, K)."""
    return -(targets * logits.log_softmax(-1)).flatten(1).sum(1) / logits.shape[1]


def learn(logits: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """Return the loss of each student (G,), the sum of its terms' weighted cross-entropies and of
    the means of its values, and its gradient by the logits (G, B, K).

    It is written out: w/(B T) (q sum_j t_j - t) of a term. What values, and targets that depend on
    the logits, add to it is left in the graph of `logits`.
    """
    losses, slopes, by_logits = [], [], []
    for term in targets if isinstance(targets, list) else [Term(targets)]:
        if isinstance(term, Tensor):
            losses.append(term.detach().mean(1))
            if term.requires_grad:
                by_logits.append((term, torch.full_like(term, 1 / logits.shape[1])))
            continue
        t, weight, temperature = term
        plain, share = t.detach(), weight / logits.shape[1]
        z = logits.detach()
        if not isinstance(temperature, float) or temperature != 1:
            z = z / temperature
        log_q = z.log_softmax(-1)
        losses.append((plain * log_q * -share).flatten(1).sum(1))
        slope = log_q.exp().mul_(plain.sum(-1, keepdim=True)).sub_(plain)
        slopes.append(slope.mul_(share / temperature))
        if t.requires_grad:
            by_logits.append((t, log_q * -share))
    if by_logits:
        torch.autograd.backward([t for t, _ in by_logits], [slope for _, slope in by_logits])
    slopes = slopes or [torch.zeros_like(logits)]
    return functools.reduce(torch.add, losses), functools.reduce(torch.add, slopes)


class Step:
    """A training step of the students in `network`.

    groups: those of each method, one after the other, all with a transform or none. `learners` are
    what they become here; `total` (G,) is the sum of the samples' losses in the epoch so far.
    """

    def __init__(
        self,
        network: Network,
        cell: CellData,
        groups: Sequence[Group],
        optimizer: SGD | Adam,
        epochs: int,
    ):
        self.network, self.cell, self.optimizer = network, cell, optimizer
        groups = [alike for group in groups for alike in group.alike()]
        sizes = [len(group.points) for group in groups]
        parts = (network.part(slice(e - n, e)) for e, n in zip(itertools.accumulate(sizes), sizes))
        self.learners = [Learners(*each, cell) for each in zip(groups, parts)]
        self.parts = looked_up(self.learners, cell)
        self.sizes = [part.students for part in self.parts]
        self.epoch, self.epochs = 0, epochs
        self.total = torch.zeros(network.students, dtype=cell.dtype, device=cell.device)

    def start(self, epoch: int, learning_rate: float) -> None:
        """Begin the 0-based `epoch`."""
        self.epoch, self.optimizer.learning_rate = epoch, learning_rate
        self.total.zero_()

    def __call__(self, indices: Tensor, views: Tensor, noise: Tensor, draws: Tensor) -> None:
        """Learn from the samples at `indices` in these views, (B,) each.

        noise (B,), draws (B, 2): U(0, 1) numbers, the latter for transforms.
        """
        x = self.cell.train.batch(indices, views)
        batch = Batch(indices, views, noise, x, x[:0], self.epoch, self.epochs, draws)
        batches = [batch] * len(self.parts)
        if self.learners[0].transform:
            batches = [learners.transformed(batch) for learners in self.learners]
            x = torch.cat([each.x for each in batches])
        with torch.set_grad_enabled(not self.network.written_out):
            logits = self.network.logits(x)
        said = logits.detach().requires_grad_()
        loss, gradient = self.learn(said, batches)
        if said.grad is not None:
            gradient += said.grad
        if not self.network.written_out:
            self.optimizer.flat.gradient.zero_()
        self.network.backward(logits, gradient)
        self.optimizer.step()
        self.total.add_(loss, alpha=len(indices))

    def learn(self, logits: Tensor, batches: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Return what `learn` does of all students, each towards its own method's targets; batches:
        as each of the `parts` sees it."""
        own = [b._replace(logits=part) for b, part in zip(batches, logits.split(self.sizes))]
        targets = [
            part.targets(each.indices, each.views, each) for part, each in zip(self.parts, own)
        ]
        runs = merged(self.sizes, targets)
        if len(runs) == 1:
            return learn(logits, runs[0][1])
        parts = logits.split([students for students, _ in runs])
        loss, gradient = zip(*(learn(part, t) for part, (_, t) in zip(parts, runs)))
        return torch.cat(loss), torch.cat(gradient)


class Graphed:
    """A `Step` whose launches on the GPU are recorded once an epoch and then replayed.

    They are recorded as a CUDA graph. What changes between epochs may be plain Python, such as the
    learning rate; within one, only what the tensors hold. A step of other shapes than the recorded
    ones, the epoch's last, runs as it is, like the first steps of all. UserError for a network that
    draws coins.
    """

    def __init__(self, step: Step):
        if step.network.draws_coins:
            raise UserError(
                "a network with stochastic depth or dropout draws each step anew; "
                "set its cuda_graphs: 0"
            )
        self.step, self.to_run = step, WARM_UP
        self.graph: torch.cuda.CUDAGraph | None = None
        self.recorded: list[Tensor] = []
        self.stream = torch.cuda.Stream(step.cell.device)

    def start(self, epoch: int, learning_rate: float) -> None:
        """Begin the 0-based `epoch`; its first step is not recorded.

        An input may do something else in an epoch's first step than in the others.
        """
        self.step.start(epoch, learning_rate)
        self.graph, self.to_run = None, max(self.to_run, 1)

    def __call__(self, *tensors: Tensor) -> None:
        """Learn from the samples as `Step` does."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):  # beside CUDA's first stream no graph can be recorded
            if self.graph is None and not self.to_run:
                self.record(tensors)
            if self.graph and tensors[0].shape == self.recorded[0].shape:
                for kept, tensor in zip(self.recorded, tensors):
                    kept.copy_(tensor)
                self.graph.replay()
            else:
                self.step(*tensors)
                self.to_run = max(self.to_run - 1, 0)
        current.wait_stream(self.stream)

    def record(self, tensors: tuple[Tensor, ...]) -> None:
        """Record the step on copies of its tensors; nothing is learnt from them yet.

        Each graph has memory of its own: a pool is shared only while a graph that uses it lives.
        """
        self.recorded = [tensor.clone() for tensor in tensors]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step(*self.recorded)
