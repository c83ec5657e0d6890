"""How every figure looks: one font that comes with matplotlib, print sizes, a colour a method.

The colours are safe for the colour-blind.
"""

import functools
import itertools
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from ils.files import atomic

FONT = "DejaVu Sans"
SIZE = 7  # points, at the printed size
SMALL = 6
COLUMN = 252  # points: the width of one column of the paper
PAGE = 516  # and of both
GREY = "#666666"

# Paul Tol's "muted" scheme. A temperature-scaled column keeps the colour of the method that it
# scales.
COLOURS = {
    "No LS": "#332288",
    "LS": "#44AA99",
    "ILS1": "#999933",
    "ILS2": "#117733",
    "ILS": "#CC6677",
    "Dis": "#DDCC77",
    "cLS": "#88CCEE",
    "BS_Soft": "#AA4499",
    "Beta": "#882255",
}

# What tells lines apart in grey: dashes and a marker a method.
LINES = {
    "No LS": ("-", "o"),
    "LS": ("--", "s"),
    "ILS1": ("-.", "^"),
    "ILS2": (":", "v"),
    "ILS": ("-", "D"),
    "Dis": ("--", "P"),
    "cLS": ("-.", "X"),
    "BS_Soft": (":", "<"),
    "Beta": ("--", ">"),
}
# for methods without a colour, in turn
SPARE_LINES = (("-", "*"), ("--", "p"), ("-.", "h"), (":", "d"))

# else every PDF fills the log with the glyphs of its fonts
logging.getLogger("fontTools").setLevel(logging.WARNING)

# 42: text in the PDF stays text
RC: Any = {"font.family": FONT, "font.size": SIZE, "pdf.fonttype": 42}


def colour(method: str) -> str:
    """Return the colour of a method column such as "ILS" or "ILS+TempS".

    Grey for a method without one.
    """
    return COLOURS.get(method.removesuffix("+TempS"), GREY)


def tint(shade: str, share: float) -> str:
    """Return the colour `shade` mixed with white, of which `share` (0 to 1) is white."""
    red, green, blue = (share + (1 - share) * part for part in to_rgb(shade))
    return to_hex((red, green, blue))


def line_looks(methods: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return {method: {color, linestyle, marker}}, such that no two lines of a plot look alike."""
    spare = itertools.cycle(SPARE_LINES)
    looks = {}
    for method in methods:
        linestyle, marker = LINES.get(method) or next(spare)
        looks[method] = {"color": colour(method), "linestyle": linestyle, "marker": marker}
    return looks


@functools.cache
def text_width(text: str, size: float = SIZE) -> float:
    """Return how wide `text` is printed, in points."""
    if not text.strip():
        return 0.0
    return TextPath((0, 0), text, prop=FontProperties(family=FONT, size=size)).get_extents().x1


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return (figure, axes) of width x height points.

    The bare axes fill it and count in points from the bottom left.
    """
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def save(figure: Figure, path: str | Path, dpi: int = 300) -> None:
    """Write a figure as its name's ending says, pdf or png.

    The same figure gives the same bytes, so no dates inside.
    """
    kind = str(path).rpartition(".")[2]
    metadata = {"pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
    with atomic(path) as temporary, mpl.rc_context(RC):
        figure.savefig(temporary, format=kind, metadata=metadata, dpi=dpi)
        if kind == "png":  # of 256 colours, a third of the size: the report holds all of them
            image = Image.open(temporary).convert("RGB").quantize(256, dither=Image.Dither.NONE)
            image.save(temporary, "PNG", dpi=(dpi, dpi))
