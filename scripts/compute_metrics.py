"""Compute every metric of every predicted column, and how sure it is: bootstrap over the test samples."""

import json

import pandas as pd
from ils.evaluation import bootstrap
from ils.evaluation.metrics import all_metrics
from ils.files import load_arrays, write_csv
from ils.job import run


def compute_metrics(predictions, cells, draws, output, intervals):
    """Read the prediction files, one per cell (a mapping {dataset, network, seed}), and write two csv files.

    output: one row per dataset, network, seed and method; intervals: one per metric of each, with its standard error and
    95 % interval from so many bootstrap `draws`.
    """
    rows, spreads = [], []
    for path, cell in zip(predictions, cells, strict=True):
        arrays, metadata = load_arrays(path)
        weights = bootstrap.weights(len(arrays["labels"]), draws)
        for selected in metadata["selected"]:
            logits = arrays[f"logits/{selected['method']}"]
            metrics = all_metrics(logits, arrays["labels"])
            for name, values in bootstrap.metrics(logits, arrays["labels"], weights).items():
                spread = bootstrap.interval(metrics[name], values)
                spreads.append(
                    (
                        *cell.values(),
                        selected["method"],
                        name,
                        float(metrics[name]),
                        *map(float, spread),
                    )
                )
            point = json.dumps(selected["point"])
            rows.append(
                cell | selected | {"point": point, "n_test": len(arrays["labels"])} | metrics
            )
    write_csv(output, pd.DataFrame(rows))
    columns = [*cells[0], "method", "metric", "value", "standard_error", "low", "high"]
    write_csv(intervals, pd.DataFrame(spreads, columns=columns))


if __name__ == "__main__":
    run(
        compute_metrics,
        snakemake,
        predictions=snakemake.input.predictions,
        cells=snakemake.params.cells,
        draws=snakemake.params.draws,
        output=snakemake.output.metrics,
        intervals=snakemake.output.intervals,
    )
