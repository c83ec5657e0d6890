"""config/openml.yaml plans, and its sets go from a download, here made up, to splits."""

from pathlib import Path

import numpy as np
import pandas as pd
import sklearn.datasets
import yaml
from snakemake.utils import update_config

from ils.files import load_arrays
from ils.plan.plan import Plan
from prepare_dataset import prepare_dataset
from split_datasets import split_datasets

CONFIG = Path(__file__).parents[2] / "config"


def merged(name):
    """A config as Snakemake lays it over the default one."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    update_config(config, yaml.safe_load((CONFIG / name).read_text()))
    return config


def test_the_72_sets_of_cc18_plan_by_name_and_number():
    plan = Plan.checked(merged("openml.yaml"))
    numbers = {entry["options"]["id"] for entry in plan.datasets.values()}
    assert len(plan.datasets) == len(numbers) == 72
    assert {cell.dataset for cell in plan.compared} == set(plan.datasets)
    assert {cell.network for cell in plan.compared} == {"MLP"}
    assert plan.datasets["Fashion-MNIST"]["options"] == {"id": 40996}
    for batch in plan.batches:
        plan.evaluation(batch), [plan.training(batch, name) for name in plan.rounds(batch)]


def fetched(n):
    """What scikit-learn makes of a set of n rows with text, gaps and three classes."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "length": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "colour": pd.Categorical(rng.choice(["red", "blue"], n)),
            "flag": rng.random(n) < 0.5,
        }
    )
    return frame, pd.Series(pd.Categorical(rng.choice(list("abc"), n)), name="class")


def test_a_set_goes_from_its_download_to_splits_of_the_sizes_that_the_config_says(
    monkeypatch, tmp_path
):
    plan = Plan(merged("openml.yaml"))
    for n, sizes in ((200, [50, 50, 100]), (5000, [500, 500, 2000])):
        asked = {}

        def fetch(rows=n, asked=asked, **options):
            asked.update(options)
            return fetched(rows)

        monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
        entry = plan.dataset("letter")
        data, splits = tmp_path / f"data{n}", tmp_path / f"splits{n}"
        prepare_dataset(data, entry["name"], entry["source"], entry["options"])
        assert asked["data_id"] == 6
        arrays, metadata = load_arrays(data)
        assert arrays["inputs"].shape == (n, 5) and metadata["classes"] == ["a", "b", "c"]
        assert set(metadata["notes"]["missing"]) == {"length"}
        wanted = {"name": "letter/seed0", "seed": 0, "dataset": plan.split("letter")}
        split_datasets([str(data)], [wanted], str(splits))
        parts, _ = load_arrays(splits)
        found = [len(parts[f"letter/seed0/{part}"]) for part in ("train", "validation", "test")]
        assert found == sizes
