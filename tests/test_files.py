"""A file that exists is whole, holds what was written, and is the same bytes each time; a damaged one says so."""

import os

import numpy as np
import pandas as pd
import pytest
from ils.errors import UserError
from ils.files import atomic, load_arrays, read_csv, save_arrays, write_csv, write_text

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


def test_arrays_and_metadata_come_back_as_they_were(tmp_path):
    save_arrays(tmp_path / "a", ARRAYS, seed=3, point={"epsilon": 0.1})
    arrays, metadata = load_arrays(tmp_path / "a")
    assert metadata == {"seed": 3, "point": {"epsilon": 0.1}} and set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        assert (arrays[name] == array).all()
    assert list(load_arrays(tmp_path / "a", ["labels"])[0]) == ["labels"]


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
        with pytest.raises(UserError, match="arrays: damaged.*delete the file"):
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
    with pytest.raises(UserError, match="t.csv: damaged"):
        read_csv(tmp_path / "t.csv")
