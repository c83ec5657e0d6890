"""One training step of G students: views, logits, targets, losses, gradients and update, without a word to the host.

On a GPU nothing of it waits for a result, so the host runs ahead; as a CUDA graph it is one call instead of thousands.
"""

import torch
from ils.errors import UserError
from ils.networks.layers import Dropout
from ils.plan.plugins import load
from ils.targets.inputs import Batch, inputs_of

WARM_UP = 3  # steps before the first graph, in which libraries choose their algorithms


def losses(logits, targets):
    """Cross-entropy of each student, (G,): logits (G, B, K); targets (G, B, K) or (B, K), or a list of `methods.Term`s."""
    if isinstance(targets, list):
        return sum(
            losses(logits / part.temperature, part.weight * part.targets) for part in targets
        )
    return -(targets * logits.log_softmax(-1)).sum(-1).mean(-1)


class Step:
    """A training step of the students in `network`, and the sum (G,) of their samples' losses in the epoch so far.

    hyperparameters: name -> (G, 1, 1); options: {input: its options}; `memory`: what the targets' inputs remember.
    """

    def __init__(self, network, cell, method, hyperparameters, options, optimizer, memory, epochs):
        self.network, self.cell, self.method, self.hyperparameters = (
            network,
            cell,
            method,
            hyperparameters,
        )
        self.inputs = [
            (load("target_input", name), options.get(name, {})) for name in inputs_of(method)
        ]
        self.optimizer, self.memory, self.epoch, self.epochs = optimizer, memory, 0, epochs
        self.parameters = list(network.parameters())
        self.total = torch.zeros(network.students, dtype=cell.dtype, device=cell.device)

    def start(self, epoch, learning_rate):
        """Begin the 0-based `epoch`."""
        self.epoch, self.optimizer.learning_rate = epoch, learning_rate
        self.total.zero_()

    def __call__(self, indices, views, noise):
        """Learn from the samples at `indices`, in these views, each with its number between 0 and 1; all (B,)."""
        x = self.cell.train.batch(indices, views)
        logits = self.network.logits(x)
        batch = Batch(indices, views, noise, x, logits, self.epoch, self.epochs)
        given = [
            find(self.cell, self.network, batch, self.memory, **options)
            for find, options in self.inputs
        ]
        loss = losses(logits, self.method(*given, **self.hyperparameters))
        for parameter in self.parameters:
            parameter.grad = None
        loss.sum().backward()
        self.optimizer.step()
        self.total += loss.detach() * len(indices)


class Graphed:
    """A `Step` whose launches on the GPU are recorded once an epoch, as a CUDA graph, and then replayed.

    What changes between epochs may be plain Python, such as the learning rate; within one, only what the tensors hold. A
    step of other shapes than the recorded ones, the epoch's last, runs as it is, like the first steps of all.
    """

    def __init__(self, step):
        if step.network.survival or any(
            isinstance(layer, Dropout) for layer in step.network.modules()
        ):
            raise UserError(
                "a network with stochastic depth or dropout draws each step anew; set its cuda_graphs: 0"
            )
        self.step, self.to_run, self.graph = step, WARM_UP, None
        self.stream, self.pool = torch.cuda.Stream(step.cell.device), torch.cuda.graph_pool_handle()

    def start(self, epoch, learning_rate):
        self.step.start(epoch, learning_rate)
        self.graph, self.to_run = (
            None,
            max(self.to_run, 1),
        )  # what an input does first in an epoch is not recorded

    def __call__(self, *tensors):
        here = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):  # beside CUDA's first stream no graph can be recorded
            if self.graph is None and not self.to_run:
                self.recorded = [tensor.clone() for tensor in tensors]
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph, pool=self.pool, stream=self.stream):
                    self.step(*self.recorded)
            if self.graph and tensors[0].shape == self.recorded[0].shape:
                for kept, tensor in zip(self.recorded, tensors):
                    kept.copy_(tensor)
                self.graph.replay()
            else:
                self.step(*tensors)
                self.to_run = max(self.to_run - 1, 0)
        here.wait_stream(self.stream)
