"""The cells of a study, the batches that train them, and who learns from whom.

Where it answers with a list of mappings such as [{"batch": ..., "method": ..., "shard": 0}],
these are wildcards: a rule puts each into the pattern of a path.
"""

import functools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from ils.errors import UserError
from ils.plan.entries import (
    DISTILLED,
    ROUND,
    Config,
    by_name,
    columns,
    distilled_method,
    functions_of,
    needed_by,
    ordered,
    pairs_of,
    teaching_methods,
)
from ils.plan.grids import count_points, grid_points, race_of, shares, with_restarts
from ils.plan.plugins import plugins
from ils.plan.records import Cell, Recipe

Wildcards = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Cells that one job trains, one after another, and how they are used.

    kind: "compared" cells are in Table III, those that are only "teaching" train what the
    distillation needs, and the "distilled" ones are its students.
    """

    name: str
    cells: tuple[Cell, ...]
    kind: str


class Study:
    """The cells of a config, the batches that train them, and who learns from whom."""

    def __init__(self, config: Config):
        self.config = config = ordered(config)
        self.datasets = by_name(config, "datasets")
        self.networks = by_name(config, "networks")
        self.recipes = by_name(config, "recipes")
        self.methods = by_name(config, "methods")
        self.teacher = config["teacher"]
        self.seeds = config["seeds"]
        self.columns = columns(config)
        self.distillation = config["distillation"]
        self.distilled = distilled_method(config) if self.distillation else None
        self._entries = pairs_of(config)
        self.batches = {batch.name: batch for batch in self._batches()}
        self._batch_of = {c: batch.name for batch in self.batches.values() for c in batch.cells}

    # ------------------------------------------------------------------------------------------

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The (dataset, network) pairs that are compared."""
        return [(e["dataset"], e["network"]) for e in self.config["experiments"]]

    @functools.cached_property
    def compared(self) -> list[Cell]:
        """The cells of Table III."""
        return [cell for cells in self.cells_of_pairs for cell in cells]

    @functools.cached_property
    def taught(self) -> list[Cell]:
        """The cells of distillation's students."""
        pairs, seeds = (
            (self.distillation[k] for k in ("pairs", "seeds")) if self.distillation else ((), ())
        )
        return [
            Cell(p["dataset"], p["student"], seed, p["network"]) for p in pairs for seed in seeds
        ]

    def entry(self, cell: Cell) -> dict[str, Any]:
        """The config's entry of a cell's pair; of a distilled one's teachers."""
        return self._entries[cell.dataset, cell.teacher or cell.network]

    def recipe_name(self, cell: Cell) -> str:
        """By which of the config's recipes a cell is trained."""
        return self.entry(cell)["student_recipe" if cell.teacher else "recipe"]

    @functools.cache
    def recipe(self, cell: Cell) -> Recipe:
        """How a cell's network is trained; renaming a recipe retrains nothing."""
        entry = self.recipes[self.recipe_name(cell)]
        return Recipe(**{key: value for key, value in entry.items() if key != "name"})

    def students_per_job(self, cell: Cell) -> float:
        """How many students one job trains: as many as fit into `hours_per_job`; without `hours` a
        whole grid."""
        entry = self.entry(cell)
        if "hours" not in entry:
            return math.inf
        return math.floor(min(self.config["hours_per_job"] / entry["hours"], 1e9) + 1e-9)

    def _batches(self) -> Iterator[Batch]:
        """Cells of one seed and as many students per job share a batch, `cells_per_job` of them.

        A name depends on its own cells alone, so that one more pair or seed renames, and retrains,
        none of the others.
        """
        compared, names = set(self.compared), set[str]()
        groups: dict[tuple, list[Cell]] = {}
        teaching = dict.fromkeys(cell.teachers for cell in self.taught)
        for cell in (*self.compared, *(cell for cell in teaching if cell not in compared)):
            kind = "compared" if cell in compared else "teaching"
            groups.setdefault((cell.seed, self.students_per_job(cell), kind), []).append(cell)
        batches = []
        for (seed, _, kind), cells in groups.items():
            for start in range(0, len(cells), self.config["cells_per_job"]):
                first, *more = batch = cells[start : start + self.config["cells_per_job"]]
                others = f"_and_{len(more)}_more" if more else ""
                batches.append((f"{first.dataset}_{first.network}{others}_seed{seed}", batch, kind))
        for pair in dict.fromkeys((c.dataset, c.network, c.teacher) for c in self.taught):
            batch = [c for c in self.taught if (c.dataset, c.network, c.teacher) == pair]
            batches.append((f"{pair[0]}_{pair[2]}_{DISTILLED}", batch, DISTILLED))
        for name, batch, kind in batches:
            if name in names:
                raise UserError(
                    f"config: two batches of cells would be called {name}; rename a network"
                )
            names.add(name)
            yield Batch(name, tuple(batch), kind)

    def batches_of(self, *kinds: str) -> list[Wildcards]:
        """The wildcards of the batches of some kinds."""
        return [{"batch": b.name} for b in self.batches.values() if b.kind in kinds]

    def batch_of(self, cell: Cell) -> str:
        """The name of the batch that holds a cell's arrays."""
        return self._batch_of[cell]

    def predicted(self, cells: list[Cell]) -> list[Wildcards]:
        """The wildcards of the batches that hold the predictions of these cells, one each."""
        return [{"batch": self._batch_of[cell]} for cell in cells]

    @functools.cached_property
    def cells_of_pairs(self) -> list[list[Cell]]:
        """The compared cells of each pair, a cell a seed; a pair may have the first few only."""
        entries = zip(self.pairs, self.config["experiments"], strict=True)
        return [
            [Cell(*pair, seed) for seed in self.seeds[: entry.get("seeds")]]
            for pair, entry in entries
        ]

    @property
    def drawn_pairs(self) -> list[list[Cell]]:
        """The cells of the pairs that have figures of their own: the first few, or all."""
        return self.cells_of_pairs[: self.config["drawn_pairs"]]

    @property
    def seeds_in_words(self) -> str:
        """How many seeds a pair has: "1 seed", "2 seeds", "2 to 5 seeds"."""
        counts = {len(cells) for cells in self.cells_of_pairs}
        fewest, most = min(counts), max(counts)
        words = f"{fewest} to {most}" if fewest < most else str(most)
        return f"{words} seed" + "s" * (most > 1)

    def cells_of(self, batch: str) -> tuple[Cell, ...]:
        """The cells of a batch."""
        return self.batches[batch].cells

    def cells(self, batch: str) -> list[Wildcards]:
        """The wildcards {dataset, network, seed} of a batch's cells."""
        return [asdict(cell) for cell in self.batches[batch].cells]

    def title(self, batch: str) -> str:
        """The cells of a batch in a few words."""
        cells = self.cells_of(batch)
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        return cells[0].title + more

    # ---------------------------------------------------------------------------------------

    @functools.cached_property
    def _teaching_methods(self) -> set[str]:
        return teaching_methods(self.config)

    def methods_of(self, batch: str) -> list[str]:
        """The methods that are trained in a batch."""
        kind = self.batches[batch].kind
        if kind == DISTILLED:
            return [DISTILLED]
        return [m for m in self.methods if kind == "compared" or m in self._teaching_methods]

    def method(self, name: str) -> dict[str, Any]:
        """A method's entry."""
        return self.distilled if name == DISTILLED and self.distilled else self.methods[name]

    def grid(self, batch: str, method: str) -> dict[str, list]:
        """The grid of a method in a batch, restarts included: cells that only teach may have grids
        of their own. Options of what it looks at vary slower than its hyperparameters."""
        entry = self.method(method)
        grid = entry["grid"]
        if self.batches[batch].kind == "teaching":
            grid = self.distillation.get("grids", {}).get(method, grid)
        functions = functions_of(entry)
        own = {name for key, _, plugin in functions if key == "inputs" for name in plugin.options}
        grid = dict(sorted(grid.items(), key=lambda item: item[0] not in own))
        return with_restarts(grid, entry.get("restarts", 1))

    def _inputs(self, method: str) -> tuple[str, ...]:
        return plugins("method")[self.method(method)["targets"]].inputs

    def _taught(self, method: str) -> bool:
        return any("teacher" in name for name in self._inputs(method))

    def teacher_of(self, method: str) -> str:
        """The method whose soft targets, and T*, a method's students look at: the first, if
        several teach."""
        return self.distillation["teachers"][0] if method == DISTILLED else self.teacher

    def _known(self, method: str) -> set[str]:
        """Whose selected students, or their temperatures, a method's students must know."""
        sources = set(self.method(method).get("inherit", {}).values())
        if "teacher_temperature" in self._inputs(method):
            sources.add(self.teacher_of(method))
        return sources

    # ---- rounds
    # -----------------------------------------------------------------------------------------

    @functools.cache
    def round_of(self, method: str) -> str:
        """The name of the round that trains a method: the first, or one after all that it needs.

        Where each method trains by itself it is a round of its own.
        """
        if self.config["trained_together"] == "method" or method == DISTILLED:
            return method
        needed = needed_by(self.config, [method])
        earlier = (int(self.round_of(source).removeprefix(ROUND)) for source in needed)
        return f"{ROUND}{1 + max(earlier, default=0)}"

    def rounds(self, batch: str) -> dict[str, list[str]]:
        """The rounds of a batch: {name: the methods that it trains}."""
        methods: dict[str, list[str]] = {}
        for method in self.methods_of(batch):
            methods.setdefault(self.round_of(method), []).append(method)
        return methods

    def students(self, batch: str, round: str) -> int:
        """How many students a round trains in each cell."""
        return sum(count_points(self.grid(batch, m)) for m in self.rounds(batch)[round])

    def shards(self, batch: str, round: str) -> list[Wildcards]:
        """The wildcards of the jobs that train a round in a batch."""
        per_job = math.inf if round == DISTILLED else self.students_per_job(self.cells_of(batch)[0])
        count = max(1, math.ceil(self.students(batch, round) / per_job))
        return [{"batch": batch, "round": round, "shard": shard} for shard in range(count)]

    def races(self, batch: str, round: str) -> list[dict[Any, tuple[int, int]]]:
        """Of each shard of a round the races, see `grids.race_of`: how many students of each it
        has, and how many all shards have."""
        grids = ((method, self.grid(batch, method)) for method in self.rounds(batch)[round])
        students = [race_of(method, point) for method, grid in grids for point in grid_points(grid)]
        entrants = Counter(students)
        of_shards = [Counter(share) for share in shares(students, len(self.shards(batch, round)))]
        return [{race: (n, entrants[race]) for race, n in of.items()} for of in of_shards]

    def spent(self, method: str) -> float:
        """What a method's students cost in a compared cell, on average over these: in trainings of
        all epochs, and so as many as there are where none is dropped."""
        costs = []
        for cell in self.compared:
            batch, recipe = self.batch_of(cell), self.recipe(cell)
            for races in self.races(batch, self.round_of(method)):
                racing = [counts for (name, _), counts in races.items() if name == method]
                epochs = sum(epochs * students for epochs, students in recipe.stages(racing))
                costs.append(Fraction(epochs, recipe.epochs))
        mean = sum(costs, Fraction()) / len(self.compared)
        return int(mean) if mean.denominator == 1 else float(mean)

    def trainings(self, *kinds: str) -> list[dict[str, Any]]:
        """List the jobs that train batches of some kinds: {batch, round, shard, students, methods,
        racing}, so many students, of so many methods, in each cell, and `races` of them."""
        jobs = []
        for batch in (name for name, batch in self.batches.items() if batch.kind in kinds):
            for round in self.rounds(batch):
                of_shards = zip(self.shards(batch, round), self.races(batch, round), strict=True)
                for shard, races in of_shards:
                    racing = tuple(races.values())
                    students = sum(own for own, _ in racing)
                    methods = len({method for method, _ in races})
                    counts = {"students": students, "methods": methods, "racing": racing}
                    jobs.append(shard | counts)
        return jobs

    def shards_of(self, batch: str, method: str) -> list[Wildcards]:
        """Those of the jobs that train a method, among others or by itself."""
        return self.shards(batch, self.round_of(method))

    def all_shards(self, batch: str) -> list[Wildcards]:
        """Those of all rounds of a batch."""
        return [shard for round in self.rounds(batch) for shard in self.shards(batch, round)]

    # ---- who learns from whom
    # ---------------------------------------------------------------------------

    def teachers(self, batch: str, round: str) -> list[Wildcards]:
        """Whose soft targets the students of a round look at: {batch, method} of each, cell by cell
        of a distillation."""
        if round == DISTILLED:
            sources = [self.batch_of(cell.teachers) for cell in self.cells_of(batch)]
            teachers = self.distillation["teachers"]
            return [{"batch": source, "method": t} for source in sources for t in teachers]
        taught = any(map(self._taught, self.rounds(batch)[round]))
        return [{"batch": batch, "method": self.teacher}] if taught else []

    def fits(self, batch: str, round: str) -> list[Wildcards]:
        """The rounds that train those whom they must know: {batch, round} of each."""
        sources = [batch]
        if round == DISTILLED:
            sources = [self.batch_of(cell.teachers) for cell in self.cells_of(batch)]
        known = [m for method in self.rounds(batch)[round] for m in sorted(self._known(method))]
        rounds = dict.fromkeys((source, self.round_of(m)) for source in sources for m in known)
        return [{"batch": source, "round": name} for source, name in rounds]

    def fitted(self, batch: str, round: str) -> list[str]:
        """The methods of a round whose selected students others must know."""
        names = [*self.methods, *([DISTILLED] if self.distillation else [])]
        known = set().union(*map(self._known, names))
        return [method for method in self.rounds(batch)[round] if method in known]
