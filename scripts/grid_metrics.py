"""Write what every student of every grid does on test data, as trained and as calibrated
by fits of its own, beside what validation data say of it."""

import json

import numpy as np
import pandas as pd

from ils.files import load_arrays, write_csv
from ils.job import run
from ils.plan.grids import RESTART

VALIDATED = "best_epoch", "dropped_epoch", "temperature", "validation_ce"


def rows_of(grid, points, scalings, key):
    """The rows of a method's students in a cell.

    grid: its arrays by name, (G,) or (S, G) by `scalings`, which are names of calibrators; points:
    of each student; key: the first columns.
    """
    metrics = [name for name in grid if name not in VALIDATED]
    for index, point in enumerate(points):
        own = {name: value for name, value in point.items() if name != RESTART}
        about = {"point": json.dumps(own), "restart": point.get(RESTART, 0)}
        failed = bool(np.isnan(grid["validation_ce"][:, index]).all())
        for row, scaling in enumerate(scalings):
            yield (
                key
                | about
                | {
                    "scaling": scaling,
                    "temperature": grid["temperature"][row, index],
                    "validation_ce": grid["validation_ce"][row, index],
                    "best_epoch": grid["best_epoch"][index],
                    "failed": failed,
                    "dropped": bool(grid["dropped_epoch"][index]),
                    **{name: grid[name][row, index] for name in metrics},
                }
            )


def grid_metrics(predictions, cells, labels, scalings, output):
    """Write one row per dataset, network, seed, method, point and scaling.

    predictions: of each of the `records.Cell`s, the file that holds it; labels: {method: label};
    scalings: the names of what calibrates all students, "none" first.
    """
    rows = []
    for path, cell in zip(predictions, cells, strict=True):
        arrays, metadata = load_arrays(path, under=f"{cell.name}/grid/")
        key = {"dataset": cell.dataset, "network": cell.network, "seed": cell.seed}
        for method, label in labels.items():
            names = [name for name in arrays if name.startswith(f"{method}/")]
            grid = {name.removeprefix(f"{method}/"): arrays[name] for name in names}
            points = metadata["cells"][cell.name]["grids"][method]
            rows += rows_of(grid, points, scalings, key | {"method": label})
    write_csv(output, pd.DataFrame(rows))


if __name__ == "__main__":
    run(
        grid_metrics,
        snakemake,
        predictions=snakemake.input.predictions,
        cells=snakemake.params.cells,
        labels=snakemake.params.labels,
        scalings=snakemake.params.scalings,
        output=snakemake.output[0],
    )
