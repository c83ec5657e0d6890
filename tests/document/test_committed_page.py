"""REPRODUCTION.md is what the committed summaries of runs make of its template, and the README says
and shows what the default run found."""

import itertools
import re

import pytest

from conftest import ROOT
from ils.document.page_numbers import Page
from ils.document.readme import METRICS, PICTURE, README, fill
from ils.document.reproduction_page import DEFAULT, PAGE, RUNS, TEMPLATE, readme, render, rendered
from ils.errors import UserError
from ils.files import load_json
from ils.plan.metrics import metrics


def test_the_page_is_what_the_committed_summary_makes_of_the_template():
    assert (ROOT / PAGE).read_text(encoding="utf-8") == rendered()


def test_another_number_changes_the_page():
    default = load_json(ROOT / RUNS["config.yaml"])
    template = (ROOT / TEMPLATE).read_text(encoding="utf-8")
    changed = {  # {table: (how the row begins, the column that gets another value)}
        "table5": (["best_fit", "No LS", "accuracy"], "mean"),
        "synthetic_differences": (["best_fit", "ils - ls", "cross_entropy"], "standard_error"),
        "comparisons": (["cross_entropy", "ILS", "LS"], "estimate"),
        "power": (["accuracy", "ILS", "LS"], "smallest_found"),
        "average_ranks": (["ece", "ILS"], "average_rank"),
        "claims": (["this run", "consistent"], "verdict"),
    }
    for name, (start, column) in changed.items():
        columns, rows = default["tables"][name].values()
        row = next(row for row in rows if row[: len(start)] == start)
        place = columns.index(column)
        row[place] = "changed" if column == "verdict" else 1 + row[place]
    lines = set((ROOT / PAGE).read_text(encoding="utf-8").splitlines())
    others = set(render(template, default, {}).splitlines()) - lines
    assert len(others) >= len(changed)


def test_the_readme_says_what_the_committed_run_found():
    text = (ROOT / README).read_text(encoding="utf-8")
    assert text == readme()
    run = load_json(ROOT / DEFAULT)
    said = " ".join(re.findall(r"^- (.+)$", text, re.M))
    assert run["found"] in said
    assert f"run on {run['ran']['date']} at commit {run['ran']['commit'][:8]}:" in text
    run["found"] = "Nothing. 2 columns were compared, by 0.5 nats. So what."
    changed = fill(text, Page(run))
    assert "\n- Nothing.\n- 2 columns were compared, by 0.5 nats.\n- So what.\n<!--" in changed
    with pytest.raises(UserError, match=r"README.md: lacks the lines <!-- made by"):
        fill("# Title\n", Page(run))


def test_the_readmes_picture_shows_the_committed_run():
    texts = re.findall(r">([^<>\n]+)</text>", (ROOT / PICTURE).read_text(encoding="utf-8"))
    rows = iter(itertools.pairwise(texts))
    page = Page(load_json(ROOT / DEFAULT))
    for name in METRICS:
        for row in page.headline.query("metric == @name").itertuples():
            value = f"{row.estimate:+.{metrics()[name].digits}f}  {row.verdict}"
            assert (f"{row.better} over {row.worse}", value) in rows  # in this order
