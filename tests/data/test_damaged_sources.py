"""Damaged, foreign and malicious data of users: one line that names the file, nothing unpickled."""

import gzip
import os
import pickle
import shutil
import struct
import tarfile

import numpy as np
import pytest
from test_sources import GOOD, serve_cifar, write_fashion, write_folder
from test_sources import server as server  # a fixture

from damage import Bomb, contents, refusal, remove, replace, spoilt
from ils.errors import UserError
from ils.files import load_arrays
from ils.plan.plugins import load
from prepare_dataset import prepare_dataset

N = 4
WRONG = {
    "labels of text": {"labels": np.array(["a", "b", "a", "b"])},
    "labels of objects": {"labels": np.array([Bomb(), 1, 0, 1], object)},
    "inputs of objects": {"inputs": np.array([[Bomb()]] * N, object)},
    "classes of objects": {"classes": np.array([Bomb(), "b"], object)},
    "labels of floats": {"labels": np.array([0.0, np.nan, 1, 0])},
    "labels beyond": {"labels": np.array([0, 1, 2, 9]), "classes": np.array(["a", "b"])},
    "a label of 10^15": {"labels": np.array([0, 1, 2, 10**15])},
    "a label of 2^64 - 1": {"labels": np.array([0, 1, 2, 2**64 - 1], np.uint64)},
    "negative labels": {"labels": np.array([0, 1, -1, 0])},
    "one label": {"labels": np.array(1)},
    "labels in a column": {"labels": np.array([[0], [1], [0], [1]])},
    "labels all alike": {"labels": np.zeros(N, int)},
    "one number": {"inputs": np.float64(1)},
    "a line": {"inputs": np.zeros(N)},
    "complex inputs": {"inputs": np.zeros((N, 3), complex)},
    "dates": {"inputs": np.zeros((N, 3), "datetime64[s]")},
    "structured inputs": {"inputs": np.zeros((N, 3), [("a", int)])},
    "beyond float32": {"inputs": np.full((N, 3), 1e300)},
    "not a number": {"inputs": np.full((N, 3), np.nan)},
    "no features": {"inputs": np.zeros((N, 0))},
    "five axes": {"inputs": np.zeros((N, 1, 1, 1, 1))},
    "marks of text": {"official_test": np.array(["yes", "no", "no", "no"])},
    "marks of floats": {"official_test": np.array([0.5, 0, 0, np.nan])},
    "too few marks": {"official_test": np.array([True])},
    "marks in a table": {"official_test": np.zeros((N, 2), bool)},
    "one class name": {"classes": np.array("a")},
    "no class names": {"classes": np.array([], str)},
}


@pytest.mark.parametrize("what", WRONG)
def test_arrays_of_the_wrong_kind_are_refused_and_objects_never_unpickled(
    what, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", **GOOD | WRONG[what])
    message = refusal(
        lambda: prepare_dataset(tmp_path / "data", "mine", "npz", {"file": "mine.npz"}), tmp_path
    )
    assert "mine.npz: " in message


def idx(sizes, content, kind=8):
    return gzip.compress(
        bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + content
    )


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_damaged_idx_file_is_named_whatever_it_holds(name, tmp_path):
    write_fashion(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    axes = 3 if "images" in name else 1
    versions = spoilt(content) | {
        "of floats": idx([5] * axes, bytes(20), kind=13),
        "sizes that overflow": idx([2**32 - 1] * axes, bytes(10)),
        "sizes whose product wraps to 0": idx([2**31, 2**31, 4][:axes], b""),
        "nothing in it": idx([0] * axes, b""),
        "other axes": idx([5, 5], bytes(25)),
        "one byte too many": gzip.compress(gzip.decompress(content) + b"\0"),
    }
    for what, new in versions.items():
        replace(path, new)
        message = refusal(
            lambda: prepare_dataset(tmp_path / "data", "mine", "idx", {"folder": str(tmp_path)}),
            tmp_path,
        )
        assert str(tmp_path) in message, f"{what}: {message}"
        remove(path)
        path.write_bytes(content)
    assert len(versions) >= 18


def test_a_damaged_image_is_named_whatever_it_holds(tmp_path):
    write_folder(tmp_path / "train", {"ant": 2, "cat": 1})
    path = tmp_path / "train/ant/0001.png"
    content = path.read_bytes()
    versions = spoilt(content)
    for skipped in ("missing", "a folder"):  # fine: one image less
        del versions[skipped]
    for cut in (7, 1):  # all pixels are there
        del versions[f"cut after {len(content) - cut} of {len(content)}"]
    versions["a broken chunk"] = content.replace(b"IDAT", b"\0DAT")
    versions["far too large"] = content[:16] + struct.pack(">II", 100_000, 100_000) + content[24:]
    for what, new in versions.items():
        replace(path, new)
        message = refusal(read_images(tmp_path / "train"), tmp_path)
        assert message.startswith(str(path)), f"{what}: {message}"
        remove(path)
        path.write_bytes(content)
    assert len(versions) >= 16


def read_images(folder, **options):
    return lambda: load("source", "image_folder")(train=str(folder), **options)


@pytest.mark.parametrize("train", ["nowhere", "train/ant/0000.png", "train/ant"])
def test_what_is_no_image_folder_is_named(train, tmp_path):
    write_folder(tmp_path / "train", {"ant": 2, "cat": 1})
    assert f"{train}: no folder of images" in refusal(read_images(tmp_path / train), tmp_path)


@pytest.mark.parametrize("mode", ["I", "F", "1", "P", "XYZ"])
def test_modes_of_other_numbers_than_bytes_are_refused(mode, tmp_path):
    write_folder(tmp_path / "train", {"ant": 2, "cat": 1})
    assert f"options.mode: '{mode}' is none of L," in refusal(
        read_images(tmp_path / "train", mode=mode), tmp_path
    )


def test_links_in_an_image_folder_are_followed_but_not_in_circles(tmp_path):
    """A link only reads; the same images would count twice, or forty times in a circle."""
    write_folder(tmp_path / "train", {"ant": 2, "cat": 1})
    write_folder(tmp_path / "elsewhere", {"dog": 3})
    (tmp_path / "train/dog").symlink_to(tmp_path / "elsewhere/dog")
    (tmp_path / "train/cat/linked.png").symlink_to(tmp_path / "elsewhere/dog/0000.png")
    raw = read_images(tmp_path / "train")()
    assert raw.classes == ["ant", "cat", "dog"] and len(raw.labels) == 7
    for link, target in (("train/dog/circle", "elsewhere/dog"), ("train/bee", "train/ant")):
        (tmp_path / link).symlink_to(tmp_path / target)
        assert "links to the same images as" in refusal(read_images(tmp_path / "train"), tmp_path)
        (tmp_path / link).unlink()


HOSTILE = [
    "<script>alert(1)<",
    "two\nlines",
    "$x$ & \\input{secret} %#_{}~^",
    "'; rm -rf x; '",
    '"quoted"',
    "...",
    ".. ",
]
HOSTILE += ["back\\slash", b"\xff\xfe".decode(errors="surrogateescape")]


def test_hostile_class_names_stay_inside_the_prepared_file(tmp_path):
    """Class names go into no path, page or document: only into the metadata."""
    write_folder(tmp_path / "train", dict.fromkeys(HOSTILE, 2))
    before, output = set(contents(tmp_path)), tmp_path / "results/mine/data"
    prepare_dataset(output, "mine", "image_folder", {"train": str(tmp_path / "train")})
    assert set(contents(tmp_path)) - before == {output, output.parent, output.parent.parent}
    assert load_arrays(output)[1]["classes"] == sorted(HOSTILE)


def test_a_message_stays_one_line_whatever_a_file_is_called(tmp_path):
    write_folder(tmp_path / "train", dict.fromkeys(HOSTILE, 1))
    for name in HOSTILE:
        path = tmp_path / "train" / name / "0000.png"
        content = path.read_bytes()
        path.write_bytes(b"")
        assert "0000.png: cannot be read" in refusal(read_images(tmp_path / "train"), tmp_path)
        path.write_bytes(content)
    shutil.rmtree(tmp_path / "train")
    (tmp_path / "train").mkdir()
    for i in range(300):
        (tmp_path / f"train/{'empty class ' * 10}{i}").mkdir()
    assert "one folder per class" in refusal(read_images(tmp_path / "train"), tmp_path)


@pytest.mark.parametrize("member", ["../escaped", "/tmp/escaped-by-a-test", "link/escaped"])
def test_a_malicious_archive_is_refused_by_its_checksum_before_it_is_opened(
    member, server, tmp_path, monkeypatch
):
    serve_cifar(server, monkeypatch, "CIFAR10")
    archive = server.folder / "cifar-10-python.tar.gz"
    (tmp_path / "payload").write_bytes(pickle.dumps(Bomb()))
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(link)
        tar.add(tmp_path / "payload", member)
        tar.add(tmp_path / "payload", "cifar-10-batches-py/data_batch_1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no verified copy of CIFAR10") as error:
        load("source", "torchvision")(set="CIFAR10", root="root")
    assert str(error.value).isprintable()
    assert not any(
        os.path.lexists(tmp_path / name) for name in ("pwned", "escaped", "/tmp/escaped-by-a-test")
    )
    assert os.listdir(tmp_path / "root") in ([], [archive.name])


@pytest.mark.parametrize("what", ["pickle", "folder", "empty", "link"])
def test_a_local_copy_that_was_tampered_with_is_replaced_by_the_verified_one(
    what, server, tmp_path, monkeypatch
):
    pixels, *_ = serve_cifar(server, monkeypatch, "CIFAR10")
    monkeypatch.chdir(tmp_path)
    load("source", "torchvision")(set="CIFAR10", root="root")
    batch = tmp_path / "root/cifar-10-batches-py/data_batch_2"
    content = {"pickle": pickle.dumps(Bomb()), "empty": b""}
    change = {"folder": lambda path: path.mkdir(), "link": lambda path: path.symlink_to("nowhere")}
    replace(batch, content.get(what) or change.get(what) or b"")
    try:
        np.testing.assert_array_equal(
            load("source", "torchvision")(set="CIFAR10", root="root").inputs, pixels
        )
    except UserError as error:  # what no download can replace
        assert (
            what in ("folder", "link")
            and "no verified copy of CIFAR10" in str(error)
            and str(error).isprintable()
        )
    assert not (tmp_path / "pwned").exists()
