"""Figures of a pair: how grids are arranged, what the scripts write, that all is on the page."""

import itertools
from dataclasses import replace

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

import made_up
from calibration_figures import OF, calibration_figures
from ils.columns import parts
from ils.evaluation.budget import steps
from ils.evaluation.noise import uniforms
from ils.evaluation.reliability import consistency
from ils.figures import budget, decision, heat_maps, style, training_curves
from ils.figures import calibration as diagrams
from ils.figures.diagram import layout
from ils.figures.grids import arrange
from ils.figures.sheet import rows_of
from ils.plan.grids import grid_points
from ils.plan.metrics import metrics
from ils.statistics.decision import compare
from ils.training.students import Grid
from training_figures import training_figures

COLUMNS = [
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
LONG = ["a method with a name that is longer than any panel", "another+TempS"]
SMALL_GRID = {
    "ls": {"epsilon": [0.2, 0.1]},
    "ils": {"p1": [0.9, 0.8], "p2": [1, 2], "temperature": [4, 1]},
    "no_ls": {},
}
SMALL_COLUMNS = [
    {"column": "No LS", "method": "no_ls", "calibrator": "none", "reading": "selected"},
    {"column": "LS", "method": "ls", "calibrator": "none", "reading": "selected"},
    {"column": "LS+TempS", "method": "ls", "calibrator": "temperature", "reading": "joint"},
    {"column": "ILS", "method": "ils", "calibrator": "none", "reading": "selected"},
    {"column": "ILS+TempS", "method": "ils", "calibrator": "temperature", "reading": "selected"},
]


def panels_of(grid, label="ILS"):
    return arrange(label, list(grid), grid_points(grid))


@pytest.mark.parametrize("grid", [*SMALL_GRID.values(), {"a": [1, 2], "b": [1, 2]}])
def test_a_cell_holds_the_students_of_all_restarts(grid):
    names, size = list(grid), len(grid_points(grid))
    panels = arrange("LS", names, grid_points({"restart": [0, 1, 2]} | grid))
    plain = panels_of(grid, "LS")
    for panel, before in zip(panels, plain, strict=True):
        assert panel[:3] == before[:3]
        each = [before.students + size * restart for restart in range(3)]
        assert np.array_equal(panel.students, np.concatenate(each, -1))


def test_one_hyperparameter_is_a_strip_in_ascending_order():
    (panel,) = panels_of({"epsilon": [0.2, 0.01, 0.1], "beta": [3]})
    assert panel.title == "ILS" and panel.x == ("ε", [0.01, 0.1, 0.2]) and panel.y == ("", [None])
    assert panel.values(np.array([5.0, 6.0, 7.0])).tolist() == [[6, 7, 5]]
    assert panel.find(0) == (0, 2) and panel.find(9) is None


def test_two_hyperparameters_are_x_and_y_in_the_configs_order():
    (panel,) = panels_of({"p2": [2, 1], "epsilon": [0.1, 0.3]})
    assert (panel.x[0], panel.y[0]) == ("P2", "ε")
    # rows: epsilon, from low to high
    assert panel.values(np.arange(4.0)).tolist() == [[2, 0], [3, 1]]


def test_a_third_hyperparameter_makes_one_panel_a_value():
    panels = panels_of({"p1": [0.8, 0.9], "p2": [1, 2, 3], "temperature": [4, 1]})
    assert [panel.title for panel in panels] == ["ILS, T = 1", "ILS, T = 4"]
    assert [panel.students.shape for panel in panels] == [(3, 2, 1)] * 2
    points = grid_points({"p1": [0.8, 0.9], "p2": [1, 2, 3], "temperature": [4, 1]})
    student = points.index({"p1": 0.9, "p2": 3, "temperature": 1})
    assert panels[0].find(student) == (2, 1) and panels[1].find(student) is None


def test_of_more_hyperparameters_the_best_over_the_others_is_shown():
    (panel,) = panels_of({"p1": [0.8, 0.9], "p2": [1, 2], "temperature": [1, 4], "shift": [0, 1]})
    assert panel.title == "ILS, best over T, shift" and panel.students.shape == (2, 2, 4)
    ce = np.arange(16.0)
    ce[0] = np.nan  # diverged: the best of the others counts
    ce[4:8] = np.nan
    values = panel.values(ce)
    assert values[0].tolist() == [1, 8] and np.isnan(values[1, 0]) and values[1, 1] == 12


def test_no_grid_no_panel():
    assert panels_of({}) == panels_of({"epsilon": [0.1]}) == []


def test_the_best_epoch_counts_and_a_diverged_student_is_not_a_number():
    curves = np.array([[3.0, 1.0, 2.0], [3.0, 2.5, np.nan], [0.1, np.nan, np.nan]])
    assert heat_maps.lowest(curves, np.array([False, False, True])).tolist()[:2] == [1.0, 2.5]
    assert np.isnan(heat_maps.lowest(curves, np.array([False, False, True]))[2])


def test_the_mean_over_seeds_goes_on_with_those_that_train():
    seeds = np.array([[1.0, 2.0, np.nan, np.nan], [3.0, 4.0, 5.0, np.nan]])
    mean = training_curves.mean_over_seeds(seeds)
    assert mean[:3].tolist() == [2, 3, 5] and np.isnan(mean[3])


def test_rows_break_where_the_page_ends():
    assert rows_of([40, 40, 40, 200, 10], 100, 10) == [[0, 1], [2], [3], [4]]
    assert rows_of([], 100, 10) == []


def texts_of(figure):
    """{text: its box} of all visible texts, several of one wording numbered."""
    figure.draw_without_rendering()
    unseen = set()  # matplotlib keeps the labels of ticks beyond the axis, without drawing them
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        unseen |= {
            tick.label1
            for tick in axis.get_major_ticks()
            if not low <= tick.get_loc() <= high or not axis.axes.axison
        }
    texts = [
        text
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_text() and text.get_visible() and text not in unseen
    ]
    return {
        (number, text.get_text()): text.get_window_extent() for number, text in enumerate(texts)
    }


def check_page(figure):
    """All texts are on the page and none overlaps another."""
    boxes, page = texts_of(figure), figure.bbox
    for text, box in boxes.items():
        assert page.x0 <= box.x0 and box.x1 <= page.x1, text
        assert page.y0 <= box.y0 and box.y1 <= page.y1, text
    for (a, box_a), (b, box_b) in itertools.combinations(boxes.items(), 2):
        assert not box_a.overlaps(box_b), f"{a} overlaps {b}"


@pytest.mark.parametrize("names", [COLUMNS, COLUMNS[:1], COLUMNS[:7], COLUMNS[:5] + LONG], ids=len)
@pytest.mark.parametrize("kind", ["reliability", "classwise"])
@pytest.mark.parametrize("samples", [3, 20_000])
def test_reliability_diagrams_fit_the_page(names, kind, samples):
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=samples)
    (bins_of, draws_of), uniform = OF[kind], uniforms(samples, 3)
    columns = {}
    for name in names:
        p = rng.dirichlet(np.full(10, 0.3), samples)
        bins = bins_of(p, labels)
        columns[name] = bins, consistency(bins, draws_of(p, uniform))
    title = "breast_cancer, ResNet152SD: 20000 test samples, pooled over 2 seeds"
    figure = diagrams.draw(columns, kind, title)
    check_page(figure)
    assert figure.get_figwidth() * 72 <= style.PAGE
    shown = [text for _, text in texts_of(figure)]
    assert [text for text in shown if text in names] == names
    metric = {"reliability": "ECE", "classwise": "cwECE"}[kind]
    errors = [f"{metric} {bins.error:.4f}" for bins, _ in columns.values()]
    assert [text for text in shown if text.startswith(f"{metric} ")] == errors
    noise = [f"(floor {noise.floor:.3f}, " for _, noise in columns.values()]
    assert [text[: len(noise[0])] for text in shown if text.startswith("(floor")] == noise


GRIDS = {
    "default": [
        {"epsilon": [0.01, 0.1], "beta": [0.1, 1]},
        {"epsilon": [0.01, 0.05, 0.1, 0.2]},
        {"p1": [0.85, 0.975], "p2": [0.75, 2], "temperature": [1, 4]},
    ],
    "paper": [
        {"epsilon": [0.01, 0.05, 0.1, 0.15, 0.2]},
        {
            "p1": [0.975, 0.95, 0.925, 0.9, 0.85],
            "p2": [0.75, 1, 1.25, 1.5, 2],
            "temperature": [1, 2, 4, 8, 16],
        },
    ],
    "long": [
        {"epsilon": [i / 1000 for i in range(1, 41)]},
        {f"long_name{n}": [1e-5, 1.5, 22222] for n in range(4)},
    ],
    "none": [{"beta": [1]}, {}],
}


@pytest.mark.parametrize("case", GRIDS)
@pytest.mark.parametrize("seeds", [1, 3])
def test_heat_maps_fit_the_page(case, seeds):
    methods = []
    for number, grid in enumerate(GRIDS[case]):
        panels = arrange(
            LONG[0] if case == "long" else COLUMNS[number], list(grid), grid_points(grid)
        )
        ce = np.linspace(0.3, 0.4, len(grid_points(grid)))
        ce[1:2] = np.nan
        ways = ["", "TempS", "Vector", "Dirichlet"][: 2 + 2 * (case == "paper")]
        methods.append((panels, ce, {way: [len(ce) - 1] * seeds for way in ways}))
    figure = heat_maps.draw(
        methods, seeds, "breast_cancer, ResNet152SD: best validation cross-entropy over the grids"
    )
    check_page(figure)
    shown = [text for _, text in texts_of(figure)]
    assert shown.count(str(seeds)) >= (0 if seeds == 1 or case == "none" else 2 * len(methods))
    assert ("diverged" in " ".join(shown)) == (case != "none")


def test_equal_values_have_a_colour_scale_too():
    grid = {"epsilon": [0.1, 0.2]}
    check_page(heat_maps.draw([(panels_of(grid), np.array([0.3, 0.3]), {"": [0]})], 1, "title"))
    check_page(
        heat_maps.draw([(panels_of(grid), np.array([np.nan, np.nan]), {"": [0]})], 1, "title")
    )


@pytest.mark.parametrize("names", [COLUMNS, COLUMNS[:1], LONG], ids=len)
@pytest.mark.parametrize("low", [1e-4, 0.5])
def test_training_curves_fit_the_page(names, low):
    epochs = np.geomspace(2, low, 300)
    curves = {
        name: training_curves.Curves(
            np.stack([epochs, epochs]), np.stack([epochs, epochs]), [3, 250]
        )
        for name in names
    }
    figure = training_curves.draw(
        curves, "breast_cancer, ResNet152SD: the selected student of each method"
    )
    check_page(figure)
    lines = [line for axes in figure.axes[1:] for line in axes.lines]
    assert [line.get_markevery() for line in lines] == [[2, 249]] * 2 * len(names)
    assert {line.get_color() for line in lines} == {
        look["color"] for look in style.line_looks(names).values()
    }


PAPER = [name for name in COLUMNS if not name.endswith("+TempS")]
ADDED = [f"added {number}" for number in range(28)]


def test_no_two_methods_look_alike():
    looks = [tuple(look.values()) for look in style.line_looks(PAPER + ADDED).values()]
    assert len({look[1:] for look in looks}) == len(looks)  # also without colours
    colours = [look[0] for look in looks][: len(PAPER) + 10]
    assert len(set(colours)) == len(colours)


# What the colour-blind see of linear RGB (Machado et al. 2009): without red, green or blue cones.
SEEN = {
    "all": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("sight", SEEN)
def test_colours_of_added_methods_are_seen_apart(sight):
    """Oklab's distance, in which black and white are 1 apart; the paper's own nine come to 0.05."""
    shades = [look["color"] for look in style.line_looks(PAPER + ADDED[:10]).values()]
    rgb = np.array([to_rgb(shade) for shade in [*shades, "white"]])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = np.clip(linear @ np.transpose(SEEN[sight]), 0, 1) @ np.transpose(
        [[0.412, 0.536, 0.051], [0.212, 0.681, 0.107], [0.088, 0.282, 0.630]]
    )
    lab = np.cbrt(cones) @ np.transpose(
        [[0.210, 0.794, -0.004], [1.978, -2.429, 0.451], [0.026, 0.783, -0.809]]
    )
    apart = np.linalg.norm(lab[:, None] - lab, axis=-1)[:, len(PAPER) : -1]
    np.fill_diagonal(apart[len(PAPER) :], np.inf)
    assert apart.min() > 0.05


def test_an_added_method_looks_the_same_in_all_figures_of_a_study():
    study, control = ["mine", "LS", "LS+TempS", "yours", "mine+Vector"], "LS restarts"
    looks = style.line_looks(study)
    with_control = style.line_looks([control, *study], [control])
    assert {name: with_control[name] for name in study} == looks
    assert looks["mine+Vector"] == looks["mine"] != looks["yours"]
    assert with_control[control]["color"] not in {look["color"] for look in looks.values()}
    published = style.line_looks(["LS", "LS+TempS"])
    assert published["LS"] == published["LS+TempS"] == looks["LS"]
    placed = layout(pd.Series({"mine": 3.0, "LS": 2.5, "yours": 1.0, "mine+Vector": 2}), 1.0, "")
    drawn = {label.method: label.colour for label in placed.labels}
    assert drawn == {name: looks[name]["color"] for name in drawn}


MAGIC = {"pdf": b"%PDF-", "png": b"\x89PNG\r\n\x1a\n"}


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_scripts_write_every_figure_in_both_formats(tmp_path, seeds):
    cells = [replace(made_up.CELL, seed=seed) for seed in range(seeds)]
    path = tmp_path / "predictions.safetensors"
    sizes, failed = dict.fromkeys(cells, (60, 3)), [("ils", 2)]
    made_up.predictions(path, SMALL_COLUMNS, SMALL_GRID, sizes, failed=failed)
    predictions = [(path, cell.name) for cell in cells]
    outputs = {
        kind: [tmp_path / kind / f"pair.{ending}" for ending in MAGIC]
        for kind in ("reliability", "classwise", "grids", "training")
    }
    calibration = {kind: outputs[kind] for kind in ("reliability", "classwise")}
    columns = [column["column"] for column in SMALL_COLUMNS]
    calibration_figures("iris, MLP", predictions, calibration, columns)
    training = {kind: outputs[kind] for kind in ("grids", "training")}
    hyperparameters = {method: list(grid) for method, grid in SMALL_GRID.items()}
    training_figures("iris, MLP", predictions, training, SMALL_COLUMNS, hyperparameters)
    for path in itertools.chain(*outputs.values()):
        assert path.read_bytes().startswith(MAGIC[path.suffix[1:]])


def test_evaluate_hands_on_the_curves_of_every_student():
    """The arrays of a predictions file have the names under which the drawing reads them."""
    grid = object.__new__(Grid)
    grid.failed_epoch = np.array([0, 2])
    grid.train_loss, grid.validation_ce = np.eye(2), np.ones((2, 2))
    arrays = grid.curves("ls")
    names = ("train_loss", "validation_ce", "failed_epoch")
    assert set(arrays) == {f"curves/ls/{name}" for name in names}
    assert arrays["curves/ls/train_loss"].dtype == np.float32
    assert arrays["curves/ls/failed_epoch"].tolist() == [0, 2]


RESTARTS = ["LS restarts", "LS restarts+TempS"]
BUDGETED = [
    [*COLUMNS, *RESTARTS],
    ["LS"],
    LONG,
    [*COLUMNS, "LS+Dirichlet", "LS+Vector", "ILS+Vector"],
]


def budget_table(columns):
    """Rows of results/budget.csv: the later a column the lower its line."""
    rows = []
    for number, column in enumerate(columns):
        for drawn in steps(1 + 5 * number):
            estimate = 1 / drawn - number / 10
            ends = (-np.inf, np.inf) if number % 2 else (estimate - 0.1, estimate + 0.1)
            rows.append((column, drawn + number % 2, estimate, *ends))
    return pd.DataFrame(rows, columns=["column", "trainings", "estimate", "low", "high"])


@pytest.mark.parametrize("columns", BUDGETED, ids=len)
def test_budgets_fit_the_page(columns):
    table, controls = budget_table(columns), {name for name in columns if "restarts" in name}
    figure = budget.draw(table, controls, "No LS+TempS")
    check_page(figure)
    looks = style.line_looks(columns, controls)
    calibrators = list(dict.fromkeys(["", *(parts(name)[1] for name in columns)]))
    for axes, calibrator in zip(figure.axes[1:], calibrators, strict=True):
        own = [name for name in columns if parts(name)[1] == calibrator]
        lines = [line for line in axes.lines if line.get_marker() != "None"]
        assert [line.get_color() for line in lines] == [looks[name]["color"] for name in own]
        dashed = [line.get_linestyle() == "--" for line in lines]
        assert dashed == [name in controls for name in own]
        for line, name in zip(lines, own, strict=True):
            rows = table[table["column"] == name]
            assert line.get_xdata().tolist() == rows["trainings"].tolist()
            assert line.get_ydata().tolist() == rows["estimate"].tolist()
        bars = [line for line in axes.lines if len(line.get_xdata()) == 2 and line not in lines]
        ends = table.groupby("column").last()["low"]
        assert len(bars) == 1 + sum(np.isfinite(ends[name]) for name in own)  # and zero


def test_the_forest_plot_has_room_for_its_labels():
    gains = np.linspace(0.02, 0.04, 8)
    names = "Online LS+TempS", "No LS+TempS", "a method of 20 chars+TempS"
    rows = [
        {"metric": "cross_entropy", "better": a, "worse": b, "trainings": trainings}
        | compare(gains, 0.01)._asdict()
        | {"verdict": "better", "gains": gains}
        for a, b in itertools.permutations(names, 2)
        for trainings in (np.nan, 12)
    ]
    check_page(decision.forest(pd.DataFrame(rows), [metrics()["cross_entropy"]]))
