"""A file that exists is whole and the same bytes each time; a damaged one says so."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from ils.errors import UserError
from ils.files import (
    DTYPES,
    atomic,
    load_arrays,
    load_json,
    read_csv,
    save_arrays,
    save_json,
    write_csv,
    write_text,
)

ROOT = Path(__file__).parent.parent
ARRAYS = {
    "logits": np.arange(6.0).reshape(2, 3).T,  # not contiguous
    "labels": np.array([1, 0, 2]),
    "failed": np.array([True, False]),
    "temperature": np.float64(1.5),
}


def test_a_failed_write_leaves_nothing_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    with pytest.raises(RuntimeError, match="halfway"), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("halfway")
    assert list(path.parent.iterdir()) == []
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(path.parent) == ["table.csv"]


def test_a_folder_that_cannot_be_made_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "file" / "table.csv", "text")


def test_files_are_those_that_safetensors_would_write(tmp_path):
    arrays = {
        f"{name}/{dtype}": np.arange(size).reshape(1, -1).astype(dtype)
        for name, size in (("b", 3), ('a/é"', 5), ("empty", 0))
        for dtype in DTYPES
    } | {"number": np.array(0.5)}
    save_arrays(tmp_path / "ours", arrays, name='é "\n')
    with safe_open(tmp_path / "ours", framework="numpy") as file:
        text = file.metadata()["json"]
    assert (tmp_path / "ours").read_bytes() == save(arrays, metadata={"json": text})


def test_large_arrays_are_not_held_twice(tmp_path):
    array, megabyte = np.ones((20, 2**17)), 2**20
    tracemalloc.start()
    save_arrays(tmp_path / "a", {"ones": array})
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    loaded = load_arrays(tmp_path / "a")[0]["ones"]
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written < megabyte and array.nbytes <= read < array.nbytes + megabyte
    assert np.array_equal(loaded, array)
    peak = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"  # KiB, maps count
    lines = "from ils.files import load_arrays; import safetensors.numpy"
    command = [sys.executable, "-c", f"{lines}; p = {peak}; load_arrays('a'); print({peak} - p)"]
    run = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT / "scripts")}}
    grown = subprocess.run(command, **run, check=True, capture_output=True, text=True).stdout
    assert array.nbytes <= 1024 * int(grown) < 1.5 * array.nbytes


def test_arrays_and_metadata_come_back_as_they_were(tmp_path):
    save_arrays(tmp_path / "a", ARRAYS, seed=3, point={"epsilon": 0.1})
    arrays, metadata = load_arrays(tmp_path / "a")
    assert metadata == {"seed": 3, "point": {"epsilon": 0.1}} and set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        assert (arrays[name] == array).all()
    assert list(load_arrays(tmp_path / "a", ["labels"])[0]) == ["labels"]


def test_a_file_of_several_cells_is_read_by_the_cells_name(tmp_path):
    save_arrays(tmp_path / "a", {"x/seed0/n": np.arange(2), "x/seed1/n": np.arange(3), "n": 0})
    assert load_arrays(tmp_path / "a", under="x/seed1/")[0].keys() == {"n"}
    assert len(load_arrays(tmp_path / "a", ["n"], "x/seed1/")[0]["n"]) == 3
    with pytest.raises(UserError, match=r"a: lacks the array\(s\) x/seed2/; delete"):
        load_arrays(tmp_path / "a", under="x/seed2/")
    with pytest.raises(UserError, match=r"a: lacks the array\(s\) m; delete"):
        load_arrays(tmp_path / "a", ["n", "m"], "x/seed0/")


def test_what_a_file_lacks_is_the_users_error_at_any_depth(tmp_path):
    cells = {"iris/MLP/seed0": {"point": {"epsilon": 0.1}, "temperature": 1.5}}
    save_json(tmp_path / "a.json", cells)
    save_arrays(tmp_path / "a", {}, cells=cells)
    for content in (load_json(tmp_path / "a.json"), load_arrays(tmp_path / "a")[1]["cells"]):
        assert content == cells and content["iris/MLP/seed0"]["temperature"] == 1.5
        for look in (
            lambda content: content["iris/MLP/seed1"],
            lambda content: content["iris/MLP/seed0"]["selected"],
            lambda content: content["iris/MLP/seed0"]["point"]["beta"],
        ):
            with pytest.raises(UserError, match=r"lacks .*; delete it and run again"):
                look(content)


@pytest.mark.parametrize("text", ["", "[1, 2]", "3", '{"a": ', "\x00", "null"])
def test_a_damaged_json_file_is_the_users_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a.json: damaged"):
        load_json(tmp_path / "a.json")


def test_the_same_content_gives_the_same_bytes_in_any_order(tmp_path):
    save_arrays(tmp_path / "a", ARRAYS, seed=3, network="LeNet")
    save_arrays(tmp_path / "b", dict(reversed(ARRAYS.items())), network="LeNet", seed=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_missing_damaged_and_foreign_files_are_the_users_error(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "arrays"
    for load in (load_arrays, read_csv):
        with pytest.raises(UserError, match="arrays: no such file"):
            load(path)
    save_arrays(path, ARRAYS)
    with pytest.raises(UserError, match=r"lacks the array\(s\) weights"):
        load_arrays(path, ["labels", "weights"])
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:20], b"", b"\xff" * 100):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"arrays: damaged.*delete the file"):
            load_arrays(path)
    save_file({"labels": np.arange(3)}, path)  # valid, but without our metadata
    with pytest.raises(UserError, match="damaged"):
        load_arrays(path)


def test_a_table_comes_back_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-100, 100)
    frame = pd.DataFrame({"method": ["LS+TempS, joint"] * 200, "value": values, "seed": range(200)})
    write_csv(tmp_path / "a.csv", frame)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "a.csv"), frame, check_exact=True)
    write_csv(tmp_path / "b.csv", read_csv(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("damage", [b"", b'a,b\n1,"2\n', b"a,b\n1,2\n1,2,3\n", b"\xff\xfe\xff"])
def test_a_damaged_table_is_the_users_error(tmp_path, damage):
    (tmp_path / "t.csv").write_bytes(damage)
    with pytest.raises(UserError, match=r"t.csv: damaged"):
        read_csv(tmp_path / "t.csv")
