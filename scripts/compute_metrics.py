"""Compute every metric of every column, how sure it is, and how much of it is noise."""

import json
from dataclasses import asdict

import pandas as pd

from ils.errors import UserError
from ils.evaluation import noise
from ils.evaluation.calibration import floors, split_cross_entropy
from ils.evaluation.measures import measure
from ils.files import load_arrays, write_csv
from ils.job import run


def compute_metrics(predictions, cells, draws, measured, metrics, intervals):
    """Read the files of predictions that hold `cells` (`records.Cell`s) and write two csv files.

    predictions: one path a cell; measured: the `Metric`s. metrics: one row per dataset, network,
    seed and method; intervals: one per metric of each, with its standard error and 95 % interval.
    Floors, p-values and the intervals of calibration errors take so many `draws` of labels from the
    predictions.
    """
    rows, spreads = [], []
    for path, cell in zip(predictions, cells, strict=True):
        arrays, metadata = load_arrays(path, under=f"{cell.name}/")
        key = keys_of(cell)
        uniform = noise.uniforms(len(arrays["labels"]), draws)
        for selected in metadata["cells"][cell.name]["selected"]:
            logits = arrays[f"logits/{selected['method']}"]
            try:
                values, extra, spread = measured_by(measured, logits, arrays["labels"], uniform)
            except UserError as error:
                raise UserError(f"{cell.title} {selected['method']}: {error}") from None
            for name, value in values.items():
                spreads.append((*key.values(), selected["method"], name, value, *spread[name]))
            sizes = {"n_test": len(logits), "classes": logits.shape[1]}
            point = {"point": json.dumps(selected["point"])}
            rows.append(key | selected | point | sizes | values | extra)
    write_csv(metrics, pd.DataFrame(rows))
    columns = [*key, "method", "metric", "value", "standard_error", "low", "high"]
    write_csv(intervals, pd.DataFrame(spreads, columns=columns))


def measured_by(metrics, logits, labels, uniform):
    """The metrics of logits (N, K), their floors and parts, and {metric: (error, low, high)}."""
    of_all = measure([metric.name for metric in metrics], logits, labels)
    values = {name: float(value) for name, value in of_all.items()}
    drawn = noise.calibrated(metrics, logits, uniform)
    spread = noise.intervals(metrics, logits, labels, values, drawn, len(uniform))
    return values, floors(values, drawn) | split_cross_entropy(logits, labels), spread


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
        measured=snakemake.params.metrics,
        metrics=snakemake.output.metrics,
        intervals=snakemake.output.intervals,
    )
