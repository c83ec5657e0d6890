"""What a job is told: small frozen records that the plan builds, and that hold no path.

They are parameters of rules: whatever decides a result is in them, and a change of one reruns the
job. Snakemake compares tuples and lists by their text and leaves other objects out: what a rule is
given is a tuple, and a dataclass lies in one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from ils.plan.grids import kept


@dataclass(frozen=True)
class Cell:
    """What is trained once for each method: a network on a dataset, by a seed.

    teacher: the network of another cell, of the same dataset and seed, that teaches this one; None:
    its own.
    """

    dataset: str
    network: str
    seed: int
    teacher: str | None = None

    @property
    def name(self) -> str:
        """Under which files hold the cell's arrays."""
        return f"{self.dataset}/{self.network}/seed{self.seed}"

    @property
    def split(self) -> str:
        """Under which a batch's file of splits holds the cell's."""
        return f"{self.dataset}/seed{self.seed}"

    @property
    def title(self) -> str:
        """The cell in words, for logs and messages."""
        words = f"{self.dataset} {self.network} seed {self.seed}"
        return f"{words} taught by {self.teacher}" if self.teacher else words

    @property
    def teachers(self) -> "Cell":
        """The cell whose students teach this one's."""
        return Cell(self.dataset, self.teacher or self.network, self.seed)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: one entry of the config's `recipes`.

    `learning_rate` is multiplied by `decay` after each epoch listed in `milestones`; a student
    whose validation cross-entropy has not improved for `patience` epochs stops (None: never).
    halving: {epochs: [...], keep: [...], above: n}, after which epochs the students of a race are
    compared and what share of them goes on; up to n all go on (None: all are trained to the end).
    """

    optimizer: str
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    milestones: list[int]
    decay: float
    batch_size: int
    epochs: int
    patience: int | None
    halving: dict[str, Any] | None = None

    @property
    def races(self) -> list[tuple[int, float]]:
        """After which epochs students are compared, and the share that goes on then."""
        return list(zip(self.halving["epochs"], self.halving["keep"])) if self.halving else []

    def spares(self, entrants: int) -> bool:
        """Whether a race of so many students, in all shards, is too small to drop any."""
        return entrants <= (self.halving or {}).get("above", 0)

    def stages(self, racing: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
        """For how many epochs how many students train, one stage after the other.

        racing: of each race in a shard its students there, and those in all shards.
        """
        spared = sum(students for students, entrants in racing if self.spares(entrants))
        left = [students for students, entrants in racing if not self.spares(entrants)]
        stages, begun = [], 0
        for epoch, share in [*self.races, (self.epochs, 1)]:
            stages.append((epoch - begun, spared + sum(left)))
            begun, left = epoch, [kept(students, share) for students in left]
        return stages

    def rate(self, epoch: int) -> float:
        """The learning rate of the 0-based `epoch`."""
        return self.learning_rate * self.decay ** sum(m <= epoch for m in self.milestones)


@dataclass(frozen=True)
class Architecture:
    """A network's entry: its family and options, and per kind of device how it is computed.

    precision: {"cpu": ..., "cuda": ...}; cuda_graphs: 0 or 1; code: the fingerprint of its code.
    """

    family: str
    options: dict[str, Any]
    precision: dict[str, str]
    cuda_graphs: int
    code: str


@dataclass(frozen=True)
class CellPlan:
    """A cell as jobs that run its network are told of it; `device` is cpu, cuda or auto."""

    cell: Cell
    device: str
    augmentation: dict[str, Any]
    architecture: Architecture


@dataclass(frozen=True)
class Method:
    """What the students of a method learn: a target function, the options of what it looks at, its
    code's fingerprint, and what is searched.

    grid: {hyperparameter: values}; inherited: {hyperparameter: the method whose selected student
    sets it}; transform: the function that changes the mini-batch before, if any, whose fingerprint
    is part of the code's.
    """

    name: str
    targets: str
    inputs: dict[str, dict[str, Any]]
    code: str
    grid: dict[str, list]
    inherited: dict[str, str]
    transform: str | None = None


class Training(NamedTuple):
    """What decides the students of a round in a batch of cells, beside the shard and the input
    files.

    recipes: of each cell; the grids of all `methods`, one after the other, are shared out among so
    many `shards`. teacher: the method whose fitted temperature is T*.
    """

    cells: tuple[CellPlan, ...]
    recipes: tuple[Recipe, ...]
    methods: tuple[Method, ...]
    shards: int
    teacher: str


UNCALIBRATED = "none"  # stands where a calibrator's name may, for a student as trained


@dataclass(frozen=True)
class Calibrator:
    """A calibrator by its name in the config: a function and its options, and the fingerprint of
    its code."""

    name: str
    fit: str
    options: dict[str, Any]
    code: str


@dataclass(frozen=True)
class Column:
    """A column of Table III: how a method's student is selected, among the points that match
    `among`, and calibrated.

    calibrator: its name, or UNCALIBRATED; reading: "selected" as trained and then calibrated, or
    "joint", by what it is once calibrated.
    """

    column: str
    method: str
    calibrator: str = UNCALIBRATED
    reading: str = "selected"
    among: dict[str, Any] | None = None


@dataclass(frozen=True)
class Searched:
    """A column whose method, by its label, is searched with ever more trainings.

    points: how many students its grid has; first: how many others must be trained before, of its
    teacher and of methods that it inherits from; control: whether it is no column of Table III.
    halved: where its students race, what they cost together, in trainings of all epochs; nothing is
    known of a search of fewer then. None: each is trained to the end.
    """

    column: str
    method: str
    calibrator: str
    reading: str
    points: int
    first: float
    control: bool
    halved: float | None = None

    @property
    def trainings(self) -> float:
        """What the whole search costs."""
        return self.cost(self.points)

    def cost(self, drawn: int) -> float:
        """What a search of so many points costs; of a halved one of all of them."""
        return self.first + (drawn if self.halved is None else self.halved)

    def drawn(self, trainings: float) -> int | None:
        """Of how many points a search costs precisely so many trainings; None if of no number."""
        points = self.points if self.halved is not None else trainings - self.first
        fits = 1 <= points <= self.points and self.cost(int(points)) == trainings
        return int(points) if fits else None


class Matched(NamedTuple):
    """Two columns and the largest number of trainings that both searches can spend."""

    better: Searched
    worse: Searched
    trainings: float


class Evaluation(NamedTuple):
    """What `evaluate` is told of a batch: its cells, and of each column whose students it selects
    among.

    shards: {round: the number of its shards}, in the order of the input files; rounds: {method: the
    round that trains it}; metrics: the names of those that all students are tested by. calibrators:
    what columns name; scalings: the names of those that calibrate all students of all grids,
    UNCALIBRATED first.
    """

    cells: tuple[Cell, ...]
    columns: tuple[Column, ...]
    shards: dict[str, int]
    rounds: dict[str, str]
    metrics: tuple[str, ...]
    calibrators: tuple[Calibrator, ...] = ()
    scalings: tuple[str, ...] = (UNCALIBRATED,)
