"""A run in one small file, results/summary.json: what REPRODUCTION.md is filled from, and what
another run is compared with.

It holds the paragraph on what was found, what the numbers depend on, and tables, each as its
columns and rows. Floats have six significant digits; what is no finite number is null.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ils.errors import UserError
from ils.files import read_csv, write_text
from ils.paper import TABLE_III

COUNTS = ["as_claimed", "equivalent", "undecided", "opposite"]
PAIR = ["metric", "better", "worse", "trainings"]
GAIN = ["n", "estimate", "low", "high", "verdict", "new_low", "new_high"]
KEPT = {  # of a table: its columns, and its rows by a query; of others everything
    "claims": (["study", "claim", "verdict", *COUNTS], "not study.str.endswith('Eq. 2')"),
    "comparisons": ([*PAIR, *GAIN], "headline"),
    "average_ranks": (["metric", "method", "average_rank"], "pool == 'all'"),
    "friedman": (["metric", "n", "k", "p", "critical_difference"], "pool == 'all'"),
}
PACKAGES = ("numpy", "scipy", "torch")  # whose versions decide numbers


def what_ran(record: Mapping[str, Any]) -> dict[str, Any]:
    """Of provenance.json what the numbers depend on."""
    names = ("config_file", "commit", "device", "python", "processor")
    return {name: record[name] for name in names} | {
        "kernels": record["kernels"]["capability"],
        "packages": {name: record["packages"][name] for name in PACKAGES},
    }


def kept(path: str) -> pd.DataFrame:
    """Of a table, a csv file, what a summary holds."""
    if Path(path).stem not in KEPT:
        return read_csv(path)
    columns, rows = KEPT[Path(path).stem]
    return read_csv(path, columns).query(rows)[columns]


def packed(table: pd.DataFrame) -> dict[str, list]:
    """A table as its columns and its rows."""
    rows = [[plain(value) for value in row] for row in table.astype(object).values.tolist()]
    return {"columns": list(table), "rows": rows}


def plain(value: Any) -> Any:
    """A value as JSON has it: a float rounded to six significant digits, None unless finite."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def summary(record: Mapping[str, Any], found: str, tables: Iterable[str]) -> dict[str, Any]:
    """The summary of a run: its provenance, the paragraph, and csv files, named by their stems."""
    packs = {Path(path).stem: packed(kept(path)) for path in tables}
    return {"ran": what_ran(record), "found": " ".join(found.split()), "tables": packs}


def brief(content: Mapping[str, Any]) -> dict[str, Any]:
    """Of a summary what another run is compared by: verdicts on claims and headline pairs."""
    tables = content["tables"]
    own = unpacked(tables, "claims").query("study.str.startswith('this run')")
    pairs = unpacked(tables, "comparisons").query("trainings.isna()")
    pairs = pairs[pairs["metric"].isin(TABLE_III)]
    briefly = {"claims": packed(own), "comparisons": packed(pairs)}
    return {"ran": content["ran"], "found": content["found"], "tables": briefly}


def save(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a summary, or several by name."""
    write_text(path, text(content) + "\n")


def text(value: Any, indent: str = "") -> str:
    """JSON with sorted keys, and a row of a table on one line."""
    if isinstance(value, Mapping):
        items = (f"{json.dumps(k)}: {text(value[k], indent + ' ')}" for k in sorted(value))
        brackets = "{}"
    elif isinstance(value, list) and value and isinstance(value[0], list):
        items, brackets = (text(row) for row in value), "[]"
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    lines = f",\n{indent} ".join(items)
    return f"{brackets[0]}\n{indent} {lines}\n{indent}{brackets[1]}"


def unpacked(tables: Mapping[str, Any], name: str) -> pd.DataFrame:
    """A table of a summary; UserError where its rows have not as many values as it has columns."""
    columns, rows = tables[name]["columns"], tables[name]["rows"]
    if any(len(row) != len(columns) for row in rows):
        raise UserError(
            f"the summary's table {name}: a row has not {len(columns)} values, one a column; "
            "make the summary again"
        )
    return pd.DataFrame(rows, columns=columns)
