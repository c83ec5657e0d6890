"""Draw the heat maps of the grids and the training curves of one dataset x network pair."""

import numpy as np
from ils.figures import heat_maps, training_curves
from ils.figures.grids import arrange
from ils.figures.style import save
from ils.files import load_arrays
from ils.job import log, run_each

DPI = 200
CURVES = ("train_loss", "validation_ce", "failed_epoch")


def training_figures(pair, predictions, columns, hyperparameters, outputs):
    """predictions: one file a seed; columns: mappings {column, method, scaling} of Table III, hyperparameters:
    {method: names in the grid's order}; outputs: {"grids": paths, "training": paths}."""
    names = {
        column["method"]: column["column"] for column in columns if column["scaling"] == "none"
    }
    loaded = [
        load_arrays(path, [f"curves/{method}/{curve}" for method in names for curve in CURVES])
        for path in predictions
    ]
    selected = [{entry["method"]: entry for entry in about["selected"]} for _, about in loaded]
    grids, curves = [], {}
    for method, name in names.items():
        loss, ce, failed = (
            np.stack([arrays[f"curves/{method}/{curve}"] for arrays, _ in loaded])
            for curve in CURVES
        )
        own = [
            column
            for column in columns
            if column["method"] == method and column["scaling"] in heat_maps.SHAPES
        ]
        chosen = {
            column["scaling"]: [seed[column["column"]]["index"] for seed in selected]
            for column in own
        }
        panels = arrange(name, hyperparameters[method], loaded[0][1]["grids"][method])
        grids.append((panels, heat_maps.lowest(ce, failed > 0).mean(0), chosen))
        rows = np.arange(len(loaded)), chosen["none"]
        curves[name] = training_curves.Curves(
            loss[rows], ce[rows], [seed[name]["best_epoch"] for seed in selected]
        )
    mean = f"mean over {len(loaded)} seeds" if len(loaded) > 1 else "one seed"
    figures = {
        "grids": heat_maps.draw(
            grids, len(loaded), f"{pair}: best validation cross-entropy over the grids, {mean}"
        ),
        "training": training_curves.draw(
            curves, f"{pair}: the selected student of each method, {mean}"
        ),
    }
    for kind, paths in outputs.items():
        for path in paths:
            save(figures[kind], path, DPI)
    log.info("%s drawn", pair)


if __name__ == "__main__":
    run_each(training_figures, snakemake)
