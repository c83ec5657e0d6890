"""Figures 9 and 10: best-epsilon curves and distributions of p_t on real tables."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl

from ils.figures import synthetic as draw
from ils.figures.style import RC, save
from ils.files import load_arrays
from ils.job import run


def tabular_figures(curves: Iterable[str], outputs: Iterable[str]) -> None:
    """Draw the figures to `outputs`; curves: the files of tabular_curves.py, one a dataset."""
    panels, histograms = {}, {}
    for path in curves:
        arrays, about = load_arrays(path)
        name = about["dataset"]
        panels[f"{name}: {about['samples']} instances, {about['classes']} classes"] = arrays
        histograms[name] = arrays["histogram"]
    teacher = r"No LS+TempS $\hat p_t$"
    with mpl.rc_context(RC):
        figures = {
            "fig09": draw.curves_figure(panels, 0, teacher, most=2),
            "fig10": draw.figure_10(histograms, teacher),
        }
    for path in outputs:
        save(figures[Path(path).stem], path)


if __name__ == "__main__":
    run(tabular_figures, snakemake, curves=snakemake.input.curves, outputs=list(snakemake.output))
