"""Draw the reliability diagrams of every pair: of the predicted class (Eq. 1) and classwise (Eq.
2)."""

import numpy as np

from ils.evaluation.reliability import classwise_bins, confidence_bins
from ils.figures.calibration import draw
from ils.figures.style import save
from ils.files import load_arrays
from ils.job import log, run_each_pair
from ils.probabilities import softmax

DPI = 200
BINS_OF = {"reliability": confidence_bins, "classwise": classwise_bins}


def calibration_figures(title, predictions, outputs, columns):
    """Draw a pair's figures, `outputs` {"reliability": paths, "classwise": paths}.

    predictions: (file, cell) of each seed, whose test samples are pooled; columns: those of Table
    III in the order of the panels.
    """
    names = [f"logits/{column}" for column in columns]
    seeds = [load_arrays(path, ["labels", *names], f"{cell}/")[0] for path, cell in predictions]
    labels = np.concatenate([arrays["labels"] for arrays in seeds])
    bins = {kind: {} for kind in outputs}
    for column, name in zip(columns, names, strict=True):
        probabilities = softmax(np.concatenate([arrays[name] for arrays in seeds]))
        for kind in outputs:
            bins[kind][column] = BINS_OF[kind](probabilities, labels)
    pooled = f", pooled over {len(seeds)} seeds" if len(seeds) > 1 else ""
    for kind, paths in outputs.items():
        figure = draw(bins[kind], kind, f"{title}: {len(labels)} test samples{pooled}")
        for path in paths:
            save(figure, path, DPI)
    errors = {column: round(panel.error, 4) for column, panel in bins["reliability"].items()}
    log.info("%s: %s", title, errors)


if __name__ == "__main__":
    run_each_pair(calibration_figures, snakemake, columns=snakemake.params.columns)
