"""Files of tables: CSV, TSV, ARFF and KEEL's .dat, Parquet; all but the last may be gzipped.

Each becomes a `Table`. What its columns mean is for `tables.py` to say.
"""

import csv
import gzip
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, TextIO

import pandas as pd

from ils.data.foreign import foreign
from ils.errors import UserError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
READABLE = "get the file again, or save it once more as UTF-8 text"
MISSING = frozenset(("", "na", "nan", "?", "<null>", "null"))
NUMERIC = ("numeric", "real", "integer")
# @attribute name type: the name in quotes or not, the type a word or {a list}, maybe with a [range]
ATTRIBUTE = re.compile(
    r"""@attribute\s+('[^']*'|"[^"]*"|[^\s{]+)\s*(\{.*\}|\w+)\s*(?:\[.*\])?\s*$""", re.I
)
VALUE = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]*?)\s*(,|$)""")


class Table(NamedTuple):
    """A table as it was read: values may be text that stands for numbers, or categories.

    origin: where it came from, for messages; lines: the line in that file of each row, () where a
    file has none; target: the column of the classes, where the file says which.
    """

    frame: pd.DataFrame
    origin: str
    lines: Sequence[int] = ()
    target: str | None = None

    def place(self, row: int) -> str:
        """Where a message says that a row is: lines and rows are counted from 1."""
        return f"line {self.lines[row]}" if self.lines else f"row {row + 1}"


def file_of(file: str, package: str | None) -> str:
    """Return the path of a file, or of one inside an installed package, which is not imported."""
    if package is None:
        return file
    found = find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"options.package: {package!r} is no package that is installed here; install it, or "
            "leave it out and give the file's path"
        )
    return os.path.join(found.submodule_search_locations[0], file)


def read(path: str) -> Table:
    """Read the table in a file, by the ending of its name."""
    if not os.path.lexists(path):
        raise UserError(f"{path}: no such file; correct options.file")
    ending = Path(path.lower().removesuffix(".gz")).suffix
    if ending in DELIMITERS:
        return read_lines(path, DELIMITERS[ending])
    if ending in (".arff", ".dat"):
        return read_arff(path)
    if path.lower().endswith(".parquet"):
        return read_parquet(path)
    raise UserError(
        f"{path}: its name ends in none of .csv, .tsv, .arff, .dat (each also with .gz) and "
        ".parquet; rename it to what it is"
    )


def opened(path: str) -> TextIO:
    """Open a text file, gzipped or not."""
    if path.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


def table_of(names: list[str], rows: list[tuple[int, list[str]]], path: str) -> Table:
    """Make a table of the rows (line, values) of a file; UserError where the values are not as many
    as the columns, or two columns of one name."""
    check_unique(names, path)
    for line, values in rows:
        if len(values) != len(names):
            raise UserError(
                f"{path}: line {line}: {len(values)} values for {len(names)} columns; correct the "
                "line, and put a value that holds the delimiter in quotes"
            )
    frame = pd.DataFrame([values for _, values in rows], columns=names, dtype=object)
    return Table(frame, path, [line for line, _ in rows])


def check_unique(names: Sequence[str], path: str) -> None:
    """Raise UserError for two columns of one name."""
    for i, name in enumerate(names):
        if name in names[:i]:
            raise UserError(f"{path}: has two columns {name!r}; rename one")


def read_lines(path: str, delimiter: str) -> Table:
    """Read a file of lines, the first of which names the columns; empty lines are passed over."""
    with foreign(path, READABLE), opened(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        names = [name.strip() for name in next(reader, [])]
        rows = [(reader.line_num, values) for values in reader if values]
    if len(names) < 2:
        raise UserError(
            f"{path}: line 1: names no two columns; .csv files have commas between them, .tsv "
            "files tabs"
        )
    if "" in names:
        raise UserError(
            f"{path}: line 1: column {names.index('') + 1} has no name; give it one, and name it "
            "under options.drop if it only counts the rows"
        )
    return table_of(names, rows, path)


def read_parquet(path: str) -> Table:
    """Read a Parquet file; an index that pandas stored beside the columns is left out."""
    with foreign(path, "it must be a Parquet file"):
        frame = pd.read_parquet(path).rename(columns=str)
    check_unique(list(frame.columns), path)
    return Table(frame.reset_index(drop=True), path)


def read_arff(path: str) -> Table:
    """Read an ARFF file, or one of KEEL, in which @inputs and @outputs name the columns to use.

    Columns with a {list of values} become categories. Without @outputs the last is the target.
    """
    with foreign(path, READABLE), opened(path) as file:
        lines = enumerate([line.strip() for line in file.read().splitlines()], 1)
    columns: list[tuple[str, set[str] | None]] = []  # see `attribute`
    used: dict[str, list[str]] = {"@input": [], "@output": []}
    for number, line in lines:
        key = re.split(r"\s", line.lower(), maxsplit=1)[0]
        if key == "@data":
            break
        if key == "@attribute":
            columns.append(attribute(line, f"{path}: line {number}"))
        elif key.rstrip("s") in used:
            used[key.rstrip("s")] += values_of(line[len(key) :])
    else:
        raise UserError(f"{path}: has no line @data; it must be an ARFF or KEEL file")
    rows = [(number, values_of(line)) for number, line in lines if line and line[0] != "%"]
    table = table_of([name for name, _ in columns], rows, path)
    for name, kind in columns:
        check_values(table, name, kind)
        if kind:
            table.frame[name] = table.frame[name].astype("category")
    return chosen(table, used["@input"], used["@output"])


def attribute(line: str, place: str) -> tuple[str, set[str] | None]:
    """Return the name in a line @attribute, and the values it lists: none for text, None for
    numbers."""
    parts = ATTRIBUTE.match(line)
    kind = parts[2].lower() if parts else ""
    if parts is None or not (kind in ("string", *NUMERIC) or kind.startswith("{")):
        raise UserError(
            f"{place}: {line!r} says no column that can be used; it must be @attribute, a name, "
            "and real, integer, numeric, string or {the, values}"
        )
    name = values_of(parts[1])[0]
    if kind.startswith("{"):
        return name, set(values_of(parts[2][1:-1]))
    return name, set() if kind == "string" else None


def values_of(line: str) -> list[str]:
    """Split a line of ARFF at its commas, but not within quotes of either kind."""
    if "'" not in line and '"' not in line:
        return [value.strip() for value in line.split(",")]
    values, start, comma = [], 0, ","
    while comma:
        match = VALUE.match(line, start)
        assert match, "the last alternative matches anything up to a comma"
        value, comma = match.groups()
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        values.append(value)
        start = match.end()
    return values


def check_values(table: Table, name: str, kind: set[str] | None) -> None:
    """Raise UserError for the first value of an ARFF column that its @attribute does not allow."""
    for row, value in enumerate(table.frame[name]):
        if is_missing(value) or (value in kind if kind else kind is not None or is_number(value)):
            continue
        wanted = "is none of its {values}" if kind else "is no number"
        raise UserError(
            f"{table.origin}: {table.place(row)}: column {name!r}: {value!r} {wanted}; correct it "
            "or its @attribute"
        )


def chosen(table: Table, inputs: list[str], outputs: list[str]) -> Table:
    """Return a table of the columns that @inputs and @outputs name, if they do."""
    frame = table.frame
    if unknown := {*inputs, *outputs} - set(frame.columns):
        raise UserError(
            f"{table.origin}: @inputs or @outputs name {sorted(unknown)[0]!r}, which is no "
            "@attribute; correct the file"
        )
    if len(outputs) > 1:
        raise UserError(
            f"{table.origin}: @outputs names {len(outputs)} columns and a dataset has one; correct "
            "the file"
        )
    target = outputs[0] if outputs else frame.columns[-1]
    if inputs:
        frame = frame[[name for name in frame.columns if name in {*inputs, target}]]
    return table._replace(frame=frame, target=target)


def is_missing(text: str) -> bool:
    """Whether a text stands for a value that is not there."""
    return text.strip().lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a text is a number, as Python reads it but without underscores."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
