"""Compute every metric of every predicted column: one row per dataset, network, seed and method."""

import json

import pandas as pd

from ils.files import load_arrays, write_csv
from ils.job import run
from ils.metrics import all_metrics


def compute_metrics(predictions, cells, output):
    """Read the prediction files, one per cell (a mapping {dataset, network, seed}), and write `output` as csv."""
    rows = []
    for path, cell in zip(predictions, cells, strict=True):
        arrays, metadata = load_arrays(path)
        for selected in metadata["selected"]:
            metrics = all_metrics(arrays[f"logits/{selected['method']}"], arrays["labels"])
            point = json.dumps(selected["point"])
            rows.append(cell | selected | {"point": point, "n_test": len(arrays["labels"])} | metrics)
    write_csv(output, pd.DataFrame(rows))


if __name__ == "__main__":
    run(
        compute_metrics,
        snakemake,
        predictions=snakemake.input.predictions,
        cells=snakemake.params.cells,
        output=snakemake.output[0],
    )
