"""What the config makes of the workflow: which jobs there are, what each is told, what it needs.

The plan knows names, the rules know files. It opens no file but the schema and needs neither
Snakemake, torch nor NumPy.
"""

import functools
import itertools
import math
import re
from pathlib import Path
from typing import Any

from ils.errors import UserError
from ils.plan import checks
from ils.plan.additions import as_written, extended
from ils.plan.entries import DISTILLED, Config, columns, needed_by, used_calibrators
from ils.plan.fingerprints import fingerprint
from ils.plan.grids import count_points
from ils.plan.located import located
from ils.plan.metrics import DERIVED, REQUIRED, Metric, chosen, metrics, shown
from ils.plan.records import (
    UNCALIBRATED,
    Architecture,
    Calibrator,
    Cell,
    CellPlan,
    Column,
    Evaluation,
    Matched,
    Method,
    Searched,
    Training,
)
from ils.plan.study import Study
from ils.plan.synthetic import SyntheticPlan

SCHEMA = Path(__file__).parents[3] / "workflow/schemas/config.schema.yaml"
FIRST = 100  # the priority of what others wait for; training has that of its students
PRECISION = {"cpu": "float32", "cuda": "tf32"}  # unless a network's entry says otherwise


class Plan(Study):
    """All that rules, the forecast and the summary ask about a config."""

    def __init__(self, config: Config):
        super().__init__(config)
        section = self.config["synthetic"]
        self.synthetic = SyntheticPlan(section) if section else None

    @classmethod
    def checked(cls, config: Config) -> "Plan":
        """The plan of a config that a user wrote; UserError unless the workflow can run it to its
        last job."""
        import yaml

        checks.check_keys(config)
        whole = extended(config)
        try:
            checks.check(whole, yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))
        except UserError as error:
            raise UserError(as_written(str(error), config)) from None
        return cls(whole)

    # ---- what a job is told
    # -----------------------------------------------------------------------------------------

    @functools.cache
    def dataset(self, name: str) -> dict[str, Any]:
        """What decides a dataset's file, its source's code included."""
        entry = self.datasets[name]
        kept = {k: entry[k] for k in ("name", "source", "options", "expect") if k in entry}
        return kept | {"code": fingerprint("source", entry["source"])}

    def local_files(self, name: str) -> list[str]:
        """Texts among a dataset's options, which may name files: a newer one is prepared again."""
        options = located(self.datasets[name]["options"])
        return [value for value in options.values() if isinstance(value, str)]

    def split(self, name: str) -> dict[str, Any]:
        """What decides a dataset's splits, beside the seed."""
        entry = self.datasets[name]
        return {k: entry[k] for k in ("name", "test", "validation", "train") if k in entry}

    def splits(self, batch: str) -> list[dict[str, Any]]:
        """What decides each split of a batch: {name: under which its file holds it, seed, dataset}
        by cell, cells of one dataset sharing theirs."""
        return [
            {"name": c.split, "seed": c.seed, "dataset": self.split(c.dataset)}
            for c in self.cells_of(batch)
        ]

    @functools.cache
    def _cell(self, dataset: str, network: str) -> dict[str, Any]:
        entry = self.networks[network]
        computed = {"precision": PRECISION, "cuda_graphs": 0} | entry
        kept = {k: v for k, v in computed.items() if k not in ("name", "gpu", "students_at_once")}
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
        return tuple(map(self.cell_plan, self.cells_of(batch)))

    @functools.cache
    def training(self, batch: str, round: str) -> Training:
        """What decides the students of a round in a batch."""
        methods = self.rounds(batch)[round]
        return Training(
            cells=self.cell_plans(batch),
            recipes=tuple(map(self.recipe, self.cells_of(batch))),
            methods=tuple(self._method(batch, method) for method in methods),
            shards=len(self.shards(batch, round)),
            teacher=self.teacher_of(methods[0]),
        )

    def _method(self, batch: str, name: str) -> Method:
        entry = self.method(name)
        targets, transform = entry["targets"], entry.get("transform")
        inputs, inherited = entry.get("inputs", {}), entry.get("inherit", {})
        code, grid = fingerprint("method", targets), self.grid(batch, name)
        if transform:
            code += fingerprint("transform", transform)
        return Method(name, targets, inputs, code, grid, inherited, transform)

    @functools.cached_property
    def calibrators(self) -> tuple[Calibrator, ...]:
        """The calibrators of the columns and of the budgets."""
        return tuple(
            Calibrator(
                entry["name"],
                entry["fit"],
                entry.get("options", {}),
                fingerprint("calibrator", entry["fit"]),
            )
            for entry in used_calibrators(self.config)
        )

    @property
    def scalings(self) -> tuple[str, ...]:
        """How all students of all grids are calibrated: not at all, and by each calibrator with a
        budget."""
        budgeted = (e["name"] for e in used_calibrators(self.config) if e.get("budget"))
        return UNCALIBRATED, *budgeted

    @functools.cache
    def evaluation(self, batch: str) -> Evaluation:
        """What decides a batch's predictions."""
        shards = {name: len(self.shards(batch, name)) for name in self.rounds(batch)}
        rounds = {method: self.round_of(method) for method in self.methods_of(batch)}
        cells, names = self.cells_of(batch), tuple(metric.name for metric in self.metrics)
        if self.batches[batch].kind == DISTILLED:
            teachers = enumerate(self.distillation["teachers"])
            table = tuple(Column(t, DISTILLED, among={"teacher": n}) for n, t in teachers)
            return Evaluation(cells, table, shards, rounds, names)
        table = tuple(Column(**column) for column in self.columns)
        return Evaluation(cells, table, shards, rounds, names, self.calibrators, self.scalings)

    @functools.cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that are computed, compared and ranked."""
        return chosen(self.config["metrics"])

    @property
    def required(self) -> tuple[Metric, ...]:
        """Those of the paper's tables and claims."""
        return tuple(metrics()[name] for name in REQUIRED)

    @property
    def ranked(self) -> tuple[Metric, ...]:
        """The metrics of the study and what follows from them."""
        return (*self.metrics, *DERIVED.values())

    @property
    def shown(self) -> tuple[Metric, ...]:
        """Those of Table III and the figures, in its order."""
        return shown(self.config["metrics"])

    @property
    def budgeted(self) -> tuple[Metric, ...]:
        """Those of the budgets: all of the metrics, in Table III's order and then the others."""
        return tuple(dict.fromkeys([*self.shown, *self.metrics]))

    @property
    def metric_code(self) -> str:
        """The fingerprint of their functions."""
        return fingerprint("metric", *(metric.name for metric in self.metrics))

    @functools.cached_property
    def searched(self) -> tuple[Searched, ...]:
        """Every column with a budget, those of controls included, with what its search costs
        beforehand."""
        batch = self.batch_of(self.compared[0])
        sizes = {name: count_points(self.grid(batch, name)) for name in self.methods}
        spent = {name: self.spent(name) for name in self.methods}
        return tuple(
            Searched(
                c["column"],
                self.methods[c["method"]]["label"],
                c["calibrator"],
                c["reading"],
                sizes[c["method"]],
                sum(spent[name] for name in needed_by(self.config, [c["method"]])),
                self.methods[c["method"]].get("control", False),
                spent[c["method"]] if spent[c["method"]] < sizes[c["method"]] else None,
            )
            for c in columns(self.config, controls=True)
            if c["calibrator"] in self.scalings
        )

    @property
    def reference(self) -> Searched:
        """The column that budgets are compared with: the calibrated teacher, by its first
        calibrator with a budget, else the first one."""
        label = self.methods[self.teacher]["label"]
        calibrated = (c for c in self.searched if c.calibrator != UNCALIBRATED)
        return next((c for c in calibrated if c.method == label), self.searched[0])

    @property
    def baseline(self) -> str | None:
        """The column of a control that trains the teacher's method as often as others theirs, if
        there is one; calibrated, if it is."""
        own = [m["label"] for m in self.methods.values() if self._alike(m)]
        columns = [c.column for c in self.searched if c.control and c.method in own]
        return columns[-1] if columns else None

    def _alike(self, method: Config) -> bool:
        """Whether a method is the teacher's by another name."""
        of_both = (method, self.methods[self.teacher])
        targets, transforms = ([m.get(key) for m in of_both] for key in ("targets", "transform"))
        return targets[0] == targets[1] and transforms[0] == transforms[1]

    @property
    def matched(self) -> tuple[Matched, ...]:
        """Each two columns with a grid, calibrated alike or not at all, that can cost the same.

        The later one is better, if the paper is right, and a control never.
        """
        pairs = []
        for pair in itertools.combinations([c for c in self.searched if c.points > 1], 2):
            worse, better = sorted(pair, key=lambda c: not c.control)
            trainings = min(c.trainings for c in pair)
            alike = better.calibrator == worse.calibrator
            if alike and not better.control and all(c.drawn(trainings) for c in pair):
                pairs.append(Matched(better, worse, trainings))
        return tuple(pairs)

    # ---- what a job needs
    # -------------------------------------------------------------------------------------------

    def device_of(self, network: str) -> str:
        """A network's `device`: `auto` takes a GPU only for networks that ask for one."""
        device = self.config["device"]
        return "cpu" if device == "auto" and not self.networks[network].get("gpu") else device

    def gpus(self, *networks: str) -> int:
        """How many GPUs a job on these networks asks for: one if any of them may run there."""
        return int(any(self.device_of(network) != "cpu" for network in networks))

    @property
    def bytes_of_logit(self) -> int:
        """Of one number of the soft targets."""
        return {"float32": 4, "float16": 2}[self.config["soft_targets_precision"]]

    @functools.cache
    def needs(self, batch: str, round: str | None = None) -> dict[str, int]:
        """What a job on a batch asks a cluster for: {gpu, mem_mb, runtime in minutes}; with a
        round, to train it.

        runtime: half as much again as the experiments' `hours` say of the students of a shard, and
        ten minutes to start; without `hours`, `hours_per_job`. mem_mb: room for the process, and
        twice for the dataset and the soft targets that it reads or makes, as far as `expect` tells
        their sizes.
        """
        cells, students, teachers = self.cells_of(batch), 1, 1
        if round == DISTILLED:
            teachers = len(self.distillation["teachers"])
        elif round:
            students = self.students_of_job(batch, round)
        gpu, megabytes = self.gpus(*(cell.network for cell in cells)), 0.0
        hours = self.config["hours_per_job"]
        if all("hours" in self.entry(cell) for cell in cells):
            hours = students * sum(self.entry(cell)["hours"] for cell in cells)
        for cell in cells:
            entry = self.datasets[cell.dataset]
            if expected := entry.get("expect"):
                augmentation = entry["augmentation"]
                views = (2 * augmentation["pad"] + 1) ** 2 * (1 + augmentation["flip"])
                said = self.bytes_of_logit * teachers * views * expected["classes"]
                of_sample = math.prod(expected["shape"]) + said
                megabytes = max(megabytes, 2 * expected["samples"] * of_sample / 1e6)
        process = 8000 if gpu else 6000  # four students of a small DenseNet keep 3,600
        runtime = math.ceil(10 + 1.5 * 60 * hours)
        return {"gpu": gpu, "mem_mb": math.ceil(process + megabytes), "runtime": runtime}

    def students_of_job(self, batch: str, round: str) -> int:
        """How many students the larger shards of a round train in each cell."""
        return -(-self.students(batch, round) // len(self.shards(batch, round)))

    @functools.cached_property
    def networks_first(self) -> int:
        """The priority of networks on GPUs over the synthetic study: none stands idle for want of a
        core."""
        return 1000 * self.gpus(*self.networks)

    @property
    def first(self) -> int:
        """The priority of what others wait for."""
        return self.networks_first + FIRST

    def urgency(self, batch: str, round: str) -> int:
        """The priority of training a round: the teacher's first, then the larger the grids the
        earlier."""
        if round in (self.round_of(self.teacher), DISTILLED):
            return self.first
        return self.networks_first + self.students_of_job(batch, round)

    # ---- what is measured before it
    # ----------------------------------------------------------------

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

    # ---- the size of the study
    # --------------------------------------------------------------------------------------

    def summary(self) -> str:
        """The size of the study in one line."""

        def size(kind, of=""):
            jobs, epochs, whole, count = self.trainings(kind), 0, 0, 0
            for job in jobs:
                for recipe in map(self.recipe, self.batches[job["batch"]].cells):
                    epochs += sum(map(math.prod, recipe.stages(job["racing"])))
                    whole += job["students"] * recipe.epochs
                    count += job["students"]
            raced = f", halved to {epochs / whole:.0%} of their epochs" if epochs < whole else ""
            return f"{count:,} trainings in {len(jobs):,} jobs{of}{raced}"

        pairs = f"{len(self.pairs)} pair" + "s" * (len(self.pairs) > 1)
        text = f"{pairs} x {self.seeds_in_words}, {len(self.columns)} columns: "
        text += size("compared")
        if self.distillation:
            text += f"; distillation: {size('teaching', ' of further teachers')}, "
            text += size(DISTILLED, " of students")
        return text

    @functools.cached_property
    def wildcards(self) -> dict[str, str]:
        """{wildcard: pattern} of nothing but what the config names."""
        rounds = [name for batch in self.batches for name in self.rounds(batch)]
        setups = self.synthetic.setups if self.synthetic else []
        named = {
            "dataset": self.datasets,
            "batch": self.batches,
            "method": self.methods,
            "round": dict.fromkeys(rounds),
            "setup": setups,
        }
        patterns = {name: "|".join(map(re.escape, values)) or "-" for name, values in named.items()}
        numbers = dict.fromkeys(("seed", "shard", "first", "last"), r"\d+")
        return patterns | numbers | {"study": "published/|", "table": "[1256]"}

    def among(self, *names: str) -> str:
        """The pattern of some names."""
        return "|".join(map(re.escape, names)) or "-"

    @property
    def later_rounds(self) -> list[str]:
        """The rounds that are neither the teacher's nor the distillation's."""
        rounds = dict.fromkeys(map(self.round_of, self.methods))
        return [name for name in rounds if name != self.round_of(self.teacher)]
