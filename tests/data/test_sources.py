"""Data files in their official formats, made small: read, downloaded, damaged.

And real Fashion-MNIST.
"""

import functools
import gzip
import hashlib
import http.server
import pickle
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ils.data import foreign, sources
from ils.data.sources import check, wrong_shape
from ils.errors import UserError
from ils.files import load_arrays
from prepare_dataset import prepare_dataset

RNG = np.random.default_rng(0)
FASHION = Path("/usr/share/datasets/fashion-mnist")


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def images(n, channels=3, side=32):
    return RNG.integers(0, 256, (n, channels, side, side), dtype=np.uint8)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of tmp_path/web, with its address and the paths asked for.

    `refuse` says how many requests to refuse first.
    """
    monkeypatch.setattr(foreign, "RETRIES", (0, 0))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            if len(web.asked) <= web.refuse:
                return self.send_error(503)
            return super().do_GET()

        def log_message(self, *args):
            pass

    folder = tmp_path / "web"
    folder.mkdir()
    web = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    )
    web.folder, web.asked, web.refuse = folder, [], 0
    web.url = f"http://127.0.0.1:{web.server_port}/"
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield web
    web.shutdown()
    web.server_close()


def serve_cifar(web, monkeypatch, set):
    """Put an archive of pickled batches on the server: some of training and one of test.

    Returns all images and labels, and how many of them are in the last, the test's.
    """
    from torchvision import datasets as official

    kind = getattr(official, set)
    classes, key = (10, "labels") if set == "CIFAR10" else (100, "fine_labels")
    pixels, labels = images(24), RNG.integers(0, classes, 24)
    folder = web.folder / kind.base_folder
    folder.mkdir()
    names = [name for name, _ in kind.train_list + kind.test_list]
    for name, rows in zip(names, np.array_split(np.arange(24), len(names))):
        batch = {"data": pixels[rows].reshape(len(rows), -1), key: labels[rows].tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / kind.meta["filename"]).write_bytes(
        pickle.dumps({kind.meta["key"]: [f"class {k}" for k in range(classes)]})
    )
    archive = web.folder / kind.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, kind.base_folder)
    monkeypatch.setattr(kind, "url", web.url + kind.filename)
    monkeypatch.setattr(kind, "tgz_md5", md5(archive))
    for part in ("train_list", "test_list"):
        monkeypatch.setattr(
            kind, part, [[name, md5(folder / name)] for name, _ in getattr(kind, part)]
        )
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(folder / kind.meta["filename"])})
    return pixels, labels, len(np.array_split(np.arange(24), len(names))[-1])


@pytest.mark.parametrize("set, classes", [("CIFAR10", 10), ("CIFAR100", 100)])
def test_cifar_is_downloaded_once_verified_and_read_in_order(
    set, classes, server, tmp_path, monkeypatch
):
    pixels, labels, tested = serve_cifar(server, monkeypatch, set)
    server.refuse = 1
    raw = sources.torchvision(set=set, root=str(tmp_path / "root"))
    assert not wrong_shape(raw)  # for `check` classes are missing
    np.testing.assert_array_equal(raw.inputs, pixels)
    np.testing.assert_array_equal(raw.labels, labels)
    assert raw.official_test.tolist() == [False] * (24 - tested) + [True] * tested
    assert raw.classes == [f"class {k}" for k in range(classes)]
    asked = len(server.asked)
    assert asked >= 2  # a refused attempt and the next
    np.testing.assert_array_equal(
        sources.torchvision(set=set, root=str(tmp_path / "root")).inputs, pixels
    )
    assert len(server.asked) == asked


def test_a_download_that_a_broken_connection_cut_is_fetched_again(server, tmp_path, monkeypatch):
    pixels, _, _ = serve_cifar(server, monkeypatch, "CIFAR10")
    archive = server.folder / "cifar-10-python.tar.gz"
    root = tmp_path / "root"
    root.mkdir()
    (root / archive.name).write_bytes(archive.read_bytes()[:1000])
    np.testing.assert_array_equal(sources.torchvision(set="CIFAR10", root=str(root)).inputs, pixels)
    (root / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"not what was there")
    np.testing.assert_array_equal(sources.torchvision(set="CIFAR10", root=str(root)).inputs, pixels)


def test_a_file_with_the_wrong_checksum_is_never_read(server, tmp_path, monkeypatch):
    serve_cifar(server, monkeypatch, "CIFAR10")
    (server.folder / "cifar-10-python.tar.gz").write_bytes(b"something else")
    message = r"copy of CIFAR10.*corrupted.*put the official cifar-10-python\.tar\.gz there"
    with pytest.raises(UserError, match=f"no verified {message}"):
        sources.torchvision(set="CIFAR10", root=str(tmp_path / "root"))
    assert len(server.asked) >= 3


@pytest.mark.parametrize(
    "set, file",
    [
        ("CIFAR100", "cifar-100-python.tar.gz"),
        ("SVHN", "train_32x32.mat"),
        ("FashionMNIST", "train-images-idx3-ubyte.gz"),
    ],
)
def test_without_a_network_one_line_names_the_files_to_get(
    set, file, server, tmp_path, monkeypatch
):
    from torchvision import datasets as official

    server.shutdown()
    server.server_close()
    nowhere = server.url
    for kind in ("CIFAR10", "CIFAR100"):
        monkeypatch.setattr(getattr(official, kind), "url", nowhere + "x.tar.gz")
    lists = {
        part: [nowhere + name, name, sum]
        for part, (_, name, sum) in official.SVHN.split_list.items()
    }
    monkeypatch.setattr(official.SVHN, "split_list", lists)
    monkeypatch.setattr(official.FashionMNIST, "mirrors", [nowhere])
    with pytest.raises(
        UserError, match=f"no verified copy of {set}.*refused.*check the network.*{file}"
    ) as error:
        sources.torchvision(set=set, root=str(tmp_path))
    assert "\n" not in str(error.value)


def test_an_unknown_official_set_names_the_known_ones(tmp_path):
    message = r"options\.set: 'STL10' is none of CIFAR10, CIFAR100, SVHN, FashionMNIST"
    with pytest.raises(UserError, match=message):
        sources.torchvision(set="STL10", root=str(tmp_path))


def test_svhn_joins_train_and_extra_and_reads_ten_as_zero(server, tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision import datasets as official

    files, pixels, labels = {}, [], []
    for part, n in (("train", 11), ("extra", 10), ("test", 4)):
        pixels.append(images(n))
        labels.append(1 + np.arange(n) % 10)
        path, y = server.folder / f"{part}_32x32.mat", labels[-1][:, None].astype(np.uint8)
        savemat(path, {"X": pixels[-1].transpose(2, 3, 1, 0), "y": y})
        files[part] = [server.url + path.name, path.name, md5(path)]
    monkeypatch.setattr(official.SVHN, "split_list", files)
    raw = sources.torchvision(set="SVHN", root=str(tmp_path / "root"))
    check(raw, "SVHN")
    np.testing.assert_array_equal(raw.inputs, np.concatenate(pixels))
    np.testing.assert_array_equal(raw.labels, np.concatenate(labels) % 10)
    assert raw.official_test.sum() == 4 and raw.official_test[-4:].all() and raw.classes[0] == "0"


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_fashion(folder, ending=".gz"):
    """The four files with 20 training and 5 test images.

    Returns images (25, 1, 28, 28) and labels.
    """
    pixels, labels = images(25, 1, 28), np.arange(25) % 10
    for name, rows in (("train", slice(0, 20)), ("t10k", slice(20, 25))):
        write_idx(folder / f"{name}-images-idx3-ubyte{ending}", pixels[rows, 0])
        write_idx(folder / f"{name}-labels-idx1-ubyte{ending}", labels[rows])
    return pixels, labels


@pytest.mark.parametrize("ending", [".gz", ""])
def test_idx_files_are_read_packed_or_not(tmp_path, ending):
    pixels, labels = write_fashion(tmp_path, ending)
    raw = sources.idx(folder=str(tmp_path))
    check(raw, "mine")
    np.testing.assert_array_equal(raw.inputs, pixels)
    np.testing.assert_array_equal(raw.labels, labels)
    assert raw.classes == [str(k) for k in range(10)]
    assert raw.official_test.tolist() == [False] * 20 + [True] * 5


def test_fashion_mnist_is_downloaded_and_named(server, tmp_path, monkeypatch):
    from torchvision import datasets as official

    pixels, _ = write_fashion(server.folder)
    monkeypatch.setattr(official.FashionMNIST, "mirrors", [server.url])
    resources = [(name, md5(server.folder / name)) for name, _ in official.FashionMNIST.resources]
    monkeypatch.setattr(official.FashionMNIST, "resources", resources)
    raw = sources.torchvision(set="FashionMNIST", root=str(tmp_path / "root"))
    np.testing.assert_array_equal(raw.inputs, pixels)
    assert raw.classes[9] == "Ankle boot"


def test_all_of_real_fashion_mnist():
    if not FASHION.exists():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    raw = sources.idx(folder=str(FASHION))
    check(raw, "fashion_mnist")
    assert raw.inputs.shape == (70_000, 1, 28, 28) and raw.official_test.sum() == 10_000
    assert np.bincount(raw.labels[:60_000]).tolist() == [6000] * 10
    assert np.bincount(raw.labels[60_000:]).tolist() == [1000] * 10
    assert raw.labels[:5].tolist() == [9, 0, 0, 3, 0]
    assert round(raw.inputs[:60_000].mean() / 255, 4) == 0.286


def spoil(name, change):
    """A function that rewrites one of the files of `write_fashion`."""
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


TRAIN_IMAGES, TEST_LABELS = "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda folder: (folder / TEST_LABELS).unlink(), f"{TEST_LABELS}: no such file"),
        (spoil(TRAIN_IMAGES, lambda content: content[:500]), f"{TRAIN_IMAGES}: cannot be read"),
        (spoil(TRAIN_IMAGES, lambda content: b"<html>"), f"{TRAIN_IMAGES}: cannot be read"),
        (
            spoil(TRAIN_IMAGES, lambda content: gzip.compress(gzip.decompress(content)[:-5])),
            f"{TRAIN_IMAGES}: holds 15675 of 15680 bytes",
        ),
        (
            spoil(TRAIN_IMAGES, lambda content: gzip.compress(b"\0\0\x08\1\0\0\0\1x")),
            f"{TRAIN_IMAGES}: is no idx file of bytes with 3 axes",
        ),
        (spoil(TEST_LABELS, lambda content: gzip.compress(b"")), f"{TEST_LABELS}: is no idx file"),
        (
            lambda folder: write_idx(folder / TEST_LABELS, np.arange(4)),
            f"{TEST_LABELS}: 4 labels for 5 images",
        ),
        (
            lambda folder: write_idx(folder / TEST_LABELS, np.full(5, 11)),
            "{folder}: labels run from 0 to 11 but there are 10 classes",
        ),
        (
            lambda folder: write_idx(folder / "t10k-images-idx3-ubyte.gz", np.zeros((5, 20, 20))),
            "{folder}: training images are",
        ),
    ],
)
def test_a_damaged_idx_file_is_named(damage, words, tmp_path):
    write_fashion(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=words.format(folder=tmp_path)) as error:
        prepare_dataset(tmp_path / "data.safetensors", "mine", "idx", {"folder": str(tmp_path)})
    assert "\n" not in str(error.value) and not (tmp_path / "data.safetensors").exists()


def write_folder(folder, counts, side=6, mode="RGB"):
    """PNG files, one folder per class; returns their arrays in the order of class and file name."""
    pixels = []
    for name, n in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(n):
            image = Image.fromarray(images(1, 3, side)[0].transpose(1, 2, 0)).convert(mode)
            image.save(folder / name / f"{i:04}.png")
            pixels.append(np.asarray(image))
    return np.stack(pixels)


def test_image_folders_give_classes_by_name_and_an_official_test_split(tmp_path):
    train, test = (
        write_folder(tmp_path / part, counts)
        for part, counts in (("train", {"cat": 3, "ant": 2}), ("test", {"ant": 1, "cat": 1}))
    )
    raw = sources.image_folder(train=str(tmp_path / "train"), test=str(tmp_path / "test"))
    check(raw, "mine")
    assert raw.classes == ["ant", "cat"] and raw.labels.tolist() == [0, 0, 1, 1, 1, 0, 1]
    assert raw.official_test.tolist() == [False] * 5 + [True] * 2
    ordered = np.concatenate([train[3:], train[:3], test])
    np.testing.assert_array_equal(raw.inputs, ordered.transpose(0, 3, 1, 2))
    alone = sources.image_folder(train=str(tmp_path / "train"), mode="L", size=[4, 5])
    assert alone.inputs.shape == (5, 1, 4, 5) and not alone.official_test.any()


@pytest.mark.parametrize(
    "damage, words",
    [
        (
            lambda folder: (folder / "train/ant/0001.png").write_bytes(
                (folder / "train/ant/0001.png").read_bytes()[:60]
            ),
            "train/ant/0001.png: cannot be read",
        ),
        (
            lambda folder: (folder / "train/ant/0001.png").write_bytes(b"no image"),
            "train/ant/0001.png: cannot be read",
        ),
        (
            lambda folder: Image.new("RGB", (9, 6)).save(folder / "train/cat/0000.png"),
            r"train/cat/0000.png: is \(6, 9\) pixels and others are \(6, 6\); set options.size",
        ),
        (
            lambda folder: (folder / "test/ant").rename(folder / "test/bee"),
            "test: its classes bee, cat are not those of .*train, ant, cat",
        ),
        (
            lambda folder: (folder / "test").rename(folder / "elsewhere"),
            "test: no folder of images",
        ),
        (
            lambda folder: (folder / "train/dog").mkdir(),
            "train: no folder of images with one folder per class .*dog",
        ),
    ],
)
def test_a_damaged_image_folder_names_the_file(damage, words, tmp_path):
    write_folder(tmp_path / "train", {"ant": 2, "cat": 2})
    write_folder(tmp_path / "test", {"ant": 1, "cat": 1})
    damage(tmp_path)
    options = {"train": str(tmp_path / "train"), "test": str(tmp_path / "test")}
    with pytest.raises(UserError, match=words) as error:
        prepare_dataset(tmp_path / "data.safetensors", "mine", "image_folder", options)
    assert "\n" not in str(error.value)


def test_npz_arrays_pass_through_and_other_numbers_become_floats(tmp_path):
    path, pixels = tmp_path / "mine.npz", images(6, 1, 5)
    marks = {"official_test": np.arange(6) > 3, "classes": ["a", "b", "c"]}
    np.savez(path, inputs=pixels, labels=np.arange(6) % 3, **marks)
    raw = sources.npz(file=str(path))
    check(raw, "mine")
    np.testing.assert_array_equal(raw.inputs, pixels)
    assert raw.inputs.dtype == np.uint8
    assert raw.classes == ["a", "b", "c"] and raw.official_test.sum() == 2
    np.savez(path, inputs=np.arange(12).reshape(6, 2), labels=np.arange(6, dtype=np.uint8) % 3)
    raw = sources.npz(file=str(path))
    assert raw.inputs.dtype == np.float32 and raw.labels.dtype == np.int64
    assert raw.classes == ["0", "1", "2"]


GOOD = {"inputs": np.zeros((4, 3)), "labels": np.array([0, 1, 0, 1])}


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"x": np.zeros(3)}, "mine.npz: lacks the array.s. inputs, labels; it has x"),
        (
            GOOD | {"inputs": np.array([{}] * 4)},
            "mine.npz: the array 'inputs' holds Python objects or is damaged; save it again",
        ),
        (
            GOOD | {"labels": np.array([0.0, 1, 0, 1])},
            "mine.npz: inputs are float64 and labels float64; they must be",
        ),
        (GOOD | {"labels": np.array([0, 1])}, "dataset mine: .*mine.npz: 4 inputs but 2 labels"),
        (
            GOOD | {"labels": np.array([0, -1, 0, 1])},
            "dataset mine: .*mine.npz: labels run from -1 to 1",
        ),
        (
            GOOD | {"classes": ["only", "two", "names"][:1]},
            "mine.npz: labels run from 0 to 1 but there are 1 classes",
        ),
        (
            GOOD | {"inputs": np.zeros((4, 3, 2))},
            r"mine.npz: inputs of shape \(4, 3, 2\) are neither images",
        ),
        (
            GOOD | {"inputs": np.zeros((4, 32, 32, 3), np.uint8)},
            r"mine.npz: images of shape \(4, 32, 32, 3\) have their channels last",
        ),
        (
            GOOD | {"inputs": np.array([[0, 1.0], [2, np.nan], [3, np.nan], [4, 5]])},
            "mine.npz: 2 inputs in column 1 are not finite numbers, the first in sample 1",
        ),
        (
            GOOD | {"labels": np.array([1, 2, 1, 2])},
            "mine.npz: no sample has the label 0 .class '0'.; number the classes .* from 0",
        ),
        (
            GOOD | {"labels": np.array([0, 2, 0, 2])},
            "mine.npz: no sample has the label 1 .class '1'.",
        ),
        (
            GOOD | {"labels": np.array([0, 0, 1, 0]), "classes": ["many", "one"]},
            "mine.npz: class 'one' .label 1. has 1 sample, which cannot both train and test",
        ),
        (
            GOOD | {"official_test": np.array([0, 1, 0, 1])},
            "mine.npz: class '1' .label 1. is in the official test only",
        ),
        (
            GOOD | {"labels": np.zeros(4, int)},
            "mine.npz: all samples are of one class, '0'; a dataset has two or more",
        ),
        (
            {"inputs": np.zeros((0, 3)), "labels": np.zeros(0, int)},
            r"mine.npz: inputs of shape \(0, 3\)",
        ),
    ],
)
def test_an_unusable_npz_is_named(arrays, words, tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(UserError, match=words) as error:
        prepare_dataset(
            tmp_path / "data.safetensors", "mine", "npz", {"file": str(tmp_path / "mine.npz")}
        )
    assert "\n" not in str(error.value) and not (tmp_path / "data.safetensors").exists()


def test_a_truncated_npz_or_another_file_is_named(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(UserError, match=r"mine\.npz: no such file"):
        sources.npz(file=str(path))
    np.savez(path, **GOOD)
    complete = path.read_bytes()
    for content, message in {
        complete[:-40]: "cannot be read",
        complete[:100]: "cannot be read",
        b"": "is no .npz file",
        b"a,b\n1,2\n": "is no .npz file .* CSV, TSV, .* are for source: table",
        pickle.dumps({}): "is no .npz file",
    }.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"mine\.npz: {message}") as error:
            sources.npz(file=str(path))
        assert "allow_pickle" not in str(error.value)
    np.save(tmp_path / "one.npy", GOOD["inputs"])
    (tmp_path / "one.npy").rename(path)
    with pytest.raises(UserError, match=r"is a \.npy file of one array; save inputs and labels"):
        sources.npz(file=str(path))


def test_a_prepared_file_holds_what_the_source_gave(tmp_path):
    pixels, labels = write_fashion(tmp_path)
    prepare_dataset(tmp_path / "data.safetensors", "mine", "idx", {"folder": str(tmp_path)})
    arrays, metadata = load_arrays(tmp_path / "data.safetensors")
    np.testing.assert_array_equal(arrays["inputs"], pixels)
    np.testing.assert_array_equal(arrays["labels"], labels)
    assert metadata["classes"] == [str(k) for k in range(10)]
