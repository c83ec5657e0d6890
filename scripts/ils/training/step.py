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
from ils.plan.grids import RESTART
from ils.plan.plugins import load
from ils.targets.inputs import Batch, inputs_of
from ils.targets.methods import Term
from ils.training.cell import CellData
from ils.training.optimizers import SGD, Adam

Targets = Tensor | list[Term]
LOOKED_UP = 250_000  # numbers of a student's targets for all samples and views that are kept
WARM_UP = 3  # steps before the first graph, in which libraries choose their algorithms


class Group(NamedTuple):
    """Students of one method: its name, its target function, each one's hyperparameters, and the
    options of what the function looks at, {input: its options}."""

    method: str
    targets: Callable
    points: Sequence[Mapping[str, float]]
    options: Mapping[str, Mapping] = {}


class Learners:
    """The students of a `Group` and what their targets remember.

    network: the part of the network in training that they are; hyperparameters: name -> (G, 1, 1).
    """

    def __init__(self, group: Group, network: Network, cell: CellData):
        self.method, self.function, self.students = group.method, group.targets, len(group.points)
        self.network, self.cell, self.memory = network, cell, dict[str, Any]()
        self.hyperparameters = {
            name: torch.as_tensor(
                [point[name] for point in group.points], dtype=cell.dtype, device=cell.device
            ).view(-1, 1, 1)
            for name in group.points[0]
            if name != RESTART
        }
        functions = [load("target_input", name) for name in inputs_of(group.targets)]
        options = [group.options.get(name, {}) for name in inputs_of(group.targets)]
        self.inputs = list(zip(functions, map(inputs_of, functions), options))
        known = {name for _, names, _ in self.inputs for name in names}
        self.of_samples = known.isdisjoint({"network", "batch", "memory"})

    def targets(self, indices: Tensor, views: Tensor, batch: Batch | None = None) -> Targets:
        """What they learn of the samples at `indices` in these views, (B,) each.

        batch: of these samples, with the logits (G, B, K) of these students alone; for targets that
        are `of_samples` None.
        """
        seen = {"cell": self.cell, "network": self.network, "batch": batch, "memory": self.memory}
        seen |= {"indices": indices, "views": views}
        inputs = (
            compute(*(seen[name] for name in names), **options)
            for compute, names, options in self.inputs
        )
        return self.function(*inputs, **self.hyperparameters)


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
            return [t._replace(targets=t.targets.index_select(-2, at)) for t in self.all]
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
    """Return the loss of each student (G,), the sum of its terms' weighted cross-entropies, and its
    gradient by the logits (G, B, K).

    It is written out: w/(B T) (q sum_j t_j - t) of a term. What targets that depend on the logits
    add to it is left in the graph of `logits`.
    """
    losses, slopes, by_logits = [], [], []
    for t, weight, temperature in targets if isinstance(targets, list) else [Term(targets)]:
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
    return functools.reduce(torch.add, losses), functools.reduce(torch.add, slopes)


class Step:
    """A training step of the students in `network`.

    groups: those of each method, one after the other. `learners` are what they become here;
    `total` (G,) is the sum of the samples' losses in the epoch so far.
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

    def __call__(self, indices: Tensor, views: Tensor, noise: Tensor) -> None:
        """Learn from the samples at `indices` in these views; `noise`: a U(0, 1) number for each.

        All are (B,).
        """
        x = self.cell.train.batch(indices, views)
        with torch.set_grad_enabled(not self.network.written_out):
            logits = self.network.logits(x)
        said = logits.detach().requires_grad_()
        batch = Batch(indices, views, noise, x, said, self.epoch, self.epochs)
        loss, gradient = self.learn(batch)
        if said.grad is not None:
            gradient += said.grad
        if not self.network.written_out:
            self.optimizer.flat.gradient.zero_()
        self.network.backward(logits, gradient)
        self.optimizer.step()
        self.total.add_(loss, alpha=len(indices))

    def learn(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what `learn` does of all students, each towards its own method's targets."""
        own = [batch._replace(logits=part) for part in batch.logits.split(self.sizes)]
        samples = batch.indices, batch.views
        targets = [part.targets(*samples, each) for part, each in zip(self.parts, own)]
        runs = merged(self.sizes, targets)
        if len(runs) == 1:
            return learn(batch.logits, runs[0][1])
        parts = batch.logits.split([students for students, _ in runs])
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
        self.stream, self.pool = torch.cuda.Stream(step.cell.device), torch.cuda.graph_pool_handle()

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
        """Record the step on copies of its tensors; nothing is learnt from them yet."""
        self.recorded = [tensor.clone() for tensor in tensors]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, pool=self.pool, stream=self.stream):
            self.step(*self.recorded)
