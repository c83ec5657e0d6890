"""One replicate of the synthetic study: every method's grid trained, selected on validation data and tested.

A setup is a mapping {"name", "geometry", "hidden", "training_per_class", "methods", "long_grid"}; a method is a config
entry {"name", "label", "targets", "grid", "by_part", "distil"}. What a replicate leaves is small: one row a selected
model, and arrays of counts and sums for the figures.
"""

from typing import NamedTuple

import numpy as np
import torch
from ils.errors import UserError
from ils.evaluation.metrics import all_metrics
from ils.evaluation.probabilities import cross_entropy, softmax, true_class
from ils.evaluation.selection import select
from ils.plan.grids import grid_points
from ils.plan.plugins import load
from ils.synthetic.curves import HISTOGRAM_MODELS, group_sums, histograms
from ils.synthetic.gaussians import log_joint, replicate
from ils.synthetic.perceptrons import Network, train
from ils.targets.inputs import inputs_of

COLUMNS = {
    "temperature": "teacher_temperature",
    "shift": "p1",
    "rate": "p2",
}  # hyperparameters that a table names otherwise
PARTS = {"dense": 0, "sparse": 1}


class Model(NamedTuple):
    """A selected student: its logits (N, K) on two splits, undivided, its temperature, and how it was selected."""

    training_logits: np.ndarray
    test_logits: np.ndarray
    temperature: float
    row: dict

    @property
    def probabilities(self):
        return softmax(self.test_logits / self.temperature)


class Grid:
    """The trained students of one method: their hyperparameters, weights and validation logits (G, M, K)."""

    def __init__(self, task, points, trained):
        self.task, self.points, self.trained = task, points, trained
        self.validation_logits = task.network.logits(trained.weights, task.x_validation).numpy()
        self._logits = {}

    def logits(self, split, index):
        """Return (N, K) of one student on the samples of "training" or "test", computed once."""
        if (split, index) not in self._logits:
            x = {"training": self.task.x, "test": self.task.x_test}[split]
            self._logits[split, index] = self.task.network.logits(
                self.trained.weights[index : index + 1], x
            )[0].numpy()
        return self._logits[split, index]

    def select(self, scaling="none", part=None):
        """Return the `Model` with the lowest validation cross-entropy, over one part of the validation data or all."""
        labels = self.task.data.validation.y
        among = slice(None) if part is None else self.task.data.validation.part == PARTS[part]
        chosen = select(
            self.validation_logits[:, among],
            labels[among],
            self.trained.failed,
            scaling,
            self.task.bounds,
        )
        row = {
            "temperature_scaling": scaling != "none",
            "tuned_on": part or "all",
            "temperature": chosen.temperature,
        }
        row |= {
            "validation_ce": chosen.validation_ce,
            "best_epoch": int(self.trained.best_epoch[chosen.index]),
        }
        row |= {COLUMNS.get(key, key): value for key, value in self.points[chosen.index].items()}
        return Model(
            self.logits("training", chosen.index),
            self.logits("test", chosen.index),
            chosen.temperature,
            row,
        )


class Task:
    """A replicate's samples and one initial network, on which any targets can be trained."""

    def __init__(self, data, hidden, classes, bounds, training):
        self.data, self.bounds, self.training = data, bounds, training
        self.x, self.x_validation, self.x_test = (torch.from_numpy(s.x).float() for s in data[:3])
        self.labels = torch.from_numpy(data.training.y)
        self.onehot = torch.nn.functional.one_hot(self.labels, classes).double()
        self.network = Network((self.x.shape[1], *hidden, classes))
        self.initial = self.network.initial(data.network_seed)

    def train(self, wanted):
        """Train side by side what `wanted` maps names to, (points, targets (G, N, K)); return {name: `Grid`}."""
        labels = torch.from_numpy(self.data.validation.y)
        # Equal targets make equal students, as those of Figure 11's grid that are in ILS1's, too: one is trained.
        targets, places = torch.unique(
            torch.cat([targets for _, targets in wanted.values()]), dim=0, return_inverse=True
        )
        trained = train(
            self.network, self.initial, self.x, targets, self.x_validation, labels, **self.training
        )
        of_each = places.split([len(points) for points, _ in wanted.values()])
        grids = {}
        for (name, (points, _)), rows in zip(wanted.items(), of_each):
            grids[name] = Grid(self, points, type(trained)(*(tensor[rows] for tensor in trained)))
        return grids

    def grids(self, methods, **inputs):
        """Return what `train` takes for the grids of `methods`, mappings with name, targets and grid."""
        wanted = {}
        for method in methods:
            points = grid_points(method["grid"])
            targets = grid_targets(
                method["targets"], method["grid"], inputs | {"onehot": self.onehot}
            )
            wanted[method["name"]] = points, targets.expand(len(points), -1, -1)
        return wanted

    def teacher_inputs(self, grid):
        """Return what target functions may ask of a teacher: its logits on the training samples, and its T*."""
        chosen = grid.select("selected")
        return {
            "teacher_logits": torch.from_numpy(chosen.training_logits).double(),
            "teacher_temperature": chosen.temperature,
        }


def needs_teacher(method):
    return "teacher_logits" in inputs_of(load("method", method["targets"]))


def grid_targets(name, grid, inputs):
    """Return the targets (G, N, K), or (N, K) without hyperparameters, of target function `name` at all grid points."""
    points = grid_points(grid)
    hyperparameters = {
        key: torch.tensor([p[key] for p in points], dtype=torch.float64).view(-1, 1, 1)
        for key in grid
    }
    return load("method", name)(
        *(inputs[key] for key in inputs_of(load("method", name))), **hyperparameters
    )


def run_replicate(setup, methods, options, number):
    """Train and test every method of `setup` on replicate `number`.

    Returns the rows of its selected models as mappings, and a mapping of arrays: `curve_*` for the best-epsilon
    curves, `histogram` for the distributions of probabilities, `long_grid` (P1, P2) for ILS1's test cross-entropy.
    """
    sizes = {
        key: setup.get(key, options[key])
        for key in ("training_per_class", "validation_per_class", "test_per_class")
    }
    geometry = setup["geometry"]
    data = replicate(geometry, options["seed"], number, **sizes)
    task = Task(
        data,
        setup["hidden"],
        len(geometry["classes"]),
        options["temperature_bounds"],
        options["training"],
    )
    bayes = [log_joint(geometry, samples.x) for samples in data[:3]]
    methods = [method for method in methods if method["name"] in setup["methods"]]
    distil = [method["name"] for method in methods if method.get("distil")]

    def soft(logits):
        """What a student distilled from these logits on the training samples learns."""
        return [{}], torch.as_tensor(logits).double().softmax(-1)[None]

    # Three rounds, because targets need a teacher and distillation a selected student.
    first = [method for method in methods if not needs_teacher(method)]
    from_bayes = {"from bayes": soft(bayes[0])} if distil else {}
    grids = task.train(task.grids(first) | from_bayes)
    teacher = task.teacher_inputs(grids["no_ls"])

    def distilled(names):
        return {f"from {name}": soft(grids[name].select().training_logits) for name in names}

    second = task.grids([method for method in methods if needs_teacher(method)], **teacher)
    second |= distilled(name for name in distil if name in grids)
    if setup.get("long_grid"):
        second |= task.grids(
            [{"name": "long_grid", "targets": "ils1", "grid": options["long_grid"]}], **teacher
        )
    grids |= task.train(second) if second else {}
    if third := distilled(name for name in distil if f"from {name}" not in grids):
        grids |= task.train(third)

    models = {
        "bayes": Model(
            bayes[0],
            bayes[2],
            1.0,
            {"validation_ce": float(cross_entropy(bayes[1], data.validation.y))},
        )
    }
    for method in methods:
        models[method["name"]] = grids[method["name"]].select()
        models[method["name"] + "+temps"] = grids[method["name"]].select("joint")
        for part in PARTS if method.get("by_part") else ():
            models[f"{method['name']} {part}"] = grids[method["name"]].select(part=part)
    models |= {name: grids[name].select() for name in grids if name.startswith("from ")}

    smoothed = [method["name"] for method in methods if method["targets"] == "ls"]
    arrays = curves(
        task, [models["bayes"], models["no_ls+temps"]], [grids[name] for name in smoothed]
    )
    arrays["histogram"] = np.stack(
        [histograms(models[name].probabilities, data.test.y) for name in HISTOGRAM_MODELS]
    )
    if setup.get("long_grid"):
        shape = [len(values) for values in options["long_grid"].values()]
        count = len(grids["long_grid"].points)
        arrays["long_grid"] = np.array(
            [cross_entropy(grids["long_grid"].logits("test", i), data.test.y) for i in range(count)]
        ).reshape(shape)
    return test_rows(models, data.test, number), arrays


def test_rows(models, test, number):
    """Return one row a model: how it was selected, and its metrics on the test samples."""
    logits = np.stack([model.test_logits / model.temperature for model in models.values()])
    metrics = all_metrics(logits, test.y)
    hit = logits.argmax(-1) == test.y
    metrics |= {
        f"accuracy_{part}": hit[:, test.part == index].mean(-1) for part, index in PARTS.items()
    }
    rows = []
    for i, (name, model) in enumerate(models.items()):
        defaults = {
            "replicate": number,
            "model": name,
            "temperature_scaling": False,
            "tuned_on": "all",
            "temperature": 1.0,
        }
        rows.append(
            defaults | model.row | {key: float(values[i]) for key, values in metrics.items()}
        )
    return rows


def curves(task, teachers, grids, **options):
    """Return the sums of `group_sums` for the best-epsilon curves.

    teachers: `Model`s; the students are those of all `grids`, which search epsilon alone, by rising epsilon.
    `curve_epsilon` (E,); `curve_count` and `curve_teacher` (2, teachers, groups), `curve_student` (2, teachers, E,
    groups): over the training samples, whose epsilon a curve decides, then over the test samples.
    """
    students = {
        point["epsilon"]: (grid, index) for grid in grids for index, point in enumerate(grid.points)
    }
    sums = {"curve_count": [], "curve_teacher": [], "curve_student": []}
    for split, samples in (("training", task.data.training), ("test", task.data.test)):
        p_students = [
            true_class(softmax(grid.logits(split, index)), samples.y)
            for _, (grid, index) in sorted(students.items())
        ]
        found = []
        for teacher in teachers:
            logits = teacher.training_logits if split == "training" else teacher.test_logits
            p_teacher = true_class(softmax(logits / teacher.temperature), samples.y)
            found.append(group_sums(p_teacher, p_students, **options))
        for values, part in zip(sums.values(), zip(*found)):
            values.append(part)
    return {"curve_epsilon": np.array(sorted(students))} | {
        name: np.array(values) for name, values in sums.items()
    }


def run_replicates(setup, methods, options, numbers):
    """Run several replicates; return all rows, and arrays stacked over replicates."""
    torch.set_num_threads(1)
    rows, arrays = [], []
    for number in numbers:
        try:
            new_rows, new_arrays = run_replicate(setup, methods, options, number)
        except UserError as error:
            raise UserError(f"setup {setup['name']}, replicate {number}: {error}") from None
        rows += new_rows
        arrays.append(new_arrays)
    return rows, {name: np.stack([a[name] for a in arrays]) for name in arrays[0]}
