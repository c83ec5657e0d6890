"""One replicate of the synthetic study: grids trained, selected on validation data and tested.

A setup is a mapping {"name", "geometry", "hidden", "training_per_class", "methods", "long_grid"}; a
method is a config entry {"name", "label", "targets", "grid", "by_part", "distil"}. What a replicate
leaves is small: one row a selected model, and arrays of counts and sums for the figures.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ils.errors import UserError
from ils.evaluation.calibrators import temperature, uncalibrated
from ils.evaluation.measures import measure
from ils.evaluation.selection import select
from ils.plan.grids import grid_points
from ils.plan.metrics import REQUIRED
from ils.plan.plugins import load
from ils.probabilities import cross_entropy, softmax, true_class
from ils.synthetic.curves import HISTOGRAM_MODELS, group_sums, histograms
from ils.synthetic.gaussians import Replicate, Samples, log_joint, replicate
from ils.synthetic.perceptrons import Network, Trained, train
from ils.targets.inputs import inputs_of

SIZES = ("training_per_class", "validation_per_class", "test_per_class")
# hyperparameters that a table names otherwise
COLUMNS = {"temperature": "teacher_temperature", "shift": "p1", "rate": "p2"}
PARTS = {"dense": 0, "sparse": 1}

Entry = Mapping[str, Any]  # of the config
Wanted = dict[str, tuple[list[dict], torch.Tensor]]  # name: grid points, targets (G, N, K)


class Model(NamedTuple):
    """A selected student: its logits (N, K) on two splits, undivided, and its temperature.

    `row` says how it was selected.
    """

    training_logits: np.ndarray
    test_logits: np.ndarray
    temperature: float
    row: dict[str, Any]

    @property
    def probabilities(self) -> np.ndarray:
        """Of the test samples, (N, K), at its temperature."""
        return softmax(self.test_logits / self.temperature)


class Grid:
    """The trained students of one method: hyperparameters, weights, validation logits (G, M, K)."""

    def __init__(self, task: "Task", points: list[dict], trained: Trained):
        self.task, self.points, self.trained = task, points, trained
        self.validation_logits = task.network.logits(trained.weights, task.x_validation).numpy()
        self._logits: dict[tuple[str, int], np.ndarray] = {}

    def logits(self, split: str, index: int) -> np.ndarray:
        """Return (N, K) of one student on the samples of "training" or "test", computed once."""
        if (split, index) not in self._logits:
            x = {"training": self.task.x, "test": self.task.x_test}[split]
            weights = self.trained.weights[index : index + 1]
            self._logits[split, index] = self.task.network.logits(weights, x)[0].numpy()
        return self._logits[split, index]

    def select(self, reading: str | None = None, part: str | None = None) -> Model:
        """Return the `Model` with the lowest validation cross-entropy.

        It is taken over one part of the validation data, or over all. `reading`: that of a
        temperature; None: without one. Raises UserError when every student diverged.
        """
        validation = self.task.data.validation
        among = slice(None) if part is None else validation.part == PARTS[part]
        chosen = select(
            self.validation_logits[:, among],
            validation.y[among],
            self.trained.failed,
            functools.partial(temperature, bounds=self.task.bounds) if reading else uncalibrated,
            reading or "selected",
        )
        row: dict[str, Any] = {
            "temperature_scaling": reading is not None,
            "tuned_on": part or "all",
            "temperature": chosen.fitted.temperature,
            "validation_ce": chosen.validation_ce,
            "best_epoch": int(self.trained.best_epoch[chosen.index]),
        }
        row |= {COLUMNS.get(key, key): value for key, value in self.points[chosen.index].items()}
        training, test = (self.logits(split, chosen.index) for split in ("training", "test"))
        return Model(training, test, row["temperature"], row)


class Task:
    """A replicate's samples and one initial network, on which any targets can be trained.

    bounds: of every fitted temperature; training: keyword arguments of `perceptrons.train`.
    """

    def __init__(
        self,
        data: Replicate,
        hidden: Sequence[int],
        classes: int,
        bounds: tuple[float, float],
        training: Entry,
    ):
        self.data, self.bounds, self.training = data, bounds, training
        self.x, self.x_validation, self.x_test = (torch.from_numpy(s.x).float() for s in data[:3])
        self.labels = torch.from_numpy(data.training.y)
        self.onehot = torch.nn.functional.one_hot(self.labels, classes).double()
        self.network = Network((self.x.shape[1], *hidden, classes))
        self.initial = self.network.initial(data.network_seed)

    def train(self, wanted: Wanted) -> dict[str, Grid]:
        """Train side by side all that `wanted` names; return {name: `Grid`}."""
        labels = torch.from_numpy(self.data.validation.y)
        # Equal targets make equal students, as those of Figure 11's grid that are in ILS1's, too:
        # one is trained.
        targets, places = torch.unique(
            torch.cat([targets for _, targets in wanted.values()]), dim=0, return_inverse=True
        )
        trained = train(
            self.network, self.initial, self.x, targets, self.x_validation, labels, **self.training
        )
        places_by_name = places.split([len(points) for points, _ in wanted.values()])
        return {
            name: Grid(self, points, Trained(*(tensor[rows] for tensor in trained)))
            for (name, (points, _)), rows in zip(wanted.items(), places_by_name)
        }

    def grids(self, methods: Iterable[Entry], **inputs: Any) -> Wanted:
        """Return what `train` takes for the grids of `methods`, entries with name, targets, grid.

        inputs: what target functions may ask for beside the labels.
        """
        wanted = {}
        for method in methods:
            points = grid_points(method["grid"])
            targets = grid_targets(
                method["targets"], method["grid"], inputs | {"onehot": self.onehot}
            )
            wanted[method["name"]] = points, targets.expand(len(points), -1, -1)
        return wanted

    def teacher_inputs(self, grid: Grid) -> dict[str, Any]:
        """Return what target functions may ask of a teacher: its training logits, and its T*."""
        chosen = grid.select("selected")
        return {
            "teacher_logits": torch.from_numpy(chosen.training_logits).double(),
            "teacher_temperature": chosen.temperature,
        }


def needs_teacher(method: Entry) -> bool:
    """Whether a method's target function looks at the teacher."""
    return "teacher_logits" in inputs_of(load("method", method["targets"]))


def grid_targets(
    name: str, grid: Mapping[str, Sequence[float]], inputs: Mapping[str, Any]
) -> torch.Tensor:
    """Return the targets of target function `name` at all points of a grid, (G, N, K).

    Without hyperparameters they are (N, K). inputs: {input's name: value}.
    """
    points = grid_points(grid)
    hyperparameters = {
        key: torch.tensor([p[key] for p in points], dtype=torch.float64).view(-1, 1, 1)
        for key in grid
    }
    function = load("method", name)
    return function(*(inputs[key] for key in inputs_of(function)), **hyperparameters)


def distilled(name: str, training_logits: np.ndarray) -> Wanted:
    """What a student learns that is distilled from these logits (N, K), at temperature 1."""
    return {f"from {name}": ([{}], torch.as_tensor(training_logits).double().softmax(-1)[None])}


def train_methods(
    task: Task, methods: Sequence[Entry], bayes_logits: np.ndarray, long_grid: Entry | None
) -> dict[str, Grid]:
    """Train the grids of all methods and the distilled students, "from bayes", "from no_ls", ...

    In three rounds, because targets need a teacher and distillation a selected student.
    bayes_logits (N, K): the Bayes-optimal model's on the training samples; long_grid: a grid of
    ILS1 to train beside, if any.
    """
    distil = [method["name"] for method in methods if method.get("distil")]
    first = task.grids(method for method in methods if not needs_teacher(method))
    if distil:
        first |= distilled("bayes", bayes_logits)
    grids = task.train(first)

    teacher = task.teacher_inputs(grids["no_ls"])
    second = task.grids((method for method in methods if needs_teacher(method)), **teacher)
    for name in (name for name in distil if name in grids):
        second |= distilled(name, grids[name].select().training_logits)
    if long_grid:
        ils1 = {"name": "long_grid", "targets": "ils1", "grid": long_grid}
        second |= task.grids([ils1], **teacher)
    grids |= task.train(second) if second else {}

    third: Wanted = {}
    for name in (name for name in distil if f"from {name}" not in grids):
        third |= distilled(name, grids[name].select().training_logits)
    return grids | (task.train(third) if third else {})


def bayes_model(logits: Sequence[np.ndarray], validation: Samples) -> Model:
    """The Bayes-optimal model, whose logits are those of the three splits."""
    training, validating, test = logits
    row = {"validation_ce": float(cross_entropy(validating, validation.y))}
    return Model(training, test, 1.0, row)


def select_models(grids: Mapping[str, Grid], methods: Sequence[Entry]) -> dict[str, Model]:
    """Select each method's student, raw and with a temperature, by parts, and distilled ones."""
    models = {}
    for method in methods:
        name, grid = method["name"], grids[method["name"]]
        models[name] = grid.select()
        models[f"{name}+temps"] = grid.select("joint")
        for part in PARTS if method.get("by_part") else ():
            models[f"{name} {part}"] = grid.select(part=part)
    return models | {
        name: grid.select() for name, grid in grids.items() if name.startswith("from ")
    }


def run_replicate(
    setup: Entry, methods: Sequence[Entry], options: Entry, number: int
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Train and test every method of `setup` on replicate `number`.

    Returns the rows of its selected models as mappings, and a mapping of arrays: `curve_*` for the
    best-epsilon curves, `histogram` for the distributions of probabilities, `long_grid` (P1, P2)
    for ILS1's test cross-entropy.
    """
    geometry = setup["geometry"]
    sizes = {key: setup.get(key, options[key]) for key in SIZES}
    data = replicate(geometry, options["seed"], number, **sizes)
    bounds, training = options["temperature_bounds"], options["training"]
    task = Task(data, setup["hidden"], len(geometry["classes"]), bounds, training)
    methods = [method for method in methods if method["name"] in setup["methods"]]
    bayes = [log_joint(geometry, samples.x) for samples in data[:3]]

    long_grid = options["long_grid"] if setup.get("long_grid") else None
    grids = train_methods(task, methods, bayes[0], long_grid)
    models = {"bayes": bayes_model(bayes, data.validation)} | select_models(grids, methods)

    smoothed = [grids[method["name"]] for method in methods if method["targets"] == "ls"]
    arrays = curves(task, [models["bayes"], models["no_ls+temps"]], smoothed)
    arrays["histogram"] = np.stack(
        [histograms(models[name].probabilities, data.test.y) for name in HISTOGRAM_MODELS]
    )
    if long_grid:
        losses = test_losses(grids["long_grid"], data.test)
        arrays["long_grid"] = losses.reshape([len(values) for values in long_grid.values()])
    return test_rows(models, data.test, number), arrays


def test_losses(grid: Grid, test: Samples) -> np.ndarray:
    """Return the cross-entropy of every student of a grid on the test samples, (G,), in nats."""
    indices = range(len(grid.points))
    return np.array([cross_entropy(grid.logits("test", i), test.y) for i in indices])


def test_rows(models: Mapping[str, Model], test: Samples, number: int) -> list[dict[str, Any]]:
    """Return one row a model: how it was selected, and the paper's metrics on the test samples."""
    logits = np.stack([model.test_logits / model.temperature for model in models.values()])
    metrics = measure(REQUIRED, logits, test.y)
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


def curves(
    task: Task, teachers: Sequence[Model], grids: Iterable[Grid], **options: Any
) -> dict[str, np.ndarray]:
    """Return the sums of `group_sums` for the best-epsilon curves.

    The students are those of all `grids`, which search epsilon alone, by rising epsilon; `options`
    go to `group_sums`. `curve_epsilon` (E,); `curve_count` and `curve_teacher`
    (2, teachers, groups), `curve_student` (2, teachers, E, groups): over the training samples,
    whose epsilon a curve decides, then over the test samples.
    """
    students = {
        point["epsilon"]: (grid, index) for grid in grids for index, point in enumerate(grid.points)
    }
    sums: dict[str, list] = {"curve_count": [], "curve_teacher": [], "curve_student": []}
    for split, samples in (("training", task.data.training), ("test", task.data.test)):
        p_students = [
            true_class(softmax(grid.logits(split, index)), samples.y)
            for _, (grid, index) in sorted(students.items())
        ]
        by_teacher = []
        for teacher in teachers:
            logits = teacher.training_logits if split == "training" else teacher.test_logits
            p_teacher = true_class(softmax(logits / teacher.temperature), samples.y)
            by_teacher.append(group_sums(p_teacher, p_students, **options))
        for values, part in zip(sums.values(), zip(*by_teacher)):
            values.append(part)
    return {"curve_epsilon": np.array(sorted(students))} | {
        name: np.array(values) for name, values in sums.items()
    }


def run_replicates(
    setup: Entry, methods: Sequence[Entry], options: Entry, numbers: Iterable[int]
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Run several replicates; return all rows, and arrays stacked over replicates.

    Raises UserError, naming setup and replicate, where every student of a grid diverged.
    """
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
