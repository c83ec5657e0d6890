"""Made-up files as the workflow's rules leave them, and what the plan tells the job that trains.

For tests and benchmarks of what reads them.
"""

import numpy as np

from ils.files import save_arrays
from ils.plan.grids import grid_points
from ils.plan.metrics import DERIVED, metrics
from ils.plan.records import Architecture, Cell, CellPlan, Method, Training

CELL = Cell("made_up", "MLP", 0)
NAMES = "accuracy", "cross_entropy", "ece", "cwece", "cwece_printed", "brier", "smece", "ace"
METRICS = tuple(metrics()[name] for name in NAMES)  # those of the default config
RANKED = (*METRICS, *DERIVED.values())


def training(grids, recipe, network=("mlp", {"hidden": [4]}), cells=(CELL,), pad=0, inherited=()):
    """What decides the students of a round, on the CPU.

    grids: of its methods, by the names of target functions; network: the family of all cells and
    its options; inherited: {method: {hyperparameter: the method that sets it}}.
    """
    precision, inherited = {"cpu": "float32", "cuda": "tf32"}, dict(inherited)
    architecture = Architecture(*network, precision, 0, "code")
    plans = [CellPlan(cell, "cpu", {"pad": pad, "flip": False}, architecture) for cell in cells]
    methods = [
        Method(name, name, {}, "code", grid, inherited.get(name, {}))
        for name, grid in grids.items()
    ]
    return Training(tuple(plans), (recipe,) * len(plans), tuple(methods), 1, "no_ls")


def at_once(training):
    """Two students train in one network, in all cells of a `training`."""
    return {plan.cell.network: {"cpu": 2, "cuda": 2} for plan in training.cells}


def predictions(path, columns, grids, sizes, epochs=12, failed=()):
    """Write a predictions file; each column chooses the last student of its grid.

    columns: mappings {column, method}; grids: {method: {name: values}}; sizes: of each
    cell, {cell: (samples, classes)}; `failed` lists (method, index) of students that diverged.
    """
    arrays, cells = {}, {}
    points = {method: grid_points(grid) for method, grid in grids.items()}
    for cell, size in sizes.items():
        rng = np.random.default_rng(cell.seed)
        own = curves_of(points, epochs, failed, rng) | logits_of(columns, *size, rng)
        arrays |= {f"{cell.name}/{name}": array for name, array in own.items()}
        selected = [selection(column, points, epochs - cell.seed % 3) for column in columns]
        cells[cell.name] = {"selected": selected, "grids": points}
    save_arrays(path, arrays, cells=cells)


def curves_of(points, epochs, failed, rng):
    """The history of all students, falling in each epoch."""
    arrays, falling = {}, 0.2 + 2 / np.arange(1, epochs + 1)
    for method, own in points.items():
        noise = rng.uniform(0.9, 1.1, size=(2, len(own), epochs))
        for name, curve in zip(("train_loss", "validation_ce"), noise * falling):
            arrays[f"curves/{method}/{name}"] = curve.astype(np.float32)
        marks = [(method, index) in failed for index in range(len(own))]
        arrays[f"curves/{method}/failed_epoch"] = np.array(marks, np.int64)
    return arrays


def logits_of(columns, samples, classes, rng):
    """Labels, ids and the logits of every column, the sharper the later it comes."""
    labels = rng.integers(classes, size=samples)
    arrays = {"labels": labels, "ids": np.arange(samples)}
    for number, column in enumerate(columns):
        noise = rng.normal(scale=0.7, size=(samples, classes))
        logits = (2 + number / 3) * (np.eye(classes)[labels] + noise)
        arrays[f"logits/{column['column']}"] = logits.astype(np.float32)
    return arrays


def selection(column, points, epoch):
    """How a column was selected, as `evaluate` says."""
    own = points[column["method"]]
    return {
        "method": column["column"],
        "index": len(own) - 1,
        "point": own[-1],
        "temperature": 1.0,
        "best_epoch": epoch,
        "validation_ce": 0.3,
        "students": len(own),
        "diverged": 0,
    }
