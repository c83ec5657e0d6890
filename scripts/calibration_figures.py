"""Draw the reliability diagrams of every pair: of the predicted class (Eq. 1) and classwise (Eq.
2)."""

import numpy as np

from ils.evaluation.noise import uniforms
from ils.evaluation.reliability import (
    classwise_bins,
    classwise_draws,
    confidence_bins,
    confidence_draws,
    consistency,
)
from ils.figures.calibration import draw
from ils.figures.style import save
from ils.files import load_arrays
from ils.job import log, run_each_pair
from ils.probabilities import softmax

DPI = 200
DRAWS = 400  # of labels from the predictions
OF = {
    "reliability": (confidence_bins, confidence_draws),
    "classwise": (classwise_bins, classwise_draws),
}


def calibration_figures(title, predictions, outputs, columns):
    """Draw a pair's figures, `outputs` {"reliability": paths, "classwise": paths}.

    predictions: (file, cell) of each seed, whose test samples are pooled; columns: those of Table
    III in the order of the panels.
    """
    names = [f"logits/{column}" for column in columns]
    seeds = [load_arrays(path, ["labels", *names], f"{cell}/")[0] for path, cell in predictions]
    labels = np.concatenate([arrays["labels"] for arrays in seeds])
    panels, uniform = {kind: {} for kind in outputs}, uniforms(len(labels), DRAWS)
    for column, name in zip(columns, names, strict=True):
        probabilities = softmax(np.concatenate([arrays[name] for arrays in seeds]))
        for kind in outputs:
            bins_of, draws_of = OF[kind]
            bins = bins_of(probabilities, labels)
            panels[kind][column] = bins, consistency(bins, draws_of(probabilities, uniform))
    pooled = f", pooled over {len(seeds)} seeds" if len(seeds) > 1 else ""
    for kind, paths in outputs.items():
        figure = draw(panels[kind], kind, f"{title}: {len(labels)} test samples{pooled}")
        for path in paths:
            save(figure, path, DPI)
    errors = {column: round(bins.error, 4) for column, (bins, _) in panels["reliability"].items()}
    log.info("%s: %s", title, errors)


if __name__ == "__main__":
    run_each_pair(calibration_figures, snakemake, columns=snakemake.params.columns)
