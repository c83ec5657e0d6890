r"""The reproduction as a LaTeX document: tables and figures in the paper's order.

Each is a block of a title, a sentence and what it shows. Tables are \input as they stand by
themselves; here they do not float, and shrink where they are taller than a page.
"""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from ils.document.latex import escape, row
from ils.paper import DIAGRAMS

PREAMBLE = r"""% Compile with pdflatex in this folder.
\documentclass[a4paper,10pt]{article}
\usepackage[margin=18mm,bottom=20mm]{geometry}
\usepackage{booktabs,graphicx,longtable,multicol,pdflscape}
\usepackage[labelformat=empty,font=small,skip=4pt]{caption}
\usepackage[hidelinks]{hyperref}
% The same input gives the same bytes.
\pdfinfoomitdate=1 \pdftrailerid{} \pdfsuppressptexinfo=-1
\setlength{\tabcolsep}{4pt}\setlength{\parindent}{0pt}\setlength{\parskip}{4pt plus 2pt}
\raggedbottom
\newsavebox{\artefactbox}
\newcommand{\tallest}{\dimexpr\textheight-6\baselineskip\relax}
% Not floating, as wide as the line, and no taller than a page less the title and the sentence
% above it.
\newcommand{\artefact}[1]{\begingroup
  \renewenvironment{table*}[1][]
    {\begin{lrbox}{\artefactbox}\begin{minipage}{\linewidth}\captionsetup{type=table}}
    {\end{minipage}\end{lrbox}%
     \ifdim\dimexpr\ht\artefactbox+\dp\artefactbox>\tallest
       \centerline{\resizebox*{!}{\tallest}{\usebox{\artefactbox}}}%
     \else\usebox{\artefactbox}\fi\par}%
  \renewcommand{\label}[1]{}% nothing refers to them, and two tables may share one
  \input{#1}\endgroup}
\newcommand{\highest}{\dimexpr\tallest-4\baselineskip\relax}% less the caption below it
\newcommand{\drawing}[2][\linewidth]{\sbox{\artefactbox}{\includegraphics{#2}}%
  \ifdim\wd\artefactbox>#1\sbox{\artefactbox}{\resizebox{#1}{!}{\usebox{\artefactbox}}}\fi
  \ifdim\ht\artefactbox>\highest\resizebox{!}{\highest}{\usebox{\artefactbox}}%
  \else\usebox{\artefactbox}\fi}
\newenvironment{block}[3]
  {\par\addvspace{18pt}\begin{minipage}{\linewidth}\setlength{\parskip}{4pt}#3%
   \entry{subsection}{#1}\textbf{#1.} #2\par\medskip}
  {\end{minipage}\par}
\newcommand{\entry}[2]{\phantomsection\addcontentsline{toc}{#1}{#2}}
\newcommand{\place}[1]{\entry{section}{#1}{\large\textbf{#1}}\par\bigskip}
\makeatletter
\newcommand{\contents}{\begin{multicols}{2}\small\@starttoc{toc}\end{multicols}}
\makeatother
"""

CONTRADICTIONS = "contradictions"
# The decision, then the paper's in its order, and what stands in each: what shares a page first.
SECTIONS = [
    ("What this run decides", ["claim_bars", "forest", "budget"]),
    ("Sections III and IV: synthetic data", ["fig01", "table1", "fig02", "table2", "fig04"]),
    ("Section VI: real data", ["table3", "published/table3", CONTRADICTIONS, "table4"]),
    ("Appendix A: synthetic data", ["table6", "fig05", "table5", "synthetic_differences"]),
    ("Appendix B: the smoothing factor", ["fig06", "fig07", "fig08", "fig09", "fig10", "fig11"]),
    ("Appendix C: critical-difference diagrams", ["fig12", "fig13", "fig14", "fig15"]),
]
TITLES = {
    "forest": "Headline comparisons",
    "budget": "Equal budgets",
    "claim_bars": "Claims at a glance",
    "table1": "Table I",
    "table2": "Table II",
    "table3": "Table III, this run",
    "published/table3": "Table III, the printed values",
    CONTRADICTIONS: "Contradictions in the printed Table III",
    "table4": "Table IV",
    "table5": "Table V",
    "table6": "Table VI",
    "synthetic_differences": "To Table V: paired differences",
}
LONG = {"table5"}  # several tables, each of which may take a page
LAST = r"\input{table3_long}"  # on landscape pages of its own, if there is anything in it
PROSE = {
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    r"p\_t": "$p_t$",
}


def prose(text: object) -> str:
    """Return plain text as LaTeX."""
    escaped = escape(text)
    for plain, latex in PROSE.items():
        escaped = escaped.replace(plain, latex)
    return escaped


def title(name: str) -> str:
    """Return what an artefact is called: "Table I", "Figure 2"."""
    return TITLES.get(name) or f"Figure {int(name.removeprefix('fig'))}"


def sides(name: str, own: Collection[str]) -> str:
    """What stands behind the caption of a critical-difference diagram, the paper's or one of a
    study's `own`: which of its files is where; "" for other figures."""
    without = "without the calibrated columns."
    if name in DIAGRAMS:
        return f" Left: this run; right: the printed values; below: {without}"
    return f" Right: {without}" if name in own else ""


def drawings(files: Sequence[str], caption: str) -> str:
    """Return figures, two in a row if there are several, over one caption."""
    width = r"\linewidth" if len(files) == 1 else r".49\linewidth"
    cells = [rf"\drawing[{width}]{{{file}}}" for file in files]
    rows = [r"\hfill ".join(cells[i : i + 2]) for i in range(0, len(cells), 2)]
    body = "\\\\[6pt]\n".join(rows)
    below = rf"\captionsetup{{type=figure}}\caption{{{prose(caption)}}}"
    return rf"{{\centering {body}\par}}" + f"\n{below}"


def block(
    name: str, sentence: str, body: str, above: str = "", heading: str = "", wide: bool = False
) -> str:
    """Return one artefact under its title, or another heading, and the sentence on what reproduced.

    It is on a landscape page if it is `wide`. `above`: LaTeX over the title.
    """
    inside, after = ("", rf"\nopagebreak {body}") if name in LONG else (f"{body}\n", "")
    begin = rf"\begin{{block}}{{{prose(heading) or title(name)}}}{{{prose(sentence)}}}{{{above}}}"
    text = f"{begin}\n{inside}" + r"\end{block}" + after
    return f"\\begin{{landscape}}\n{text}\n\\end{{landscape}}" if wide else text


def counts_table(counts: pd.DataFrame) -> str:
    """Return a small table of counts, a DataFrame whose first column names its rows."""
    head = [prose(column) for column in counts]
    rows = [
        [prose(first), *(f"{count:d}" for count in rest)]
        for first, *rest in counts.itertuples(index=False)
    ]
    lines = [
        rf"\begin{{tabular}}{{@{{}}l{'r' * (len(head) - 1)}@{{}}}}",
        r"\toprule",
        row(head),
        r"\midrule",
        *map(row, rows),
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def document(
    heading: str,
    summary: str,
    artefacts: Mapping[str, tuple[str, str]],
    more: Mapping[str, str] | None = None,
    wide: Collection[str] = (),
) -> str:
    """Return the document: a first page with its contents, and the artefacts.

    They are in the order of SECTIONS, behind them {name: title} of `more`; the `wide` ones have
    landscape pages. summary: LaTeX before them; artefacts: {name: (sentence, LaTeX)}.
    """
    parts = [PREAMBLE, r"\begin{document}", rf"{{\Large\textbf{{{heading}}}\par}}", summary]
    for section, names in SECTIONS:
        present = [name for name in names if name in artefacts]
        above = [rf"\place{{{section}}}"] + [""] * len(present)
        parts += [
            block(name, *artefacts[name], place, wide=name in wide)
            for name, place in zip(present, above)
        ]
    titles = more or {}
    parts += [block(name, *artefacts[name], heading=title) for name, title in titles.items()]
    parts += [LAST] if "table3" in artefacts else []
    return "\n\n".join([*parts, r"\end{document}"]) + "\n"
