"""Made-up files as the workflow's rules leave them, for tests and benchmarks of what reads them."""

import numpy as np
from ils.files import save_arrays
from ils.plan.grids import grid_points


def predictions(path, columns, grids, samples=60, classes=3, epochs=12, seed=0, failed=()):
    """Write a predictions file of `columns` ({column, method, scaling}) and `grids` {method: {name: values}}.

    Each column chooses the last student of its grid; `failed` lists (method, index) of students that diverged.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=samples)
    arrays, selected = {"labels": labels, "ids": np.arange(samples)}, []
    points = {method: grid_points(grid) for method, grid in grids.items()}
    for method, own in points.items():
        noise = rng.uniform(0.9, 1.1, size=(2, len(own), epochs))
        for name, curve in zip(
            ("train_loss", "validation_ce"), noise * (0.2 + 2 / np.arange(1, epochs + 1))
        ):
            arrays[f"curves/{method}/{name}"] = curve.astype(np.float32)
        arrays[f"curves/{method}/failed_epoch"] = np.array(
            [(method, g) in failed for g in range(len(own))], np.int64
        )
    for number, column in enumerate(columns):
        own, sharpness = points[column["method"]], 2 + number / 3
        logits = sharpness * (
            np.eye(classes)[labels] + rng.normal(scale=0.7, size=(samples, classes))
        )
        arrays[f"logits/{column['column']}"] = logits.astype(np.float32)
        about = {
            "temperature": 1.0,
            "best_epoch": epochs - seed % 3,
            "validation_ce": 0.3,
            "students": len(own),
            "diverged": 0,
        }
        selected.append(
            {"method": column["column"], "index": len(own) - 1, "point": own[-1]} | about
        )
    save_arrays(path, arrays, selected=selected, grids=points)
