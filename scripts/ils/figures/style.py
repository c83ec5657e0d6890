"""How every figure looks: one font that comes with matplotlib, print sizes, a colour a method.

The colours are safe for the colour-blind.
"""

import functools
import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from ils.columns import parts
from ils.files import atomic

FONT = "DejaVu Sans"
SIZE = 7  # points, at the printed size
SMALL = 6
COLUMN = 252  # points: the width of one column of the paper
PAGE = 516  # and of both
GREY = "#666666"

# Paul Tol's "muted" scheme. A calibrated column keeps the colour of the method that it calibrates.
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

# For other methods, in turn. The colours are the furthest from those above, from white and from
# each other, also for the colour-blind (distances in Oklab, as simulated by Machado et al. 2009).
SPARE_COLOURS = (
    *("#D20F00", "#8700F0", "#4B1E00", "#96C300", "#E178FF"),
    *("#00004B", "#8769FF", "#F000C3", "#0000D2", "#000000"),
)
SPARE_DASHES = "-", "--", "-.", ":"
SPARE_MARKERS = "*", "p", "h", "d", "8", "H", (4, 1, 0)  # no multiple of the numbers of the others

# else every PDF fills the log with the glyphs of its fonts
logging.getLogger("fontTools").setLevel(logging.WARNING)

RC: Any = {
    "font.family": FONT,
    "font.size": SIZE,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "ils",  # the names inside are the same each time
}


def tint(shade: str, share: float) -> str:
    """Return the colour `shade` mixed with white, of which `share` (0 to 1) is white."""
    red, green, blue = (share + (1 - share) * part for part in to_rgb(shade))
    return to_hex((red, green, blue))


def look_of(method: str, added: list[str]) -> dict[str, Any]:
    """How the lines of a method are drawn, the paper's or one that is `added`: the first 140 of
    these differ, the first 28 without their colours, too."""
    if method in COLOURS:
        dashes, marker = LINES[method]
        return {"color": COLOURS[method], "linestyle": dashes, "marker": marker}
    spare = {"color": SPARE_COLOURS, "linestyle": SPARE_DASHES, "marker": SPARE_MARKERS}
    place = added.index(method)
    return {name: values[place % len(values)] for name, values in spare.items()}


def line_looks(columns: Iterable[str], controls: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return {column: {color, linestyle, marker}}; those of one method look alike, others never.

    columns: all of a study, in its order, that are no controls, and any `controls`. These decide
    which spare look a method has, controls last: so it is the same in all figures.
    """
    columns = sorted(columns, key=lambda column: column in controls)
    methods = {column: parts(column)[0] for column in columns}
    added = [method for method in dict.fromkeys(methods.values()) if method not in COLOURS]
    return {column: look_of(method, added) for column, method in methods.items()}


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
    """Write a figure as its name's ending says, pdf, png or svg.

    The same figure gives the same bytes, so no dates inside.
    """
    kind = str(path).rpartition(".")[2]
    dated = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}
    with atomic(path) as temporary, mpl.rc_context(RC):
        figure.savefig(temporary, format=kind, metadata={dated[kind]: None}, dpi=dpi)
        if kind == "png":  # of 256 colours, a third of the size: the report holds all of them
            image = Image.open(temporary).convert("RGB").quantize(256, dither=Image.Dither.NONE)
            image.save(temporary, "PNG", dpi=(dpi, dpi))
        if kind == "svg":  # read where there may be no such font
            text = Path(temporary).read_text(encoding="utf-8")
            Path(temporary).write_text(text.replace(f"'{FONT}'", f"'{FONT}', sans-serif"), "utf-8")
