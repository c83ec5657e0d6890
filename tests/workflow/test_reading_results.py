"""The page docs/reading_results.md: what it shows reads a finished run, and finds its numbers."""

import re

import pandas as pd
import pytest

from conftest import ROOT


def test_what_the_page_reads_is_what_the_tables_say(finished, monkeypatch):
    page = (ROOT / "docs/reading_results.md").read_text()
    found = {}
    monkeypatch.chdir(finished.folder)
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.S | re.M):
        exec(block, found)
    metrics = pd.read_csv("results/metrics.csv")
    rows = metrics[metrics[["dataset", "network"]].eq(["iris", "MLP"]).all(axis=1)]
    rows = rows.set_index("method")
    assert found["cross_entropy"] == pytest.approx(rows.cross_entropy["LS+TempS"], abs=1e-6)
    grid = [(point, ce) for method, point, ce in found["students"] if method == "ls"]
    assert [point["epsilon"] for point, _ in grid] == [0.01, 0.05, 0.1, 0.2]
    assert min(ce for _, ce in grid) == pytest.approx(rows.validation_ce["LS"], abs=1e-5)
