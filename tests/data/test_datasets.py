"""Sources, their checks, and the splits."""

import numpy as np
import pytest

from conftest import made_up_data
from ils.data import sources
from ils.data.sources import Raw, check
from ils.data.splits import moments, split, stratified
from ils.errors import UserError


@pytest.mark.parametrize(
    "name, shape, classes",
    [
        ("digits", (1797, 1, 8, 8), 10),
        ("wine", (178, 13), 3),
        ("iris", (150, 4), 3),
        ("breast_cancer", (569, 30), 2),
    ],
)
def test_embedded_sets(name, shape, classes):
    raw = sources.sklearn(set=name)
    check(raw, name)
    assert raw.inputs.shape == shape and len(raw.classes) == classes
    assert sorted(set(raw.labels)) == list(range(classes)) and not raw.official_test.any()


def test_digits_lose_nothing_as_bytes():
    from sklearn.datasets import load_digits

    np.testing.assert_array_equal(sources.sklearn(set="digits").inputs[:, 0], load_digits().images)


def test_an_unknown_embedded_set_names_the_known_ones():
    with pytest.raises(UserError, match=r"options\.set: 'mnist' is none of digits, wine"):
        sources.sklearn(set="mnist")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"inputs": np.zeros((4, 2, 2))}, "neither images"),
        ({"labels": np.array([0, 1, 2, 1])}, "labels run from 0 to 2 but there are 2 classes"),
        ({"labels": np.array([0, 1, -1, 1])}, "labels run from -1"),
        ({"labels": np.array([0, 1])}, "4 inputs but 2 labels"),
        (
            {"inputs": np.array([[0.0], [np.nan], [1.0], [2.0]])},
            "1 inputs in column 0 are not finite",
        ),
    ],
)
def test_an_unusable_dataset_is_refused_by_name(change, words):
    raw = Raw(np.zeros((4, 3)), np.array([0, 1, 0, 1]), ["a", "b"], np.zeros(4, bool))
    check(raw, "mine")
    with pytest.raises(UserError, match=f"dataset mine: .*{words}"):
        check(raw._replace(**change), "mine")


def test_stratified_sizes_are_exact_and_proportional():
    labels = np.repeat([0, 1, 2], [50, 30, 23])
    for size, total in ((0.2, 21), (10, 10), (0.5, 52)):
        chosen = stratified(labels, size, np.random.default_rng(0))
        assert chosen.sum() == total
        proportional = np.bincount(labels) * total / len(labels)
        assert np.abs(np.bincount(labels[chosen], minlength=3) - proportional).max() < 1


def test_splits_are_disjoint_complete_in_order_and_normalised_on_training_data():
    data = made_up_data((3, 4, 4), n=200)
    args = data["inputs"], data["labels"], data["official_test"]
    sizes = {"name": "toy", "test": 0.25, "validation": 0.2}
    parts = split(*args, 3, **sizes)
    indices = [parts[name] for name in ("train", "validation", "test")]
    assert [len(part) for part in indices] == [120, 30, 50]
    assert sorted(np.concatenate(indices)) == list(range(200))
    assert all((np.diff(part) > 0).all() for part in indices)
    train = data["inputs"][parts["train"]].astype(float)
    np.testing.assert_allclose(parts["mean"], train.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(parts["std"], train.std((0, 2, 3)), rtol=1e-6)
    again, other = split(*args, 3, **sizes), split(*args, 4, **sizes)
    assert all(np.array_equal(parts[name], again[name]) for name in parts)
    assert not np.array_equal(parts["train"], other["train"])


def test_an_official_test_split_is_kept_and_a_constant_feature_is_not_divided_by_zero():
    data = made_up_data((5,), n=100)
    data["inputs"][:, 2] = 7
    official = np.zeros(100, bool)
    official[60:] = True
    parts = split(data["inputs"], data["labels"], official, 0, name="toy", test=0.5, validation=20)
    np.testing.assert_array_equal(parts["test"], np.arange(60, 100))
    assert len(parts["validation"]) == 20 and parts["std"][2] == 1 and parts["mean"][2] == 7


def test_a_split_too_small_to_use_is_refused():
    data = made_up_data((5,), n=30)
    args = data["inputs"], data["labels"], data["official_test"], 0
    with pytest.raises(UserError, match="dataset toy: the validation split has 0 samples"):
        split(*args, name="toy", test=0.2, validation=0.001)


def test_openml_tables_take_the_road_of_files(monkeypatch):
    import pandas as pd
    import sklearn.datasets

    table = pd.DataFrame(
        {
            "length": [1.5, 2.5, 3.5, np.nan, 2.5, 0.5],
            "colour": pd.Categorical(["red", "blue", "red", None, "red", "blue"]),
            "id": pd.Categorical(list("abcdef")),
        }
    )
    target = pd.Series(pd.Categorical(list("babaab"), categories=["a", "never", "b"]), name="kind")
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda **options: (table, target))
    raw = sources.openml(id=1, drop=["id"], min_class=3)
    assert raw.inputs.tolist() == [
        [1.5, 0, 0, 1, 0],
        [2.5, 0, 1, 0, 0],
        [3.5, 0, 0, 1, 0],
        [2.5, 1, 0, 0, 1],
        [2.5, 0, 0, 1, 0],
        [0.5, 0, 1, 0, 0],
    ]
    assert raw.inputs.dtype == np.float32 and not raw.official_test.any()
    assert raw.labels.tolist() == [1, 0, 1, 0, 0, 1] and raw.classes == ["a", "b"]
    check(raw, "one")
    with pytest.raises(UserError, match=r"OpenML 1: column 'id' is text, such as 'a'.* drop it"):
        sources.openml(id=1, min_class=3)
    target = pd.Series([0.1, 0.2, 0.3])
    with pytest.raises(UserError, match="the target of OpenML 1 is no class"):
        sources.openml(id=1)


def test_openml_without_a_network_is_one_clear_error(monkeypatch):
    from urllib.error import URLError

    import sklearn.datasets

    def offline(**options):
        raise URLError("Name or service not known")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", offline)
    message = r"options\.id: cannot get OpenML 7 .*check the number and the network"
    with pytest.raises(UserError, match=message):
        sources.openml(id=7)


def test_a_training_size_leaves_the_other_splits_as_they_are():
    data = made_up_data((3, 4, 4), n=200)
    sizes = {"name": "toy", "test": 0.25, "validation": 30}
    args = data["inputs"], data["labels"], data["official_test"], 3
    full, small = split(*args, **sizes), split(*args, **sizes, train=40)
    assert len(small["train"]) == 40 and set(small["train"]) < set(full["train"])
    for name in ("validation", "test"):
        np.testing.assert_array_equal(small[name], full[name])
    message = "dataset toy: train: 121 samples are wanted of 120 that are left"
    with pytest.raises(UserError, match=message):
        split(*args, **sizes, train=121)


def test_a_size_may_be_a_fraction_up_to_a_count():
    sizes = {
        "name": "toy",
        "test": {"fraction": 0.5, "at_most": 60},
        "validation": {"fraction": 0.5, "at_most": 40},
        "train": {"at_most": 50},
    }
    for n, expected in ((100, [25, 25, 50]), (110, [27, 28, 55]), (1000, [50, 40, 60])):
        data = made_up_data((5,), n=n)
        parts = split(data["inputs"], data["labels"], data["official_test"], 0, **sizes)
        assert [len(parts[part]) for part in ("train", "validation", "test")] == expected


def test_every_part_has_every_class_of_four_samples_however_small_it_is():
    for rare, total in ((4, 2000), (5, 11), (4, 9), (4, 10)):
        labels = np.repeat([0, 1], [total - rare, rare])
        nothing = np.zeros(total, bool)
        parts = split(
            np.ones((total, 1)),
            labels,
            nothing,
            0,
            name="toy",
            test={"fraction": 0.5, "at_most": 100},
            validation={"fraction": 0.5, "at_most": 50},
            train={"at_most": 50},
        )
        for part in ("train", "validation", "test"):
            assert set(labels[parts[part]]) == {0, 1}, (rare, total, part)


def test_moments_of_bytes_are_those_of_the_numbers():
    images = np.random.default_rng(0).integers(0, 256, (2100, 3, 2, 5), dtype=np.uint8)
    for ours, theirs in zip(moments(images), moments(images.astype(float)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
