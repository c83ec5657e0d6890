"""The layout keeps everything apart and on the page; the drawing follows it, in equal bytes."""

import itertools
import subprocess
import sys

import matplotlib.text
import numpy as np
import pandas as pd
import pytest

from ils.figures import style
from ils.figures.diagram import GAP, draw, layout, stack

NAMES = [
    "No LS",
    "No LS+TempS",
    "Dis",
    "cLS",
    "BS_Soft",
    "Beta",
    "LS",
    "LS+TempS",
    "ILS1",
    "ILS2",
    "ILS",
    "ILS+TempS",
]
NAMES += ["PS-KD", "a rather long method name"]


def ranks(values):
    return pd.Series(np.asarray(values, float), index=NAMES[: len(values)])


CASES = {
    f"spread {k}": (ranks(range(1, k + 1)), cd) for k in range(2, 15) for cd in (0.9, 1.5, 4.0)
}
CASES |= {f"tied {k}": (ranks([(k + 1) / 2] * k), 2.0) for k in range(2, 15)}
CASES |= {
    f"extremes {k}": (ranks([1.5] * (k // 2) + [k - 0.5] * (k - k // 2)), 2.0) for k in range(3, 15)
}
CASES["CD beyond the axis"] = (ranks([1, 2, 3]), 9.5)
CASES["CD too small for its text"] = (ranks([1, 2, 3]), 0.01)


@pytest.mark.parametrize("case", CASES)
def test_no_text_overlaps_and_all_is_on_the_page(case):
    plan = layout(*CASES[case], "Average rank by cross-entropy, 11 blocks")
    figure = draw(plan)
    axes = figure.axes[0]
    texts = [
        text
        for text in axes.get_children()
        if isinstance(text, matplotlib.text.Text) and text.get_text()
    ]
    assert len(texts) == 2 + len(plan.ticks) + len(plan.labels)
    boxes = {text.get_text(): text.get_window_extent() for text in texts}
    for (a, box_a), (b, box_b) in itertools.combinations(boxes.items(), 2):
        assert not box_a.overlaps(box_b), f"{a!r} overlaps {b!r}"
    lines = [line.get_window_extent() for line in axes.lines]
    page = figure.bbox
    for box in [*boxes.values(), *lines]:
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
    for text, box in boxes.items():
        assert not any(line.overlaps(box) for line in lines if min(line.width, line.height) == 0), (
            text
        )


def test_positions_of_a_small_example():
    plan = layout(ranks([1.0, 2.5, 2.5, 4.0]), 1.5, "title")
    axis = plan.axis
    third = (axis.x1 - axis.x0) / 3
    assert [x for x, _ in plan.ticks] == pytest.approx([axis.x0 + i * third for i in range(4)])
    assert plan.ruler.x0 == axis.x0 and plan.ruler.x1 - plan.ruler.x0 == pytest.approx(1.5 * third)
    assert plan.ruler_text == "CD = 1.50" and plan.ruler.y > axis.y
    by_name = {label.method: label for label in plan.labels}
    assert by_name["No LS"].text == "No LS  1.00" and by_name["cLS"].text == "4.00  cLS"
    tied = by_name["No LS+TempS"].x_rank, by_name["Dis"].x_rank
    assert tied[0] == tied[1] == pytest.approx(axis.x0 + 1.5 * third)
    assert by_name["No LS"].align == "right" and by_name["cLS"].align == "left"
    # outermost highest
    assert by_name["No LS"].y > by_name["No LS+TempS"].y and by_name["cLS"].y > by_name["Dis"].y
    # two cliques, 1 to 2.5 and 2.5 to 4, share their middle methods and so lie on two levels
    assert [(bar.x0 + 2, bar.x1 - 2) for bar in plan.bars] == [
        (pytest.approx(axis.x0), pytest.approx(axis.x0 + 1.5 * third)),
        (pytest.approx(axis.x0 + 1.5 * third), pytest.approx(axis.x1)),
    ]
    assert plan.bars[0].y > plan.bars[1].y > max(label.y for label in plan.labels)


@pytest.mark.parametrize("case", CASES)
def test_connecting_lines_do_not_cross(case):
    plan = layout(*CASES[case], "title")
    for a, b in itertools.permutations(plan.labels, 2):
        # a's level line against b's upright one: they meet only when the ranks tie, where they
        # share the upright
        low, high = sorted([a.x, a.x_rank])
        if abs(a.x_rank - b.x_rank) > 1e-9:
            assert not (low < b.x_rank < high and b.y < a.y)


def test_a_bar_stays_clear_of_a_method_just_outside_its_clique():
    values = ranks([1.0, 5.9, 6.05, 6.1])
    plan = layout(values, 5.0, "title")
    x_rank = {label.method: label.x_rank for label in plan.labels}
    first = plan.bars[0]
    assert x_rank["No LS+TempS"] < first.x1 < x_rank["Dis"]


def test_bars_on_one_level_stay_apart():
    assert stack([(0, 10), (5, 20), (10 + GAP, 30), (10 + 2 * GAP, 40)]) == [0, 1, 2, 0]


def test_the_paper_size_fits_one_column():
    plan = layout(ranks(range(1, 13)), 5.02, "title")
    assert plan.width == pytest.approx(style.COLUMN)


def test_every_method_has_a_colour_and_shares_it_with_its_scaled_column():
    placed = layout(ranks(range(1, 13)), 5.02, "title").labels
    colours = {label.method: label.colour for label in placed}
    methods = [name for name in NAMES[:12] if not name.endswith("+TempS")]
    assert len({colours[name] for name in methods}) == len(methods)
    assert colours["ILS+TempS"] == colours["ILS"]


DRAW_ONCE = """
import sys, pandas as pd
from ils.figures.diagram import draw, layout
from ils.figures.style import save
plan = layout(pd.Series({"LS": 1.2, "ILS": 1.8, "No LS": 3.0}), 1.0, "title")
for path in sys.argv[1:]:
    save(draw(plan), path)
"""


def test_two_processes_write_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "scripts")
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        paths = [tmp_path / run / "figure.pdf", tmp_path / run / "figure.png"]
        subprocess.run([sys.executable, "-c", DRAW_ONCE, *paths], check=True)
    for name in ("figure.pdf", "figure.png"):
        first = (tmp_path / "first" / name).read_bytes()
        assert first == (tmp_path / "second" / name).read_bytes()
        assert b"CreationDate" not in first
