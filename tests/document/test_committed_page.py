"""REPRODUCTION.md is what the committed summaries of runs make of its template."""

from conftest import ROOT
from ils.document.reproduction_page import PAGE, RUNS, TEMPLATE, render, rendered
from ils.files import load_json


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
