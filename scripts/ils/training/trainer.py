"""Training G students together: one pass over shared batches, one optimizer, G losses summed.

The students of a cell, of one method or several, see the same initial weights, batch order,
augmented views, stochastic-depth coins and dropout masks, all drawn from the cell's seed; only
their targets differ. So a student's result does not depend on which others it trains with: on the
CPU not by a bit, on a GPU by rounding only. Nor does it on those that leave: where students race,
those that are dropped do, and the others go on in fewer networks.
"""

import itertools
import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ils.errors import UserError
from ils.job import log
from ils.networks.layers import Network
from ils.plan.grids import race_of
from ils.plan.records import Recipe
from ils.training.cell import CellData, predict
from ils.training.checkpoints import Checkpoint, Checkpoints, Kept, State
from ils.training.optimizers import make_optimizer
from ils.training.race import survivors
from ils.training.step import Graphed, Group, Step, cross_entropy

# Streams of a cell's seed; the split is stream 0.
INITIALISATION, BATCHES, NOISE, DRAWS = 1, 2, 3, 4
STREAMS = {"batches": BATCHES, "noise": NOISE, "draws": DRAWS}  # of the generators


def stream(seed, purpose, restart=0):
    """Return the seed of one of a cell's independent random streams; of restart 0 it is that
    without restarts, as `SeedSequence` takes a 0 at the end for nothing."""
    return int(np.random.SeedSequence([seed, purpose, restart]).generate_state(1)[0])


class Students(NamedTuple):
    """G trained students. Epochs count from 1; failed_epoch is 0 where the loss stayed finite.

    validation_logits (G, N, K), best_epoch (G,), failed_epoch (G,), and per epoch, NaN once a
    student has stopped, train_loss and validation_ce (G, epochs); weights: state dict of (G, ...)
    tensors at the best epoch, on the CPU: chunks that are done leave the device's memory.
    dropped_epoch (G,): after which a race dropped it, else 0. state: of students that may go on,
    what `State.take` goes on from.
    """

    validation_logits: np.ndarray
    best_epoch: np.ndarray
    failed_epoch: np.ndarray
    dropped_epoch: np.ndarray
    train_loss: np.ndarray
    validation_ce: np.ndarray
    weights: dict
    state: Mapping[str, np.ndarray] = {}

    @property
    def lowest_ce(self):
        """The lowest validation cross-entropy (G,) so far; infinite for those that diverged."""
        lowest = np.fmin.reduce(self.validation_ce, axis=1, initial=np.inf)
        return np.where(self.failed_epoch > 0, np.inf, lowest)

    def arrays(self):
        """All of it as arrays by name."""
        arrays = {name: getattr(self, name) for name in RESULTS}
        arrays |= {f"weights/{name}": tensor.cpu().numpy() for name, tensor in self.weights.items()}
        return arrays | {f"state/{name}": array for name, array in self.state.items()}

    @classmethod
    def of(cls, arrays):
        """The students whose `arrays` these are."""
        parts: dict[str, Any] = {"weights": {}, "state": {}}
        for name, array in arrays.items():
            kind, _, own = name.partition("/")
            if own:
                parts[kind][own] = torch.from_numpy(array) if kind == "weights" else array
        return cls(**{name: arrays[name] for name in RESULTS} | parts)

    @classmethod
    def together(cls, rows):
        """The students (students, row), of one chunk or several, without their state."""
        stacked = {name: np.stack([getattr(of, name)[row] for of, row in rows]) for name in RESULTS}
        names = rows[0][0].weights
        weights = {name: torch.stack([of.weights[name][row] for of, row in rows]) for name in names}
        return cls.of(stacked)._replace(weights=weights)


RESULTS = Students._fields[:-2]


class Training:
    """G students of `network` while they train, those of each group's method in order.

    `title` names the job in progress bar and log. cuda_graphs: see `step.Graphed`.
    """

    def __init__(
        self,
        network: Network,
        cell: CellData,
        groups: Sequence[Group],
        recipe: Recipe,
        seed: int,
        title: str,
        cuda_graphs: bool = False,
    ):
        self.network = network = network.to(cell.device, cell.dtype)
        self.cell, self.recipe, self.title = cell, recipe, title
        labels = torch.nn.functional.one_hot(cell.validation_labels, cell.classes)
        self.onehot = labels.to(cell.dtype)
        self.generators = {
            name: torch.Generator().manual_seed(stream(seed, of)) for name, of in STREAMS.items()
        }
        optimizer = make_optimizer(recipe, network.parameters())
        self.plain = Step(network, cell, groups, optimizer, recipe.epochs)
        self.step = Graphed(self.plain) if cuda_graphs else self.plain
        self.weights = network.state_dict()  # the weights themselves, which change in place
        self.best = {name: tensor.clone() for name, tensor in self.weights.items()}
        students, curve = network.students, (network.students, recipe.epochs)
        self.best_ce, self.best_epoch = np.full(students, np.inf), np.zeros(students, np.int64)
        self.failed_epoch, self.active = np.zeros(students, np.int64), np.ones(students, bool)
        self.train_loss, self.validation_ce = np.full(curve, np.nan), np.full(curve, np.nan)
        names = "best_ce", "best_epoch", "failed_epoch", "active", "train_loss", "validation_ce"
        records = {name: getattr(self, name) for name in names}
        tensors = {f"weights/{name}": tensor for name, tensor in self.weights.items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        tensors |= optimizer.tensors()
        self.state = State(title, tensors, records, self.generators, self.plain.learners)

    def run(self, begun: int, until: int, checkpoint: Checkpoint | None) -> None:
        """Train from the epoch `begun` on until so many are done, or no student is left.

        checkpoint: what to keep, if anything.
        """
        told = {"desc": self.title, "unit": "epoch", "leave": False, "disable": None}
        for epoch in tqdm(range(begun, until), **told, initial=begun, total=until):
            self.network.train()
            self.step.start(epoch, self.recipe.rate(epoch))
            for batch in self.cell.batches(self.recipe.batch_size, *self.generators.values()):
                self.network.draw_coins(self.generators["batches"])
                self.step(*batch)
            self.validate(epoch)
            left = self.active.sum()
            if (epoch + 1) % max(1, self.recipe.epochs // 10) == 0 or not left:
                said = "%s: epoch %d, %d students, best validation cross-entropy %.4f"
                log.info(said, self.title, epoch + 1, left, self.best_ce.min())
            if not left:
                break
            if checkpoint:
                checkpoint.keep(self.state, epoch + 1)

    def validate(self, epoch: int) -> None:
        """Note what the 0-based epoch has made of the students that train, and which of them stop.

        A student whose loss stops being finite is marked as failed; the others go on undisturbed.
        """
        ce = cross_entropy(predict(self.network, self.cell.validation), self.onehot)
        losses = torch.stack([self.plain.total / len(self.cell.train), ce]).double().cpu().numpy()
        active = self.active  # in place: it is part of the state
        for history, now in zip((self.train_loss, self.validation_ce), losses):
            history[active, epoch] = now[active]
        self.failed_epoch[active & ~np.isfinite(losses.sum(0))] = epoch + 1
        active &= self.failed_epoch == 0
        improved = active & (losses[1] < self.best_ce)
        self.best_ce[improved], self.best_epoch[improved] = losses[1][improved], epoch + 1
        if improved.any():
            rows = torch.as_tensor(np.flatnonzero(improved), device=self.cell.device)
            for name, tensor in self.best.items():
                tensor[rows] = self.weights[name][rows]
        if self.recipe.patience is not None:
            active &= epoch + 1 - self.best_epoch < self.recipe.patience

    def results(self, go_on: bool) -> Students:
        """The students, with their state where they may `go_on`. This ends the training."""
        state = self.state.arrays() if go_on else {}
        state = {name: array.copy() for name, array in state.items()}  # weights change in place
        self.network.load_state_dict(self.best)
        return Students(
            predict(self.network, self.cell.validation).cpu().numpy(),
            self.best_epoch,
            self.failed_epoch,
            np.zeros_like(self.failed_epoch),
            self.train_loss,
            self.validation_ce,
            {name: tensor.cpu() for name, tensor in self.best.items()},
            state,
        )


def train(
    network: Network,
    cell: CellData,
    groups: Sequence[Group],
    recipe: Recipe,
    seed: int,
    title: str,
    checkpoint: Checkpoint | None = None,
    cuda_graphs: bool = False,
    after: int = 0,
    until: int | None = None,
    before: Sequence[tuple[Mapping, int]] = (),
) -> Students:
    """Train the G students of `network`; returns `Students`. For the arguments see `Training`.

    checkpoint: where to go on from and what to keep, if anything. before: what the students are
    `after` so many epochs, see `State.take`; until: after which epoch they may go on elsewhere.
    """
    training = Training(network, cell, groups, recipe, seed, title, cuda_graphs)
    if before:
        training.state.take(before)
    done = checkpoint.resume(training.state) if checkpoint else 0
    training.run(max(done, after), until or recipe.epochs, checkpoint)
    return training.results(until is not None)


Learner = tuple[Group, Mapping]  # a student before it trains: its group, and its point there
Row = tuple[Students, int]


class Chunks:
    """Trains lists of students, up to `at_once` in one network; see `train_chunks`."""

    def __init__(
        self,
        at_once: int,
        build: Callable[[int], Network],
        learn: Callable[..., Students],
        title: str,
        checkpoints: Checkpoints,
    ):
        self.at_once, self.build, self.learn = at_once, build, learn
        self.title, self.checkpoints = title, checkpoints

    def train(
        self,
        students: Sequence[Learner],
        before: Sequence[tuple[Mapping, int]] = (),
        after: int = 0,
        until: int | None = None,
    ) -> list[Students]:
        """Train them from what they were `before`, `after` an epoch, `until` another: by chunk."""
        results: list[Students] = []
        start, total = 0, len(students)
        stage = f" after epoch {after}" if after else ""
        while start < total:
            alike = [bool(g.transform) == bool(students[start][0].transform) for g, _ in students]
            run = (alike[start:] + [False]).index(False)
            size = math.ceil(run / math.ceil(run / self.at_once))
            name = f"{self.title}{stage} {start + 1}-{start + size}/{total}"
            checkpoint = self.checkpoints.chunk(start, size, after)
            kept = checkpoint.finished()
            if saved := kept is not None:
                log.info("%s: finished before", name)
                trained = Students.of(kept)
            else:
                by_group = itertools.groupby(
                    students[start : start + size], lambda student: id(student[0])
                )
                chunk = [list(of_group) for _, of_group in by_group]
                groups = [c[0][0]._replace(points=[point for _, point in c]) for c in chunk]
                told = {"groups": groups, "title": name, "checkpoint": checkpoint}
                told |= {"after": after, "until": until, "before": before[start : start + size]}
                try:
                    trained = self.learn(self.build(size), **told)
                except torch.OutOfMemoryError:
                    self.halve(size, name)
                    continue
                if self.checkpoints.all_chunks or until or start + size < total:
                    saved = checkpoint.save(trained.arrays(), finished=True)
            if saved:
                trained = trained._replace(state=Kept(checkpoint.path, trained.state))
            results.append(trained)
            start += size
        return results

    def halve(self, size: int, name: str) -> None:
        """Let half of `size` students train at once from now on; UserError if it is one."""
        if size == 1:
            raise UserError(
                f"{name}: one student does not fit into the device's memory; "
                "use a smaller network or batch"
            ) from None
        self.at_once = math.ceil(size / 2)
        log.warning("%s: out of device memory; %d students at once go on", name, self.at_once)
        torch.cuda.empty_cache()


def train_chunks(
    students: Sequence[Group],
    at_once: int,
    build: Callable[[int], Network],
    learn: Callable[..., Students],
    title: str,
    checkpoints: Checkpoints,
    races: Sequence[tuple[int, float]] = (),
    spared: Collection[Hashable] = (),
) -> list[Students]:
    """Train the students of all groups, up to `at_once` in one network; returns them by chunk.

    build(students) makes a network; learn(network, groups=, title=, checkpoint=, after=, until=,
    before=) is `train`, told the rest. The chunks are about the same size. Students with a
    transform see inputs of their own and have networks apart from the others. Where the device's
    memory does not suffice for one, half of it goes on, which is slower. races: after which epochs
    the students of each race are compared, and the share that goes on, those of all chunks put
    together into new ones; of races that are `spared` all go on.
    """
    chunks = Chunks(at_once, build, learn, title, checkpoints)
    everyone = [(group, point) for group in students for point in group.points]
    ends = [*(epoch for epoch, _ in races), None]
    first = chunks.train(everyone, until=ends[0])
    if not races:
        return first
    rows, dropped = rows_of(first), np.zeros(len(everyone), np.int64)
    of_race: list[Hashable] = [race_of(group.method, point) for group, point in everyone]
    # One that is spared races against nobody.
    of_race = [i if race in spared else race for i, race in enumerate(of_race)]
    ce, active = np.full(len(everyone), np.inf), np.zeros(len(everyone), bool)
    racing = going = list(range(len(everyone)))
    trained = first
    for (epoch, share), until in zip(races, ends[1:]):
        ce[going] = [lowest for chunk in trained for lowest in chunk.lowest_ce]
        active[going] = [own for chunk in trained for own in chunk.state["record/active"]]
        kept = [
            racing[n] for n in survivors([of_race[i] for i in racing], ce[racing].tolist(), share)
        ]
        dropped[[i for i in racing if i not in kept]] = epoch
        going = [i for i in kept if active[i]]
        log.info("%s: after epoch %d %d of %d go on", title, epoch, len(kept), len(racing))
        before = [(rows[i][0].state, rows[i][1]) for i in going]
        trained = chunks.train([everyone[i] for i in going], before, epoch, until)
        for i, row in zip(going, rows_of(trained), strict=True):
            rows[i] = row
        racing = kept
    ends_at = list(itertools.accumulate(len(chunk.best_epoch) for chunk in first))
    results = [Students.together(rows[a:b]) for a, b in itertools.pairwise([0, *ends_at])]
    failed = np.concatenate([chunk.failed_epoch for chunk in results])
    marks = np.split(np.where(failed > 0, 0, dropped), ends_at[:-1])
    return [chunk._replace(dropped_epoch=own) for chunk, own in zip(results, marks)]


def rows_of(chunks: Sequence[Students]) -> list[Row]:
    """All students of some chunks, each with its place."""
    return [(chunk, row) for chunk in chunks for row in range(len(chunk.best_epoch))]
