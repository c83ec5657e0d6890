"""Draw the heat maps of the grids and the training curves of every pair."""

import numpy as np

from ils.columns import parts
from ils.figures import heat_maps, training_curves
from ils.figures.grids import arrange
from ils.figures.style import save
from ils.files import load_arrays
from ils.job import log, run_each_pair
from ils.plan.records import UNCALIBRATED

DPI = 200
CURVES = ("train_loss", "validation_ce", "failed_epoch")


def training_figures(title, predictions, outputs, columns, hyperparameters):
    """Draw a pair's figures, `outputs` {"grids": paths, "training": paths}.

    predictions: (file, cell) of each seed; columns: mappings {column, method, calibrator,
    reading} of Table III; hyperparameters: {method: names in the grid's order}.
    """
    labels = {c["method"]: c["column"] for c in columns if c["calibrator"] == UNCALIBRATED}
    names = [f"curves/{method}/{curve}" for method in labels for curve in CURVES]
    seeds, selected, points = [], [], {}
    for path, cell in predictions:
        arrays, metadata = load_arrays(path, names, f"{cell}/")
        seeds.append(arrays)
        selected.append({e["method"]: e for e in metadata["cells"][cell]["selected"]})
        points = metadata["cells"][cell]["grids"]
    grids, curves = [], {}
    for method, label in labels.items():
        loss, ce, failed = (
            np.stack([arrays[f"curves/{method}/{curve}"] for arrays in seeds]) for curve in CURVES
        )
        chosen = {
            parts(c["column"])[1]: [seed[c["column"]]["index"] for seed in selected]
            for c in columns
            if c["method"] == method and (c["reading"] == "joint" or c["column"] == label)
        }
        panels = arrange(label, hyperparameters[method], points[method])
        grids.append((panels, heat_maps.lowest(ce, failed > 0).mean(0), chosen))
        rows = np.arange(len(seeds)), chosen[""]
        epochs = [seed[label]["best_epoch"] for seed in selected]
        curves[label] = training_curves.Curves(loss[rows], ce[rows], epochs)
    mean = f"mean over {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    heading = f"{title}: best validation cross-entropy over the grids, {mean}"
    figures = {"grids": heat_maps.draw(grids, len(seeds), heading)}
    heading = f"{title}: the selected student of each method, {mean}"
    figures["training"] = training_curves.draw(curves, heading)
    for kind, paths in outputs.items():
        for path in paths:
            save(figures[kind], path, DPI)
    log.info("%s drawn", title)


if __name__ == "__main__":
    run_each_pair(
        training_figures,
        snakemake,
        columns=snakemake.params.columns,
        hyperparameters=snakemake.params.hyperparameters,
    )
