"""One training step of G students: views, logits, targets, losses, gradients and update.

The students of several methods share it: each method computes the targets of its own, from inputs
that see no others, and one loss, one backward pass and one update serve all. On a GPU nothing of it
waits for a result, so the host runs ahead; as a CUDA graph it is one call instead of thousands.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ils.errors import UserError
from ils.networks.layers import Network
from ils.plan.plugins import load
from ils.targets.inputs import Batch, inputs_of
from ils.targets.methods import Term
from ils.training.cell import CellData
from ils.training.optimizers import SGD, Adam

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
        self.network, self.memory = network, dict[str, Any]()
        self.hyperparameters = {
            name: torch.as_tensor(
                [point[name] for point in group.points], dtype=cell.dtype, device=cell.device
            ).view(-1, 1, 1)
            for name in group.points[0]
        }
        self.inputs = [
            (load("target_input", name), group.options.get(name, {}))
            for name in inputs_of(group.targets)
        ]

    def terms(self, cell: CellData, batch: Batch) -> list[Term]:
        """What they learn of a mini-batch whose logits (G, B, K) are their own."""
        inputs = (
            compute(cell, self.network, batch, self.memory, **options)
            for compute, options in self.inputs
        )
        targets = self.function(*inputs, **self.hyperparameters)
        return targets if isinstance(targets, list) else [Term(targets)]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """That of each student, (G,), in nats: logits (G, B, K); targets (G, B, K) or (B, K)."""
    return -(targets * logits.log_softmax(-1)).flatten(1).sum(1) / logits.shape[1]


def plain(term: Term) -> bool:
    """Whether a term is nothing but the cross-entropy to its targets."""
    return isinstance(term.weight, float) and term.weight == term.temperature == 1


def merged(learnt: Iterable[tuple[int, list[Term]]]) -> Iterator[tuple[int, list[Term]]]:
    """Join the terms of neighbours that learn plain targets; each is (students, their terms)."""
    runs = itertools.groupby(learnt, lambda each: len(each[1]) == 1 and plain(each[1][0]))
    for joined, run in runs:
        if not joined:
            yield from run
            continue
        parts = [(n, terms[0].targets) for n, terms in run]
        shape = parts[0][1].shape[-2:]
        targets = [t if len(t) == n and t.dim() == 3 else t.expand(n, *shape) for n, t in parts]
        yield sum(n for n, _ in parts), [Term(targets[0] if len(parts) == 1 else torch.cat(targets))]


def learn(logits: Tensor, terms: Iterable[Term]) -> tuple[Tensor, Tensor]:
    """Return the loss of each student (G,), the sum of its terms' weighted cross-entropies, and its
    gradient by the logits (G, B, K).

    It is written out: w/(B T) (q sum_j t_j - t) of a term. What targets that depend on the logits
    add to it is left in the graph of `logits`.
    """
    losses, gradients = [], []
    for targets, weight, temperature in terms:
        t, share = targets.detach(), weight / logits.shape[1]
        z = logits.detach() if isinstance(temperature, float) else logits.detach() / temperature
        log_q = z.log_softmax(-1)
        losses.append((t * log_q * -share).flatten(1).sum(1))
        slope = log_q.exp().mul_(t.sum(-1, keepdim=True)).sub_(t)
        gradients.append(slope.mul_(share / temperature))
        if targets.requires_grad:
            targets.backward(log_q * -share)
    return sum(losses), sum(gradients)


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
        self.sizes = [len(group.points) for group in groups]
        ends = itertools.accumulate(self.sizes)
        parts = (network.part(slice(end - n, end)) for end, n in zip(ends, self.sizes))
        self.learners = [Learners(*each, cell) for each in zip(groups, parts)]
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
        self.network.backward(logits, gradient)
        self.optimizer.step()
        self.total.add_(loss, alpha=len(indices))

    def learn(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return `learn` of all students, each towards its own method's targets."""
        own = [batch._replace(logits=part) for part in batch.logits.split(self.sizes)]
        learnt = [
            (learners.students, learners.terms(self.cell, batch))
            for learners, batch in zip(self.learners, own, strict=True)
        ]
        runs = list(merged(learnt))
        parts = batch.logits.split([students for students, _ in runs])
        results = [learn(part, terms) for part, (_, terms) in zip(parts, runs, strict=True)]
        loss, gradient = zip(*results, strict=True)
        return results[0] if len(results) == 1 else (torch.cat(loss), torch.cat(gradient))


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
