"""One training step of G students: views, logits, targets, losses, gradients and update.

On a GPU nothing of it waits for a result, so the host runs ahead; as a CUDA graph it is one call
instead of thousands.
"""

import functools
from collections.abc import Callable, Mapping

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


def losses(logits: Tensor, targets: Tensor | list[Term]) -> Tensor:
    """Cross-entropy of each student, (G,).

    logits (G, B, K); targets (G, B, K) or (B, K), or a list of terms with such targets, whose
    weighted cross-entropies are summed.
    """
    if isinstance(targets, list):
        terms = (losses(logits / term.temperature, term.weight * term.targets) for term in targets)
        return functools.reduce(torch.add, terms)
    return -(targets * logits.log_softmax(-1)).sum(-1).mean(-1)


class Step:
    """A training step of the students in `network`.

    method: a target function; hyperparameters: name -> (G, 1, 1); options: {input: its options};
    memory: what the targets' inputs remember. `total` (G,) is the sum of the samples' losses in the
    epoch so far.
    """

    def __init__(
        self,
        network: Network,
        cell: CellData,
        method: Callable,
        hyperparameters: Mapping[str, Tensor],
        options: Mapping[str, Mapping],
        optimizer: SGD | Adam,
        memory: dict,
        epochs: int,
    ):
        self.network, self.cell, self.method = network, cell, method
        self.hyperparameters, self.memory = hyperparameters, memory
        self.inputs = [
            (load("target_input", name), options.get(name, {})) for name in inputs_of(method)
        ]
        self.optimizer, self.epoch, self.epochs = optimizer, 0, epochs
        self.parameters = list(network.parameters())
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
        logits = self.network.logits(x)
        batch = Batch(indices, views, noise, x, logits, self.epoch, self.epochs)
        inputs = [
            compute(self.cell, self.network, batch, self.memory, **options)
            for compute, options in self.inputs
        ]
        loss = losses(logits, self.method(*inputs, **self.hyperparameters))
        for parameter in self.parameters:
            parameter.grad = None
        loss.sum().backward()
        self.optimizer.step()
        self.total += loss.detach() * len(indices)


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
