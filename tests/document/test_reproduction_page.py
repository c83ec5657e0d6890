"""Summaries of runs, from made-up tables, and what REPRODUCTION.md says of them."""

import copy
import json

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from ils.document.page_numbers import Number, Other, Page, gain, paired, pm
from ils.document.readme import END, PICTURE, README, START
from ils.document.reproduction_page import OTHERS, PAGE, TEMPLATE, main, render
from ils.document.run_summary import brief
from ils.errors import UserError
from ils.files import load_json, write_csv, write_text
from ils.statistics.claims import CLAIMS
from summarise import summarise

RECORD = {
    "config_file": "config.yaml",
    "commit": "0123456789",
    "device": "cpu",
    "python": "3.11.15",
    "processor": "a processor",
    "kernels": {"capability": "AVX2", "flags": []},
    "packages": {"numpy": "2.4.6", "scipy": "1.17.1", "torch": "2.13.0", "tqdm": "4"},
    "config": {"seeds": [0]},
}


def finding(study, verdict, counts=(1, 0, 0, 0), claim=0):
    return study, CLAIMS[claim].name, verdict, "many numbers", *counts


def tables(folder):
    """Write small tables as the rules leave them, and return their paths."""
    claims = [
        finding("paper", "holds", [np.nan] * 4),
        finding("this run, a", "fails", (1, 0, 0, 2)),
        finding("this run, a, Eq. 2", "holds"),
    ]
    counts = ["as_claimed", "equivalent", "undecided", "opposite"]
    gains = [
        ("cross_entropy", "ILS", "LS", np.nan, True, 9, 0.01234567, -0.001, np.inf, "undecided"),
        ("cross_entropy", "ILS", "LS", 25, True, 9, 0.02, 0.01, 0.03, "better"),
        ("accuracy", "ILS", "LS", np.nan, False, 9, 0.0, 0.0, 0.0, "undecided"),
    ]
    names = ["metric", "better", "worse", "trainings", "headline", "n", "estimate", "low", "high"]
    frames = {
        "claims": pd.DataFrame(claims, columns=["study", "claim", "verdict", "numbers", *counts]),
        "comparisons": pd.DataFrame(gains, columns=[*names, "verdict"]).assign(
            new_low=-0.1, new_high=0.1, low90=0.0, high90=0.02, rope=0.01
        ),
        "variance": pd.DataFrame({"metric": ["ece"], "source": ["seed"], "variance": [np.nan]}),
    }
    for name, frame in frames.items():
        write_csv(folder / f"{name}.csv", frame)
    return [folder / f"{name}.csv" for name in frames]


@pytest.fixture
def summary(tmp_path):
    """A summary made from these tables."""
    write_text(tmp_path / "provenance.json", json.dumps(RECORD))
    write_text(tmp_path / "found.txt", "Two columns\nwere compared.\n")
    paths = [tmp_path / name for name in ("provenance.json", "found.txt")]
    summarise(*paths, tables(tmp_path), tmp_path / "summary.json")
    return tmp_path / "summary.json"


def test_a_summary_keeps_what_the_page_says_in_six_digits(summary):
    content = load_json(summary)
    assert content["found"] == "Two columns were compared."
    assert content["ran"]["kernels"] == "AVX2"
    assert content["ran"]["packages"] == {"numpy": "2.4.6", "scipy": "1.17.1", "torch": "2.13.0"}
    assert content["tables"]["claims"]["rows"] == [
        ["paper", CLAIMS[0].name, "holds", None, None, None, None],
        ["this run, a", CLAIMS[0].name, "fails", 1, 0, 0, 2],
    ]
    first, equal = content["tables"]["comparisons"]["rows"]
    assert first[3:8] == [None, 9, 0.0123457, -0.001, None]
    assert equal[3] == 25
    lines = summary.read_text(encoding="utf-8").splitlines()
    assert sum('"ILS", "LS"' in line for line in lines) == 2  # a row is a line


def test_what_the_summary_lacks_is_one_clear_error(summary):
    template = (ROOT / TEMPLATE).read_text(encoding="utf-8")
    run = load_json(summary)
    run["ran"]["date"] = "2026-11-28"  # take_run adds it
    with pytest.raises(
        UserError,
        match=r"comparisons of the summary: 0 rows with better ILS, worse LS, metric accuracy",
    ):
        render(template, run, {})
    page = Page(load_json(summary))
    with pytest.raises(UserError, match="claims of the summary: 0 rows with claim x, study y"):
        page.verdict("x", "y")
    with pytest.raises(UserError, match=r"summary.json: lacks table1"):
        page.cell("1", "a", "No LS", "ece")
    with pytest.raises(UserError, match=r"reproduction.md.j2: .*no attribute 'nothing'"):
        render("{{ page.nothing }}", load_json(summary), {})
    with pytest.raises(UserError, match=r"reproduction.md.j2, line 2: "):
        render("\n{% if %}", load_json(summary), {})


def test_numbers_as_the_page_writes_them(summary):
    assert pm(Number(0.04251, 0.0013, 0.0426, False, False, 4)) == "0.0425 ± 0.0013"
    assert pm(Number(-1.2, float("nan"), 1, False, False, 2)) == "−1.20"
    assert paired(Number(1.2, 0.4, 1, True, True, 1)) == "**+1.2 ± 0.4**"
    page = Page(load_json(summary))
    assert gain(page.compared("ILS", "LS", "cross_entropy")) == "−0.0123 [–, +0.0010] undecided"
    assert page.verdict(CLAIMS[0].name, "this run, a") == "fails (1/0/0/2)"
    title, studies, rows = next(page.ledger())
    assert (title, studies) == ("Synthetic data", ["printed", "a"])
    assert rows[0] == [CLAIMS[0].statement, "holds", "fails (1/0/0/2)"]
    assert rows[1] == [CLAIMS[1].statement, "not measured", "not measured"]


def test_another_run_is_compared_by_its_verdicts(summary):
    content = load_json(summary)
    other = brief(content)
    assert set(other["tables"]) == {"claims", "comparisons"}
    assert len(other["tables"]["claims"]["rows"]) == 1  # the printed verdicts are the same
    same = Other("same", other, Page(content))
    assert (same.changed_claims(), same.changed_gains()) == ([], [])
    other = copy.deepcopy(other)
    other["tables"]["claims"]["rows"][0][2] = "holds"
    other["tables"]["comparisons"]["rows"][0][8] = "better"
    changed = Other("changed", other, Page(content))
    row = (CLAIMS[0].statement, "a", "fails (1/0/0/2)", "holds (1/0/0/2)")
    assert changed.changed_claims() == [row]
    ((metric, *pair),) = changed.changed_gains()
    assert (metric, [row.verdict for row in pair]) == ("cross-entropy", ["undecided", "better"])


def test_the_command_takes_runs_of_both_configs_and_adds_others(summary, tmp_path, monkeypatch):
    root = tmp_path / "clone"
    (root / "docs").mkdir(parents=True)
    write_text(root / README, f"# Title\n{START}{END}")
    monkeypatch.setattr("ils.document.readme.METRICS", ["cross_entropy"])
    cells = [(f"d{n}", "MLP", 0, m, 2, n / 10) for n in range(9) for m in ("LS", "ILS")]
    columns = ["dataset", "network", "seed", "method", "classes", "cross_entropy"]
    write_csv(tmp_path / "metrics.csv", pd.DataFrame(cells, columns=columns))
    write_text(
        root / TEMPLATE,
        "{{ page.found }}{% for run in others %} {{ run.name }}{% endfor %}"
        "{% if beyond %} {{ beyond.ran.config_file }}{% endif %}",
    )
    main(["--run", str(summary)], root)
    assert (root / PAGE).read_text() == "Two columns were compared.\n"
    assert (
        "at commit 01234567:\n\n- Two columns were compared.\n<!--" in (root / README).read_text()
    )
    assert "ILS over LS</text>" in (root / PICTURE).read_text()
    main(["--other", "AVX2 kernels", str(summary)], root)
    main(["--other", "AVX2 kernels", str(summary)], root)
    assert (root / PAGE).read_text() == "Two columns were compared. AVX2 kernels\n"
    assert list(load_json(root / OTHERS)) == ["AVX2 kernels"]
    for name in ("beyond", "mine"):
        text = summary.read_text(encoding="utf-8").replace("config.yaml", f"{name}.yaml")
        write_text(tmp_path / f"{name}.json", text)
    main(["--run", str(tmp_path / "beyond.json")], root)
    assert (root / PAGE).read_text() == "Two columns were compared. AVX2 kernels beyond.yaml\n"
    with pytest.raises(SystemExit, match=r"mine.json: a run of mine.yaml, and the page is about"):
        main(["--run", str(tmp_path / "mine.json")], root)
