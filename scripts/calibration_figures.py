"""Draw the reliability diagrams of one dataset x network pair: of the predicted class (Eq. 1) and classwise (Eq. 2)."""

import numpy as np
from ils.evaluation.probabilities import softmax
from ils.evaluation.reliability import classwise_bins, confidence_bins
from ils.figures.calibration import draw
from ils.figures.style import save
from ils.files import load_arrays
from ils.job import log, run_each

DPI = 200
BINS_OF = {"reliability": confidence_bins, "classwise": classwise_bins}


def calibration_figures(pair, predictions, columns, outputs):
    """predictions: one file a seed, whose test samples are pooled; columns: those of Table III in the order of the
    panels; outputs: {"reliability": paths, "classwise": paths}."""
    names = [f"logits/{column}" for column in columns]
    seeds = [load_arrays(path, ["labels", *names])[0] for path in predictions]
    labels = np.concatenate([arrays["labels"] for arrays in seeds])
    bins = {kind: {} for kind in outputs}
    for column, name in zip(columns, names):
        probabilities = softmax(np.concatenate([arrays[name] for arrays in seeds]))
        for kind in outputs:
            bins[kind][column] = BINS_OF[kind](probabilities, labels)
    title = f"{pair}: {len(labels)} test samples" + f", pooled over {len(seeds)} seeds" * (
        len(seeds) > 1
    )
    for kind, paths in outputs.items():
        figure = draw(bins[kind], kind, title)
        for path in paths:
            save(figure, path, DPI)
    log.info(
        "%s: %s",
        pair,
        {column: round(found.error, 4) for column, found in bins["reliability"].items()},
    )


if __name__ == "__main__":
    run_each(calibration_figures, snakemake)
