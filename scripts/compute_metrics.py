"""Compute every metric of every column, and how sure it is: bootstrap over the test samples."""

import json
from dataclasses import asdict

import pandas as pd

from ils.evaluation import bootstrap
from ils.evaluation.metrics import all_metrics
from ils.files import load_arrays, write_csv
from ils.job import run


def compute_metrics(predictions, cells, draws, metrics, intervals):
    """Read the files of predictions that hold `cells` (`records.Cell`s) and write two csv files.

    predictions: one path a cell. metrics: one row per dataset, network, seed and method; intervals:
    one per metric of each, with its standard error and 95 % interval from so many bootstrap
    `draws`.
    """
    rows, spreads = [], []
    for path, cell in zip(predictions, cells, strict=True):
        arrays, metadata = load_arrays(path, under=f"{cell.name}/")
        key = keys_of(cell)
        weights = bootstrap.weights(len(arrays["labels"]), draws)
        for selected in metadata["cells"][cell.name]["selected"]:
            logits = arrays[f"logits/{selected['method']}"]
            values = all_metrics(logits, arrays["labels"])
            for name, drawn in bootstrap.metrics(logits, arrays["labels"], weights).items():
                spread = map(float, bootstrap.interval(values[name], drawn))
                value = float(values[name])
                spreads.append((*key.values(), selected["method"], name, value, *spread))
            sizes = {"n_test": len(logits), "classes": logits.shape[1]}
            point = {"point": json.dumps(selected["point"])}
            rows.append(key | selected | point | sizes | values)
    write_csv(metrics, pd.DataFrame(rows))
    columns = [*key, "method", "metric", "value", "standard_error", "low", "high"]
    write_csv(intervals, pd.DataFrame(spreads, columns=columns))


def keys_of(cell):
    """The first columns of a cell's rows; `network` is the teachers' where another learns."""
    keys = asdict(cell)
    teacher = keys.pop("teacher")
    return keys if teacher is None else keys | {"network": teacher, "student": cell.network}


if __name__ == "__main__":
    run(
        compute_metrics,
        snakemake,
        predictions=snakemake.input.predictions,
        cells=snakemake.params.cells,
        draws=snakemake.params.draws,
        metrics=snakemake.output.metrics,
        intervals=snakemake.output.intervals,
    )
