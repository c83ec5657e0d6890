"""Figures 1, 2, 4 to 8 and 11, from the replicates of the synthetic study."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

from ils.figures import synthetic as draw
from ils.figures.style import RC, save
from ils.files import read_csv
from ils.job import run
from ils.synthetic.curves import stacked
from ils.synthetic.gaussians import replicate


def synthetic_figures(
    arrays: Mapping[str, Sequence[str]],
    models: Iterable[str],
    outputs: Iterable[str],
    shown: str,
    geometry: Mapping[str, Any],
    other_geometry: Mapping[str, Any],
    long_grid: Mapping[str, Sequence[float]],
    sizes: Mapping[str, int],
) -> None:
    """Draw the figures to `outputs`, whose names say which.

    arrays: {setup: safetensors files}; models: the csv files of setup `shown`. geometry is that of
    `shown`, other_geometry that of Figure 5; sizes: seed, training_per_class, ... of replicate 0.
    """
    setups = {setup: stacked(paths) for setup, paths in arrays.items()}
    one = setups[shown]
    table = pd.concat([read_csv(path) for path in models])
    ils1 = table[table["model"] == "ils1"]
    training = replicate(geometry, number=0, **sizes).training
    with mpl.rc_context(RC):
        panels = draw.figure_2(one["histogram"])
        figures = {f"fig02{letter}": figure for letter, figure in panels.items()}
        figures |= {
            "fig01": draw.figure_1(geometry, training),
            "fig04": draw.figure_4(one, ils1["p1"].mean(), ils1["p2"].mean()),
            "fig05": draw.figure_5(other_geometry),
            "fig06": draw.curves_figure(setups, 0, r"Bayes-optimal $\hat p_t$"),
            "fig07": draw.curves_figure(setups, 1, r"No LS+TempS $\hat p_t$"),
            "fig08": draw.figure_8(one["histogram"]),
            "fig11": draw.figure_11(one["long_grid"], long_grid["p1"], long_grid["p2"]),
        }
    for path in outputs:
        save(figures[Path(path).stem], path)


if __name__ == "__main__":
    run(
        synthetic_figures,
        snakemake,
        arrays={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        models=snakemake.input.models,
        outputs=list(snakemake.output),
        **{name: value for name, value in snakemake.params.items() if name != "setups"},
    )
