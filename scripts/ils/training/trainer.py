"""Training G students together: one pass over shared batches, one optimizer, G losses summed.

The students of a cell, of one method or several, see the same initial weights, batch order,
augmented views, stochastic-depth coins and dropout masks, all drawn from the cell's seed; only
their targets differ. So a student's result does not depend on which others it trains with: on the
CPU not by a bit, on a GPU by rounding only.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ils.errors import UserError
from ils.job import log
from ils.networks.layers import Network
from ils.plan.records import Recipe
from ils.training.cell import CellData, predict
from ils.training.checkpoints import Checkpoint, Checkpoints, State
from ils.training.optimizers import make_optimizer
from ils.training.step import Graphed, Group, Step, cross_entropy

# Streams of a cell's seed; the split is stream 0.
INITIALISATION, BATCHES, NOISE, DRAWS = 1, 2, 3, 4


def stream(seed, purpose, restart=0):
    """Return the seed of one of a cell's independent random streams; of restart 0 it is that
    without restarts, as `SeedSequence` takes a 0 at the end for nothing."""
    return int(np.random.SeedSequence([seed, purpose, restart]).generate_state(1)[0])


class Students(NamedTuple):
    """G trained students. Epochs count from 1; failed_epoch is 0 where the loss stayed finite.

    validation_logits (G, N, K), best_epoch (G,), failed_epoch (G,), and per epoch, NaN once a
    student has stopped, train_loss and validation_ce (G, epochs); weights: state dict of (G, ...)
    tensors at the best epoch, on the CPU: chunks that are done leave the device's memory.
    """

    validation_logits: np.ndarray
    best_epoch: np.ndarray
    failed_epoch: np.ndarray
    train_loss: np.ndarray
    validation_ce: np.ndarray
    weights: dict

    def arrays(self):
        """All of it as arrays by name."""
        weights = {f"weights/{name}": tensor.cpu().numpy() for name, tensor in self.weights.items()}
        return {name: getattr(self, name) for name in self._fields[:-1]} | weights

    @classmethod
    def of(cls, arrays):
        """The students whose `arrays` these are."""
        weights = {
            name.removeprefix("weights/"): torch.from_numpy(a)
            for name, a in arrays.items()
            if name.startswith("weights/")
        }
        return cls(**{name: arrays[name] for name in cls._fields[:-1]}, weights=weights)


def train(
    network: Network,
    cell: CellData,
    groups: Sequence[Group],
    recipe: Recipe,
    seed: int,
    title: str,
    checkpoint: Checkpoint | None = None,
    cuda_graphs: bool = False,
) -> Students:
    """Train the G students of `network`, those of each group's method in order; returns `Students`.

    `title` names the job in progress bar and log. A student whose loss stops being finite is marked
    as failed; the others go on undisturbed. checkpoint: where to go on from and what to keep, if
    anything. cuda_graphs: see `step.Graphed`.
    """
    network = network.to(cell.device, cell.dtype)
    generator = torch.Generator().manual_seed(stream(seed, BATCHES))
    onehot = torch.nn.functional.one_hot(cell.validation_labels, cell.classes).to(cell.dtype)
    noise, draws = (torch.Generator().manual_seed(stream(seed, of)) for of in (NOISE, DRAWS))
    optimizer = make_optimizer(recipe, network.parameters())
    plain = Step(network, cell, groups, optimizer, recipe.epochs)
    step = Graphed(plain) if cuda_graphs else plain
    state = network.state_dict()  # refers to the weights themselves, which change in place
    best = {name: tensor.clone() for name, tensor in state.items()}
    students = network.students
    best_ce, best_epoch = np.full(students, np.inf), np.zeros(students, np.int64)
    failed_epoch, active = np.zeros(students, np.int64), np.ones(students, bool)
    history = np.full((2, students, recipe.epochs), np.nan)
    tensors = {f"weights/{name}": tensor for name, tensor in state.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    records = {
        "best_ce": best_ce,
        "best_epoch": best_epoch,
        "failed_epoch": failed_epoch,
        "active": active,
        "history": history,
    }
    generators = {"batches": generator, "noise": noise, "draws": draws}
    tensors |= optimizer.tensors()
    state_of_job = State(title, tensors, records, generators, plain.learners)
    done = checkpoint.resume(state_of_job) if checkpoint else 0

    epochs = tqdm(
        range(done, recipe.epochs),
        desc=title,
        unit="epoch",
        leave=False,
        disable=None,
        initial=done,
        total=recipe.epochs,
    )
    for epoch in epochs:
        network.train()
        step.start(epoch, recipe.rate(epoch))
        for batch in cell.batches(recipe.batch_size, generator, noise, draws):
            network.draw_coins(generator)
            step(*batch)

        logits = predict(network, cell.validation)
        ce = cross_entropy(logits, onehot)
        history[:, active, epoch] = (
            torch.stack([plain.total / len(cell.train), ce]).double().cpu().numpy()[:, active]
        )
        loss_now, ce_now = history[:, :, epoch]
        failed_epoch[active & ~np.isfinite(loss_now + ce_now)] = epoch + 1
        active &= failed_epoch == 0
        improved = active & (ce_now < best_ce)
        best_ce[improved], best_epoch[improved] = ce_now[improved], epoch + 1
        if improved.any():
            rows = torch.as_tensor(np.flatnonzero(improved), device=cell.device)
            for name, tensor in best.items():
                tensor[rows] = state[name][rows]
        if recipe.patience is not None:
            active &= epoch + 1 - best_epoch < recipe.patience
        if (epoch + 1) % max(1, recipe.epochs // 10) == 0 or not active.any():
            log.info(
                "%s: epoch %d, %d students, best validation cross-entropy %.4f",
                title,
                epoch + 1,
                active.sum(),
                best_ce.min(),
            )
        if not active.any():
            break
        if checkpoint:
            checkpoint.keep(state_of_job, epoch + 1)

    network.load_state_dict(best)
    return Students(
        predict(network, cell.validation).cpu().numpy(),
        best_epoch,
        failed_epoch,
        history[0],
        history[1],
        {name: tensor.cpu() for name, tensor in best.items()},
    )


def train_chunks(
    students: Sequence[Group],
    at_once: int,
    build: Callable[[int], Network],
    learn: Callable[..., Students],
    title: str,
    checkpoints: Checkpoints,
) -> list[Students]:
    """Train the students of all groups, up to `at_once` in one network; returns them by chunk.

    build(students) makes a network; learn(network, groups=, title=, checkpoint=) is `train`, told
    the rest. The chunks are about the same size. Students with a transform see inputs of their own
    and have networks apart from the others. Where the device's memory does not suffice for one,
    half of it goes on, which is slower.
    """
    results: list[Students] = []
    rest = [(group, point) for group in students for point in group.points]
    total = len(rest)
    while rest:
        alike = [bool(group.transform) == bool(rest[0][0].transform) for group, _ in rest]
        run = (alike + [False]).index(False)
        size = math.ceil(run / math.ceil(run / at_once))
        start = total - len(rest)
        name = f"{title} {start + 1}-{start + size}/{total}"
        checkpoint = checkpoints.chunk(start, size)
        if (kept := checkpoint.finished()) is not None:
            log.info("%s: finished before", name)
            trained = Students.of(kept)
        else:
            by_group = itertools.groupby(rest[:size], lambda student: id(student[0]))
            chunk = [list(of_group) for _, of_group in by_group]
            groups = [c[0][0]._replace(points=[point for _, point in c]) for c in chunk]
            try:
                network = build(size)
                trained = learn(network, groups=groups, title=name, checkpoint=checkpoint)
            except torch.OutOfMemoryError:
                if size == 1:
                    raise UserError(
                        f"{name}: one student does not fit into the device's memory; "
                        "use a smaller network or batch"
                    ) from None
                at_once = math.ceil(size / 2)
                log.warning("%s: out of device memory; %d students at once go on", name, at_once)
                torch.cuda.empty_cache()
                continue
            if checkpoints.all_chunks or size < len(rest):
                checkpoint.save(trained.arrays(), finished=True)
        results.append(trained)
        del rest[:size]
    return results
