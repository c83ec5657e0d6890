"""Another study's tables and figures go aside; what they were made from stays."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ils.plan import studies
from ils.plan.located import located
from ils.plan.studies import begin, identity

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "small.yaml").read_text())
THIS, OTHER = identity(CONFIG, "mine.yaml"), {"config": "other.yaml", "study": "0123abcd"}
TABLES = "table3.tex", "report.html", "published/metrics.csv", "figures/grids/iris_MLP.pdf"
STAGES = "students/iris/ls/shard0.safetensors", "logs/metrics.log", "forecast.csv", "my/notes.txt"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The folder results/ of another study that is finished."""
    monkeypatch.chdir(tmp_path)
    for name in (*TABLES, *STAGES):
        path = Path("results", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    Path("results/study.json").write_text(json.dumps(OTHER))
    return Path("results")


def files(folder):
    """The names of all files in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_tables_of_another_study_go_aside_and_nothing_else(results):
    said = begin(THIS, {"results/published/metrics.csv"}, {"results/table3.tex"})
    aside = results / "before/other-0123abcd"
    assert said.startswith("3 tables and figures of another study (other.yaml)")
    assert files(aside) == set(TABLES) - {"published/metrics.csv"}
    assert all((aside / name).read_text() == name for name in files(aside))
    kept = {path for path in files(results) if not path.startswith("before")}
    assert kept == {*STAGES, "published/metrics.csv", "study.json"}
    assert json.loads((results / "study.json").read_text()) == THIS

    (results / "table3.tex").write_text("its own")
    assert begin(THIS, set(), {"results/claims.csv"}) is None
    assert (results / "table3.tex").read_text() == "its own"


def test_a_run_that_makes_no_table_takes_nothing_over(results):
    before = files(results)
    todo = {f"results/{name}" for name in STAGES}
    assert begin(THIS, set(), todo) is None
    assert files(results) == before
    assert json.loads((results / "study.json").read_text()) == OTHER


def test_killed_in_the_middle_it_goes_on(results, monkeypatch):
    moved = []

    def renames(old, new):
        if len(moved) == 2:
            raise KeyboardInterrupt
        os.renames(moved.append(old) or old, new)

    monkeypatch.setattr(studies, "os", SimpleNamespace(renames=renames))
    with pytest.raises(KeyboardInterrupt):
        begin(THIS, set(), {"results/table3.tex"})
    monkeypatch.setattr(studies, "os", os)
    assert json.loads((results / "study.json").read_text()) == OTHER
    assert begin(THIS, set(), {"results/table3.tex"}).startswith("2 tables")
    assert files(results / "before/other-0123abcd") == set(TABLES)


@pytest.mark.parametrize("text", ["", "[]", '{"config": 1, "study": 2}'])
def test_without_a_name_a_study_is_unknown(text, results):
    (results / "study.json").write_text(text)
    assert "(unknown)" in begin(THIS, set(), {"results/table3.tex"})
    assert files(results / "before/unknown") == set(TABLES)


def test_a_study_is_what_decides_its_results(results):
    slower = CONFIG | {"cells_per_job": 1, "hours_per_job": 9, "checkpoint_minutes": 3}
    slower["networks"] = [n | {"students_at_once": {"cpu": 1}} for n in CONFIG["networks"]]
    assert identity(slower, "mine.yaml") == THIS == identity(CONFIG, "mine.yaml")
    for key, value in {"seeds": [1], "alpha": 0.1, "synthetic": None}.items():
        assert identity(CONFIG | {key: value}, "mine.yaml")["study"] != THIS["study"]


def test_a_relative_path_is_the_studys_else_the_clones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"file": "config/fashion.yaml", "target": "config", "folder": "none", "size": [8, 8]}
    clone = os.path.relpath(Path(__file__).parents[2])
    assert located(options) == options | {"file": f"{clone}/config/fashion.yaml"}
    assert Path(located(options)["file"]).is_file()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/fashion.yaml").touch()
    assert located(options) == options
