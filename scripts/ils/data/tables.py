"""What the columns of a table mean: numbers, categories, what is missing, and the classes.

Everything here looks at all rows, those of a later test split included, but never at their labels:
the median that fills gaps, the categories, and which columns are constant.
"""

import datetime
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ils.data.sources import Raw
from ils.data.table_files import Table, is_missing, is_number
from ils.errors import UserError

ID = 0.5  # a text column of which more than this share of the values differ is no category
DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{2,4}( .*)?")


def dataset_of(
    table: Table,
    target: str,
    *,
    drop: Sequence[str],
    split: str | None = None,
    rare: str,
    min_class: int,
) -> Raw:
    """Return the dataset in a table: the column `target` holds the classes, the others the inputs.

    Numbers stay as they are, truth values are 0 and 1. A text column becomes one column of 0 and 1
    for each category, in natural order. What is missing: in a number the column's median over all
    rows, with a further column of 0 and 1 that says where; in text a category of its own. Columns
    in which nothing differs are left out, those of `drop` not even looked at. `split` names a
    column of "train" and "test": the official test split. `rare` says what happens to classes of
    fewer than `min_class` samples, see `joined`. The notes of the result say what was done.
    """
    check_names(table, {"target": [target], "drop": drop, "split": [split] if split else []})
    if rare not in ("refuse", "merge"):
        raise UserError(f"options.rare: {rare!r} is none of refuse, merge")
    if not len(table.frame):
        raise UserError(f"{table.origin}: has no rows; get the file again")
    notes: dict[str, Any] = {"rows": len(table.frame), "target": target}
    labels, classes = classes_of(table, target)
    labels, classes = joined(table, labels, classes, rare, min_class, notes)
    names = [name for name in table.frame if name not in {target, split, *drop}]
    inputs = [array for name in names for array in inputs_of(table, name, notes)]
    if not inputs:
        raise UserError(f"{table.origin}: no column is left to learn from; see options.drop")
    notes |= {"columns": len(names), "inputs": len(inputs)}
    marks = official_test(table, split) if split else np.zeros(len(labels), bool)
    return Raw(np.stack(inputs, 1), labels, classes, marks, table.origin, notes)


def check_names(table: Table, options: dict[str, Sequence[str]]) -> None:
    """Raise UserError unless all columns that the options name are there, each under one option."""
    seen: dict[str, str] = {}
    for option, names in options.items():
        for name in names:
            if name not in table.frame:
                raise UserError(
                    f"{table.origin}: options.{option}: no column {name!r}; it has "
                    f"{', '.join(map(str, table.frame))}; correct the option"
                )
            if name in seen:
                raise UserError(
                    f"{table.origin}: column {name!r} is under options.{seen[name]} and "
                    f"options.{option}; name it once"
                )
            seen[name] = option


def column_of(table: Table, name: str) -> np.ndarray:
    """Return a column as float64 with NaN where a value is missing, or as text with None there.

    Text is trimmed; all of it being numbers, or true and false, it is taken for such, unless the
    table declares categories.
    """
    column = table.frame[name]
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        if pd.api.types.is_complex_dtype(column):
            raise refused(table, name, "holds complex numbers; drop it or write two columns")
        return column.to_numpy(np.float64, na_value=np.nan)
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    values, gaps = column.astype(object).to_numpy(), column.isna().to_numpy()
    texts = np.full(len(values), None, object)
    for row in np.flatnonzero(~gaps):
        value = values[row]
        if is_category and isinstance(value, bool | int | float | np.number):
            value = str(value)
        if not isinstance(value, str):
            raise refused(table, name, unusable(value))
        if not is_missing(value):
            texts[row] = value.strip()
    return texts if is_category else typed(texts)


def unusable(value: object) -> str:
    """What is wrong with a column that holds such a value."""
    if isinstance(value, datetime.date | datetime.timedelta | datetime.time):
        return "holds dates or times; drop it or write it as a number"
    return f"holds values of the kind {type(value).__name__}; drop it or unfold it"


def typed(texts: np.ndarray) -> np.ndarray:
    """Return float64 with NaN for None if all texts are numbers, or all true and false."""
    present = np.array([text is not None for text in texts])
    if all(text.lower() in ("true", "false") for text in texts[present]):
        numbers = [float(text.lower() == "true") for text in texts[present]]
    elif all(map(is_number, texts[present])):
        numbers = list(map(float, texts[present]))
    else:
        return texts
    column = np.full(len(texts), np.nan)
    column[present] = numbers
    return column


def refused(table: Table, name: str, why: str, row: int | None = None) -> UserError:
    """The error of a column that cannot be used."""
    place = "" if row is None else f"{table.place(row)}: "
    return UserError(f"{table.origin}: {place}column {name!r} {why}")


def inputs_of(table: Table, name: str, notes: dict[str, Any]) -> list[np.ndarray]:
    """Return what a column becomes, arrays (N,) float32 in which something differs."""
    column = column_of(table, name)
    is_text = column.dtype == object
    missing = pd.isna(column)
    if missing.all():
        notes.setdefault("left out", {})[name] = "no values"
        return []
    if missing.any():
        notes.setdefault("missing", {})[name] = int(missing.sum())
    if is_text:
        categories = categories_of(table, name, column[~missing])
        notes.setdefault("categories", {})[name] = categories
        arrays = [(column == category).astype(np.float32) for category in categories]
    else:
        arrays = [numbers_of(table, name, column)]
    arrays = [a for a in (*arrays, missing.astype(np.float32)) if a.min() < a.max()]
    if not arrays:
        notes.setdefault("left out", {})[name] = "constant"
    return arrays


def numbers_of(table: Table, name: str, column: np.ndarray) -> np.ndarray:
    """Return a column of numbers as float32, its median where a value is missing."""
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        filled = np.where(np.isnan(column), np.nanmedian(column), column).astype(np.float32)
    if (infinite := np.isinf(filled)).any():
        row = int(infinite.argmax())
        raise refused(table, name, f"is {column[row]}, too large; correct it or drop it", row)
    return filled


def categories_of(table: Table, name: str, values: np.ndarray) -> list[str]:
    """Return the categories of a text column in natural order."""
    categories = in_order(set(values))
    if all(map(DATE.fullmatch, categories)):
        raise refused(table, name, "holds dates; drop it or write it as a number")
    if len(categories) > ID * len(values):
        raise refused(
            table,
            name,
            f"is text, such as {values[0]!r}, and {len(categories)} of {len(values)} values "
            "differ; drop it, or correct it if it should be numbers",
        )
    return categories


def in_order(texts: Collection[str]) -> list[str]:
    """Sort texts: as numbers if all are, else naturally, "a2" before "a10"."""

    def natural(text: str) -> tuple:
        parts = re.split(r"(\d+)", text)  # the odd ones are digits
        digits = [part.lstrip("0") for part in parts[1::2]]
        parts[1::2] = [f"{len(part):09}{part}" for part in digits]
        return parts, text

    if all(map(is_number, texts)):
        return sorted(texts, key=lambda text: (float(text), text))
    return sorted(texts, key=natural)


def classes_of(table: Table, target: str) -> tuple[np.ndarray, list[str]]:
    """Return labels (N,) int64 and the names of the classes: numbers by size, texts naturally."""
    column = column_of(table, target)
    if (missing := pd.isna(column)).any():
        why = f"is the target and lacks {missing.sum()} values, here the first; remove these rows"
        raise refused(table, target, why, int(missing.argmax()))
    if column.dtype != object:
        whole = np.isfinite(column) & (column == np.round(column))
        column = np.array([str(int(v) if w else v) for v, w in zip(column, whole)], object)
    classes = in_order(set(column))
    if len(classes) > ID * len(column):
        raise refused(
            table,
            target,
            f"is the target, and {len(classes)} of {len(column)} values differ: it is no class; "
            "correct the target",
        )
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[value] for value in column], np.int64), classes


def joined(
    table: Table,
    labels: np.ndarray,
    classes: list[str],
    rare: str,
    min_class: int,
    notes: dict[str, Any],
) -> tuple[np.ndarray, list[str]]:
    """Return labels and classes in which none has fewer than `min_class` samples.

    With rare "merge" all smaller ones become one class and, while that is still too small, the next
    smallest joins it. Its name is "a or b", its place that of its first part. With "refuse" a small
    class is a UserError.
    """
    counts = np.bincount(labels)
    order, n = counts.argsort(kind="stable"), int((counts < min_class).sum())
    if not n:
        return labels, classes
    small = ", ".join(f"{classes[k]!r} ({counts[k]})" for k in order[:n])
    if rare == "refuse":
        raise UserError(
            f"{table.origin}: these classes have fewer than {min_class} samples: {small}; remove "
            "their rows, or set options.rare: merge to join them into one class"
        )
    while n < len(classes) and counts[order[:n]].sum() < min_class:
        n += 1
    if n == len(classes):
        raise UserError(
            f"{table.origin}: joining the classes of fewer than {min_class} samples, {small}, "
            "leaves one class; choose another target"
        )
    first, *others = sorted(order[:n])
    name = " or ".join(classes[k] for k in (first, *others))
    notes["joined classes"] = {name: int(counts[order[:n]].sum())}
    kept = [k for k in range(len(classes)) if k not in others]
    numbers = np.zeros(len(classes), np.int64)
    numbers[kept] = np.arange(len(kept))
    numbers[others] = numbers[first]
    return numbers[labels], [name if k == first else classes[k] for k in kept]


def official_test(table: Table, split: str) -> np.ndarray:
    """Return which rows (N,) bool the column `split` says are of the official test split."""
    values = [str(value).strip() for value in table.frame[split]]
    for row, value in enumerate(values):
        if value not in ("train", "test"):
            why = f"is {value!r}; options.split names a column of train and test"
            raise refused(table, split, why, row)
    if "test" not in values:
        raise refused(table, split, "has no row that is test; leave out options.split")
    return np.array(values) == "test"
