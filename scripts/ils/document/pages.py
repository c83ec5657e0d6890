"""Tables as HTML pages that need nothing else.

They are what results/report.html shows and a browser opens by itself.
"""

import base64
import gzip
from html import escape
from typing import Any

import pandas as pd

STYLE = """
body { font: 13px/1.4 system-ui, sans-serif; color: #1f2937; margin: 24px; }
h1 { font-size: 20px; margin: 0 0 4px; } p { margin: 0 0 12px; max-width: 80ch; } \
a { color: #1d4ed8; }
table { border-collapse: collapse; margin: 0 0 20px; }
th, td { padding: 3px 8px; text-align: left; vertical-align: top; \
border-bottom: 1px solid #e5e7eb; max-width: 52ch; }
th { background: #f3f4f6; border-bottom: 2px solid #9ca3af; }
table.sorted th { position: sticky; top: 0; cursor: pointer; }
td.long { min-width: 26ch; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } \
sub { color: #6b7280; }
td.holds, td.better { background: #d1fae5; } td.fails, td.worse { background: #fecaca; } \
td.equivalent { background: #dbeafe; } td.open { background: #f3f4f6; }
td.true { background: #fef3c7; }
input { font: inherit; padding: 4px 8px; margin: 0 0 10px; width: 30ch; } \
pre { background: #f3f4f6; padding: 12px; }
"""
# Rows that hold every word typed; a click on a head sorts by its column as it is shown, a second
# one the other way round.
SCRIPT = """
const unpack = packed => new Response(new Blob([Uint8Array.from(atob(packed), \
c => c.charCodeAt(0))]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
unpack(csv).then(text => { document.querySelector("a[download]").href = \
"data:text/csv;charset=utf-8," + encodeURIComponent(text); });
unpack(shown).then(html => { document.querySelector("#table").innerHTML = html;
const table = document.querySelector("table.sorted"), body = table.tBodies[0], \
box = document.querySelector("input");
box.oninput = () => { const words = box.value.toLowerCase().split(/\\s+/);
  for (const row of body.rows) row.hidden = \
!words.every(word => row.textContent.toLowerCase().includes(word)); };
[...table.tHead.rows[0].cells].forEach((head, column) => { let sign = -1; \
head.onclick = () => { sign = -sign;
  const key = row => row.cells[column].firstChild?.textContent ?? "";
  const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
  body.append(...[...body.rows].sort((a, b) => sign * compare(key(a), key(b)))); }; }); });
"""
SMALLEST = 5e-5  # the smallest number of which four decimals show anything
VERDICTS = ["holds", "fails", "better", "worse", "practically equivalent", "undecided"]
VERDICTS += ["not significant", "not measured"]


def kind_of(text: str, true: bool) -> str:
    """The class of a cell of text, "" for none: a verdict, what is true, or a long text."""
    if text in VERDICTS:
        plain = text.removeprefix("practically ")
        return plain if plain in ("holds", "fails", "better", "worse", "equivalent") else "open"
    return "true" if true else "long" * (len(text) > 50)


def number(value: float, whole: bool = False) -> str:
    """Return a number as a page shows it: four decimals, all of them, or that of a `whole` column.

    Of what is too small for four decimals, two digits.
    """
    if whole or not isinstance(value, float):
        return f"{value:.0f}"
    return f"{value:.1e}" if 0 < abs(value) < SMALLEST else f"{value:.4f}"


def is_whole(column: pd.Series) -> bool:
    """Whether a column has nothing but whole numbers, such as counts of which some are missing."""
    return pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all())


def cell(value: Any, rank: float | None = None, best: bool = False, whole: bool = False) -> str:
    """Return one cell; `whole`: its column has nothing but whole numbers."""
    if pd.isna(value):
        return "<td></td>"
    if isinstance(value, (bool, str)) or not pd.api.types.is_number(value):
        kind = kind_of(str(value), value is True)
        return (f'<td class="{kind}">' if kind else "<td>") + f"{escape(str(value))}</td>"
    text = number(value, whole)
    text = f"<b>{text}</b>" if best else text
    below = "" if pd.isna(rank) else f"<sub>{rank:g}</sub>"
    return f'<td class="number">{text}{below}</td>'


def table(frame: pd.DataFrame, kind: str = "sorted") -> str:
    """Return a DataFrame as a table.

    A column "X rank" becomes the subscripts of column "X", whose best are bold.
    """
    ranks = {column: frame[f"{column} rank"] for column in frame if f"{column} rank" in frame}
    shown = [
        column for column in frame if column.removesuffix(" rank") not in ranks or column in ranks
    ]
    best = pd.DataFrame(ranks).min(axis=1)
    whole = {column: is_whole(frame[column]) for column in shown}
    lines = []
    for index, row in enumerate(frame.to_dict("records")):
        cells = []
        for column in shown:
            rank = ranks[column].iloc[index] if column in ranks else None
            first = rank is not None and rank == best.iloc[index]
            cells.append(cell(row[column], rank, first, whole[column]))
        lines.append("<tr>" + "".join(cells) + "</tr>")
    heads = [column.replace("_", " ") if column.islower() else column for column in map(str, shown)]
    head = "".join(f"<th>{escape(column)}</th>" for column in heads)
    return (
        f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table>"
    )


def counts(frame: pd.DataFrame, rows: str, columns: str) -> pd.DataFrame:
    """Return how often each pair of values of two columns occurs, rows in order of appearance."""
    pairs, values = pd.crosstab(frame[rows], frame[columns]), frame[columns].unique()
    ordered = [value for value in VERDICTS if value in values] or sorted(values)
    return pairs.reindex(index=frame[rows].unique(), columns=ordered).reset_index()


def page(title: str, sentence: str, body: str) -> str:
    """Return a page with its heading, a sentence and the `body`, which is HTML already."""
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = f"<h1>{escape(title)}</h1>\n<p>{escape(sentence)}</p>\n{body}"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def browser(frame: pd.DataFrame, name: str, counted: tuple[str, str] | None = None) -> str:
    """Return the body of a page on a table: a link to save it as csv, a search box, the table.

    The browser unpacks file and table. `counted`: two columns whose values are counted above.
    """
    text = frame.to_csv(index=False, lineterminator="\n")
    link = f'<p><a download="{name}.csv" href="">Save as csv</a>, with every digit.</p>'
    above = table(counts(frame, *counted), "counts") if counted else ""
    box = '<input placeholder="Show rows with ...">'
    data = f'const csv = "{packed(text)}", shown = "{packed(table(frame))}";'
    return f'{link}{above}{box}\n<div id="table"></div><script>{data}{SCRIPT}</script>'


def packed(text: str) -> str:
    """Return a text compressed, as base64: of a long table a tenth of the bytes."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
