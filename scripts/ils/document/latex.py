"""LaTeX as text: escaping, numbers with ranks, and tables made of blocks. It computes nothing."""

import re
from collections.abc import Sequence

from ils.plan.metrics import Metric

Blocks = Sequence[tuple[str, Sequence[Sequence[str]]]]  # (title, rows of cells) pairs, all LaTeX

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_{}"},
}

PRINTS_NOTHING = re.compile(r"\\[a-zA-Z]+|[\\${}]|_\{")  # of the cells of a table
SIZES = {"footnotesize": 165, "scriptsize": 190}  # characters in a line of a landscape A4 page
UPRIGHT, TURNED = (110, 62), (165, 36)  # characters in a line of a page in footnotesize, and lines
LARGER = 1.4  # how much larger a table must be on a landscape page to have one of its own


def escape(text: object) -> str:
    """Return `text` such that LaTeX prints it as it is."""
    return "".join(SPECIAL.get(character, character) for character in str(text))


def percent(metric: Metric) -> str:
    """What stands behind the name of a metric whose values are per cent."""
    return r" \%" * (metric.factor == 100)


def number(value: float, decimals: int, bold: bool = False, rank: float | None = None) -> str:
    r"""Return `value` with that many decimals: "0.306$_{5.5}$" or "\textbf{0.706}$_{1}$"."""
    text = f"{value:.{decimals}f}"
    return (rf"\textbf{{{text}}}" if bold else text) + ("" if rank is None else f"$_{{{rank:g}}}$")


def row(cells: Sequence[str]) -> str:
    r"""Return one line of a table: cells, already LaTeX, between & and with \\ at the end.

    A first cell that begins with [ or * would be read as an option of the \\ before it.
    """
    return "{}" * cells[0].startswith(("[", "*")) + " & ".join(cells) + r" \\"


def wide_table(
    caption: str,
    label: str,
    header: Sequence[str],
    blocks: Blocks,
    columns: str | None = None,
    above: Sequence[tuple[str, int]] = (),
) -> str:
    r"""Return a table* as wide as the page at most.

    header: the column heads; above: titles over so many of them each, after the first one. blocks:
    rows, each set of them under its title, if it has one. All of it, the caption
    too, is LaTeX already. `columns` is LaTeX's specification of them, without it all are l: numbers
    align on the left, because the ranks behind them differ in width and the digits before the point
    hardly do.
    """
    body: list[str] = []
    for title, rows in blocks:
        name = rf"\multicolumn{{{len(header)}}}{{@{{}}l}}{{\textit{{{title}}}}} \\"
        body += [r"\midrule", *([name] if title else []), *map(row, rows)]
    titles = [rf"\multicolumn{{{count}}}{{l}}{{\textit{{{title}}}}}" for title, count in above]
    lines = [
        r"% Needs \usepackage{booktabs} and \usepackage{graphicx}.",
        r"\begin{table*}[p]",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        r"\footnotesize",
        # shrinks a table wider than the page and leaves a narrower one alone
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{@{{}}{columns or 'l' * len(header)}@{{}}}}",
        r"\toprule",
        *([row(["", *titles])] if above else []),
        row(header),
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def long_table(caption: str, header: Sequence[str], blocks: Blocks) -> str:
    r"""Return longtables on landscape pages, as wide as those: one a block, from a new page on.

    All is LaTeX already, as in `wide_table`. Each block has its title as the first words of its
    `caption`, and the column heads on each of its pages; its last row stays with the one before.
    """
    body: list[str] = []
    for title, rows in blocks:
        head = [r"\toprule", row(header), r"\midrule"]
        name = rf"\textit{{{title}}}"
        continued = rf"\multicolumn{{{len(header)}}}{{@{{}}l}}{{{name}, continued}} \\"
        body += [
            r"\clearpage",
            rf"\begin{{longtable}}{{@{{\extracolsep{{\fill}}}}{'l' * len(header)}@{{}}}}",
            rf"\caption{{{name}{caption}}} \\",
            *head,
            r"\endfirsthead",
            continued,
            *head,
            r"\endhead",
            r"\bottomrule",
            r"\endfoot",
            *map(row, rows[:-1]),
            r"\nopagebreak\midrule\nopagebreak",
            row(rows[-1]),
            r"\end{longtable}",
        ]
    lines = [
        r"% Needs \usepackage{booktabs}, \usepackage{longtable} and \usepackage{pdflscape}.",
        r"\begin{landscape}",
        rf"\{size(header, blocks)}",
        r"\setlength{\LTcapwidth}{\linewidth}\setlength{\tabcolsep}{0pt}",
        # less than the columns' fill, and enough for the caption of package caption
        r"\setlength{\LTleft}{0pt}\setlength{\LTright}{0pt plus 1fil}",
        *body,
        r"\end{landscape}",
    ]
    return "\n".join(lines) + "\n"


def size(header: Sequence[str], blocks: Blocks) -> str:
    """Return the largest of SIZES in which a landscape page is as wide as the widest cells.

    The rows must not hold the widest cell of each column at once.
    """
    characters = width([header, *(cells for _, rows in blocks for cells in rows)])
    return next((name for name, most in SIZES.items() if characters <= most), "tiny")


def width(rows: Sequence[Sequence[str]]) -> int:
    """The characters in a line of a table's rows, with two between columns."""
    widths = [max(len(PRINTS_NOTHING.sub("", cell)) for cell in column) for column in zip(*rows)]
    return sum(widths) + 2 * len(widths)


def is_wide(text: str) -> bool:
    """Whether a landscape page shows a table of `wide_table` much larger than an upright one."""
    return any(map(turned, text.split(r"\begin{tabular}")[1:]))


def turned(tabular: str) -> bool:
    """Whether that is so of one tabular; a smaller one shares its page with what is beside it."""
    lines = [line.split(" & ") for line in tabular.splitlines() if line.endswith(r" \\")]
    columns = max(map(len, lines))
    characters = width([cells for cells in lines if len(cells) == columns])
    on_turned, on_upright = (
        min(1, most / characters, height / len(lines)) for most, height in (TURNED, UPRIGHT)
    )
    return on_turned > LARGER * on_upright
