"""What the config makes of the workflow: which jobs there are, what each is told, what it needs.

The plan knows names, the rules know files: where it answers with a list of mappings such as [{"batch": ..., "method": ...,
"shard": ...}], a rule puts each into the pattern of a path. It opens no file but the schema and needs neither Snakemake,
torch nor NumPy.
"""

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ils.errors import UserError
from ils.plan import checks
from ils.plan.entries import (
    DISTILLED,
    Config,
    by_name,
    columns,
    distilled_method,
    ordered,
    pairs_of,
    teaching_methods,
)
from ils.plan.grids import count_points, count_shards, shard_sizes
from ils.plan.plugins import fingerprint, plugins
from ils.plan.records import (
    Architecture,
    Cell,
    CellPlan,
    Column,
    Evaluation,
    Recipe,
    Targets,
    Training,
)
from ils.plan.synthetic import SyntheticPlan

SCHEMA = Path(__file__).parents[3] / "workflow/schemas/config.schema.yaml"
FIRST = 100  # the priority of what others wait for; training has that of its students
PRECISION = {"cpu": "float32", "cuda": "tf32"}  # unless a network's entry says otherwise

Wildcards = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Cells that one job trains, one after another, and how they are used.

    kind: "compared" cells are in Table III, those that are only "teaching" train what the distillation needs, and the
    "distilled" ones are its students.
    """

    name: str
    cells: tuple[Cell, ...]
    kind: str


class Plan:
    """All that rules, the forecast and the summary ask about a config."""

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
        self.synthetic = SyntheticPlan(config["synthetic"]) if config["synthetic"] else None
        self._entries = pairs_of(config)
        self.batches = {batch.name: batch for batch in self._batches()}
        self._batch_of = {c: batch.name for batch in self.batches.values() for c in batch.cells}

    @classmethod
    def checked(cls, config: Config) -> "Plan":
        """The plan of a config that a user wrote; UserError unless the workflow can run it to its last job."""
        import yaml

        checks.check(config, yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
        return cls(config)

    # ---- cells and batches ------------------------------------------------------------------------------------------

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The (dataset, network) pairs that are compared."""
        return [(e["dataset"], e["network"]) for e in self.config["experiments"]]

    @functools.cached_property
    def compared(self) -> list[Cell]:
        """The cells of Table III."""
        return [Cell(*pair, seed) for pair in self.pairs for seed in self.seeds]

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

    def students_per_job(self, cell: Cell) -> float:
        """How many students one job trains: as many as fit into `hours_per_job`; without `hours` a whole grid."""
        entry = self.entry(cell)
        if "hours" not in entry:
            return math.inf
        return math.floor(min(self.config["hours_per_job"] / entry["hours"], 1e9) + 1e-9)

    def _batches(self) -> Iterator[Batch]:
        """Cells of one seed and as many students per job share a batch, `cells_per_job` of them.

        A name depends on its own cells alone, so that one more pair or seed renames, and retrains, none of the others.
        """
        compared, groups, names = set(self.compared), {}, set()
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
        for first in dict.fromkeys((c.dataset, c.network, c.teacher) for c in self.taught):
            batch = [c for c in self.taught if (c.dataset, c.network, c.teacher) == first]
            batches.append((f"{first[0]}_{first[2]}_{DISTILLED}", batch, DISTILLED))
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
        """The compared cells of each pair, a cell a seed."""
        return [[Cell(*pair, seed) for seed in self.seeds] for pair in self.pairs]

    def cells(self, batch: str) -> list[Wildcards]:
        """The wildcards {dataset, network, seed} of a batch's cells."""
        return [asdict(cell) for cell in self.batches[batch].cells]

    def title(self, batch: str) -> str:
        """The cells of a batch in a few words."""
        cells = self.batches[batch].cells
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        return cells[0].title + more

    # ---- who learns from whom ---------------------------------------------------------------------------------------

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
        """The grid of a method in a batch: cells that only teach may have grids of their own."""
        if self.batches[batch].kind == "teaching":
            return self.distillation.get("grids", {}).get(method, self.methods[method]["grid"])
        return self.method(method)["grid"]

    def shards(self, batch: str, method: str) -> list[Wildcards]:
        """The wildcards of the jobs that train a method's grid in a batch."""
        if method == DISTILLED:
            count = 1
        else:
            per_job = self.students_per_job(self.batches[batch].cells[0])
            count = count_shards(self.grid(batch, method), per_job)
        return [{"batch": batch, "method": method, "shard": shard} for shard in range(count)]

    def all_shards(self, batch: str) -> list[Wildcards]:
        """Those of all methods of a batch."""
        return [shard for method in self.methods_of(batch) for shard in self.shards(batch, method)]

    def _inputs(self, method: str) -> tuple[str, ...]:
        return plugins("method")[self.method(method)["targets"]].inputs

    def teachers(self, batch: str, method: str) -> list[Wildcards]:
        """Whose soft targets a method's students look at: {batch, method} of each, cell by cell of a distillation."""
        if method == DISTILLED:
            sources = [self.batch_of(cell.teachers) for cell in self.batches[batch].cells]
            teachers = self.distillation["teachers"]
            return [{"batch": source, "method": t} for source in sources for t in teachers]
        needed = any("teacher" in name for name in self._inputs(method))
        return [{"batch": batch, "method": self.teacher}] if needed else []

    def temperatures(self, batch: str, method: str) -> list[Wildcards]:
        """Whose fitted temperatures they look at: the first teachers'."""
        if "teacher_temperature" not in self._inputs(method):
            return []
        teachers = self.teachers(batch, method)
        return [t for t in teachers if t["method"] == teachers[0]["method"]]

    def inherited(self, batch: str, method: str) -> dict[str, Wildcards]:
        """{hyperparameter: the method whose selected student sets it}."""
        sources = self.method(method).get("inherit", {})
        return {name: {"batch": batch, "method": source} for name, source in sources.items()}

    # ---- what a job is told -----------------------------------------------------------------------------------------

    @functools.cache
    def dataset(self, name: str) -> dict[str, Any]:
        """What decides a dataset's file, its source's code included."""
        entry = self.datasets[name]
        kept = {k: entry[k] for k in ("name", "source", "options", "expect") if k in entry}
        return kept | {"code": fingerprint("source", entry["source"])}

    def local_files(self, name: str) -> list[str]:
        """Texts among a dataset's options, which may name files: a newer one is prepared again."""
        return [v for v in self.datasets[name]["options"].values() if isinstance(v, str)]

    def split(self, name: str) -> dict[str, Any]:
        """What decides a dataset's splits, beside the seed."""
        entry = self.datasets[name]
        return {k: entry[k] for k in ("name", "test", "validation", "train") if k in entry}

    @functools.cache
    def _cell(self, dataset: str, network: str) -> dict[str, Any]:
        entry = self.networks[network]
        computed = {"precision": PRECISION, "cuda_graphs": 0} | entry
        kept = {k: v for k, v in computed.items() if k not in ("name", "gpu")}
        return {
            "device": self.device_of(network),
            "augmentation": self.datasets[dataset]["augmentation"],
            "architecture": Architecture(**kept, code=fingerprint("network", entry["family"])),
        }

    def cell_plan(self, cell: Cell) -> CellPlan:
        """What jobs that run a cell's network are told."""
        return CellPlan(cell, **self._cell(cell.dataset, cell.network))

    @functools.cache
    def cell_plans(self, batch: str) -> tuple[CellPlan, ...]:
        """The same of all cells of a batch."""
        return tuple(map(self.cell_plan, self.batches[batch].cells))

    def recipe_name(self, cell: Cell) -> str:
        """By which of the config's recipes a cell is trained."""
        return self.entry(cell)["student_recipe" if cell.teacher else "recipe"]

    @functools.cache
    def recipe(self, cell: Cell) -> Recipe:
        """How a cell's network is trained; renaming a recipe retrains nothing."""
        entry = self.recipes[self.recipe_name(cell)]
        return Recipe(**{key: value for key, value in entry.items() if key != "name"})

    @functools.cache
    def training(self, batch: str, method: str) -> Training:
        """What decides the students of a method in a batch."""
        entry = self.method(method)
        function = entry["targets"]
        return Training(
            cells=self.cell_plans(batch),
            recipes=tuple(map(self.recipe, self.batches[batch].cells)),
            targets=Targets(function, entry.get("inputs", {}), fingerprint("method", function)),
            grid=self.grid(batch, method),
            shards=len(self.shards(batch, method)),
        )

    @functools.cache
    def evaluation(self, batch: str) -> Evaluation:
        """What decides a batch's predictions, beside the temperature's bounds."""
        table = tuple(Column(**column) for column in self.columns)
        if self.batches[batch].kind == DISTILLED:
            teachers = enumerate(self.distillation["teachers"])
            table = tuple(Column(t, DISTILLED, "none", {"teacher": n}) for n, t in teachers)
        shards = {m: len(self.shards(batch, m)) for m in self.methods_of(batch)}
        return Evaluation(self.batches[batch].cells, table, shards)

    # ---- what a job needs -------------------------------------------------------------------------------------------

    def device_of(self, network: str) -> str:
        """The `device` of a network's jobs: `auto` takes a GPU only for networks that ask for one."""
        device = self.config["device"]
        return "cpu" if device == "auto" and not self.networks[network].get("gpu") else device

    def gpus(self, *networks: str) -> int:
        """How many GPUs a job on these networks asks for: one if any of them may run there."""
        return int(any(self.device_of(network) != "cpu" for network in networks))

    @functools.cache
    def needs(self, batch: str, method: str | None = None) -> dict[str, int]:
        """What a job on a batch asks a cluster for: {gpu, mem_mb, runtime in minutes}; with a method, to train it.

        runtime: half as much again as the experiments' `hours` say of the students of a shard, and ten minutes to start;
        without `hours`, `hours_per_job`. mem_mb: room for the process, and twice for the dataset and the soft targets
        that it reads or makes, as far as `expect` tells their sizes.
        """
        cells, students, teachers = self.batches[batch].cells, 1, 1
        if method == DISTILLED:
            teachers = len(self.distillation["teachers"])
        elif method:
            students = self.students(batch, method)
        gpu, megabytes = self.gpus(*(cell.network for cell in cells)), 0.0
        each = [self.entry(cell).get("hours") for cell in cells]
        hours = self.config["hours_per_job"] if None in each else students * sum(each)
        for cell in cells:
            entry = self.datasets[cell.dataset]
            if expected := entry.get("expect"):
                augmentation = entry["augmentation"]
                views = (2 * augmentation["pad"] + 1) ** 2 * (1 + augmentation["flip"])
                of_sample = (
                    math.prod(expected["shape"]) + 4 * teachers * views * expected["classes"]
                )
                megabytes = max(megabytes, 2 * expected["samples"] * of_sample / 1e6)
        process = 8000 if gpu else 6000  # four students of a small DenseNet keep 3,600
        runtime = math.ceil(10 + 1.5 * 60 * hours)
        return {"gpu": gpu, "mem_mb": math.ceil(process + megabytes), "runtime": runtime}

    def students(self, batch: str, method: str) -> int:
        """How many students the larger shards of a method's grid train in each cell."""
        shards = len(self.shards(batch, method))
        return -(-count_points(self.grid(batch, method)) // shards)

    @functools.cached_property
    def networks_first(self) -> int:
        """The priority of networks on GPUs over the synthetic study: none stands idle for want of a core."""
        return 1000 * self.gpus(*self.networks)

    @property
    def first(self) -> int:
        """The priority of what others wait for."""
        return self.networks_first + FIRST

    def urgency(self, batch: str, method: str) -> int:
        """The priority of training a method: the teacher first, then the larger the grid the earlier."""
        if method in (self.teacher, DISTILLED):
            return self.first
        return self.networks_first + self.students(batch, method)

    # ---- what is measured before it ----------------------------------------------------------------

    @property
    def unexpected(self) -> list[str]:
        """Datasets that are trained on and whose sizes are not known before they are prepared."""
        names = dict.fromkeys(cell.dataset for cell in (*self.compared, *self.taught))
        return [name for name in names if "expect" not in self.datasets[name]]

    @property
    def measuring(self) -> dict[str, Any]:
        """What the forecast is told."""
        families = (network["family"] for network in self.networks.values())
        config = self.config | {"synthetic": None}
        return {
            "config": config,
            "data": self.unexpected,
            "code": fingerprint("network", *families),
        }

    # ---- the size of the study --------------------------------------------------------------------------------------

    def trainings(self, *kinds: str) -> list[dict[str, Any]]:
        """List the jobs that train batches of some kinds: {batch, method, shard, students}, so many in each cell."""
        jobs = []
        for batch in (name for name, batch in self.batches.items() if batch.kind in kinds):
            for method in self.methods_of(batch):
                shards = self.shards(batch, method)
                sizes = shard_sizes(count_points(self.grid(batch, method)), len(shards))
                jobs += [shard | {"students": n} for shard, n in zip(shards, sizes, strict=True)]
        return jobs

    def summary(self) -> str:
        """The size of the study in one line."""

        def size(kind):
            jobs = self.trainings(kind)
            count = sum(len(self.batches[job["batch"]].cells) * job["students"] for job in jobs)
            return f"{count:,} trainings in {len(jobs):,} jobs"

        text = f"{len(self.pairs)} pairs x {len(self.seeds)} seeds, {len(self.columns)} columns: "
        text += size("compared")
        if self.distillation:
            text += f"; distillation: {size('teaching')} of further teachers, {size(DISTILLED)} of students"
        return text

    @functools.cached_property
    def wildcards(self) -> dict[str, str]:
        """{wildcard: pattern} of nothing but what the config names."""
        methods = [*self.methods, *([DISTILLED] if self.distillation else [])]
        setups = self.synthetic.setups if self.synthetic else []
        named = {
            "dataset": self.datasets,
            "batch": self.batches,
            "method": methods,
            "setup": setups,
        }
        patterns = {name: "|".join(map(re.escape, values)) or "-" for name, values in named.items()}
        numbers = dict.fromkeys(("seed", "shard", "first", "last"), r"\d+")
        return patterns | numbers | {"study": "published/|", "table": "[1256]"}

    def among(self, *methods: str) -> str:
        """The pattern of some methods."""
        return "|".join(map(re.escape, methods)) or "-"

    @property
    def others(self) -> list[str]:
        """The methods that are not the teacher."""
        return [name for name in self.methods if name != self.teacher]
