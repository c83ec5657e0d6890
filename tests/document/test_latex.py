"""LaTeX as text, and the way from a metrics table to Table III and its diagrams, compiled once."""

import shutil
import subprocess

import pandas as pd
import pytest

import made_up
from critical_difference import critical_difference
from ils.document.latex import escape, long_table, number, row, size, wide_table
from ils.document.table3 import MOST_PAIRS
from ils.document.table3 import typeset as typeset_parts
from ils.errors import UserError
from ils.files import read_csv, write_csv
from ils.paper import TABLE_III
from ils.plan.metrics import metrics
from rank_methods import rank_methods
from table3 import table3


def test_escape():
    assert escape("BS_Soft & 5% of $x^2$ #1 {~}") == (
        r"BS\_Soft \& 5\% of \$x\textasciicircum{}2\$ \#1 \{\textasciitilde{}\}"
    )
    assert escape("a\\b") == r"a\textbackslash{}b"


def test_numbers():
    assert number(0.7064, 3) == "0.706"
    assert number(0.7064, 3, rank=8.5) == "0.706$_{8.5}$"
    assert number(76.826, 2, bold=True, rank=1.0) == r"\textbf{76.83}$_{1}$"


def test_rows_and_table():
    assert row(["a", "b"]) == r"a & b \\"
    text = wide_table("Caption", "tab:x", ["Model", "LS"], [("ECE", [["LeNet", "0.1"]])])
    assert text.startswith(
        "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}.\n\\begin{table*}"
    )
    assert (
        "\\midrule\n\\multicolumn{2}{@{}l}{\\textit{ECE}} \\\\\nLeNet & 0.1 \\\\\n\\bottomrule"
        in text
    )


def test_a_long_table_is_one_a_block_with_its_heads_on_every_page():
    rows = [["a_b", "0.1"], ["c", "0.2"], ["Average", "1.00"]]
    text = long_table(" on tests.", ["Model", "LS"], [("ECE", rows), ("cwECE", rows)])
    assert text.count(r"\clearpage") == text.count(r"\begin{longtable}") == 2
    assert text.count(r"Model & LS \\") == 4  # of the first pages, and of those that follow
    assert r"\caption{\textit{cwECE} on tests.} \\" in text
    assert r"\multicolumn{2}{@{}l}{\textit{cwECE}, continued} \\" in text
    assert "c & 0.2 \\\\\n\\nopagebreak\\midrule\\nopagebreak\nAverage & 1.00 \\\\\n" in text
    assert text.index(r"\begin{landscape}") < text.index(r"\footnotesize")


def test_the_more_a_line_holds_the_smaller_it_is():
    numbers = [r"\textbf{0.123}$_{10.5}$"] * 12  # 9 characters each
    header = ["Model", "Dataset", *["LS"] * 12]
    # beside the dataset: "Model", the numbers, and two characters between two of the 14 columns
    beside = 5 + 12 * 9 + 14 * 2
    for line, expected in [(165, "footnotesize"), (166, "scriptsize"), (191, "tiny")]:
        dataset = r"d\_".ljust(1 + line - beside, "x")
        assert size(header, [("ECE", [["a", dataset, *numbers]])]) == expected


# Two seeds of three methods on two blocks. Means over seeds of cross-entropy, on wine: .5, .4,
# .3004; on iris: .2, .3, .3. Accuracy on wine: .8, .8, .9; on iris: all 1.
CELLS = {
    ("LeNet", "wine", "No LS"): [(0.4, 0.7), (0.6, 0.9)],
    ("LeNet", "wine", "BS_Soft"): [(0.4, 0.8), (0.4, 0.8)],
    ("LeNet", "wine", "ILS+TempS"): [(0.3, 0.9), (0.3008, 0.9)],
    ("MLP_2", "iris", "No LS"): [(0.2, 1.0), (0.2, 1.0)],
    ("MLP_2", "iris", "BS_Soft"): [(0.2, 1.0), (0.4, 1.0)],
    ("MLP_2", "iris", "ILS+TempS"): [(0.4, 1.0), (0.2, 1.0)],
}


@pytest.fixture
def stage(tmp_path):
    """Return the folder in which rank_methods has ranked CELLS."""
    rows = [
        (*cell, seed, *values) for cell, runs in CELLS.items() for seed, values in enumerate(runs)
    ]
    names = ["network", "dataset", "method", "seed", "cross_entropy", "accuracy"]
    table = pd.DataFrame(rows, columns=names).assign(ece=0.01, cwece=0.02, best_epoch=7)
    write_csv(tmp_path / "metrics.csv", table)
    rank(tmp_path)
    return tmp_path


def rank(folder):
    rank_methods(
        metrics=folder / "metrics.csv",
        ranked=made_up.RANKED,
        alpha=0.05,
        ranks=folder / "ranks.csv",
        average_ranks=folder / "average_ranks.csv",
        friedman_tests=folder / "friedman.csv",
        pairwise_tests=folder / "pairwise.csv",
    )


def typeset(folder, intervals=None):
    table3(
        ranks=folder / "ranks.csv",
        average_ranks=folder / "average_ranks.csv",
        intervals=intervals,
        metrics=[metrics()[name] for name in TABLE_III],
        source="averages over 2 seeds of a_b.yaml",
        tex=folder / "table3.tex",
        long=folder / "table3_long.tex",
        csv=folder / "table3.csv",
    )
    return (folder / "table3.tex").read_text()


def test_ranks_and_tests_as_csv(stage):
    ranks = read_csv(stage / "ranks.csv")
    assert list(ranks) == ["pool", "metric", "dataset", "network", "method", "value", "rank"]
    wine = ranks.query("pool == 'all' and metric == 'accuracy' and dataset == 'wine'")
    assert wine["value"].tolist() == pytest.approx([0.8, 0.8, 0.9])
    assert wine["rank"].tolist() == [2.5, 2.5, 1]
    alone = ranks.query("pool == 'alone' and metric == 'accuracy' and dataset == 'wine'")
    assert alone["method"].tolist() == ["No LS", "BS_Soft"] and alone["rank"].tolist() == [1.5, 1.5]
    by_ce = "pool == 'all' and metric == 'cross_entropy'"
    averages = read_csv(stage / "average_ranks.csv").query(by_ce)
    assert averages["average_rank"].tolist() == [2, 2.25, 1.75]
    tests = read_csv(stage / "friedman.csv").query("pool == 'all'").set_index("metric")
    assert list(tests.index) == ["accuracy", "cross_entropy", "ece", "cwece"]
    assert tests.loc["ece", ["statistic", "p"]].tolist() == [0, 1]  # everything ties
    assert (tests[["k", "n"]] == (3, 2)).all(axis=None)
    # Demsar's q_0.05
    assert tests["critical_difference"].tolist() == pytest.approx([2.343 * 1**0.5] * 4, abs=1e-3)
    pairs = read_csv(stage / "pairwise.csv").query(by_ce)
    assert pairs["method_2"].tolist() == ["BS_Soft", "ILS+TempS", "ILS+TempS"]
    assert pairs["rank_difference"].tolist() == [0.25, -0.25, -0.5]
    assert pairs["nemenyi_p"].between(0.5, 1).all()


def test_table3_text(stage):
    lines = typeset(stage).splitlines()
    assert r"Model & Dataset & No LS & BS\_Soft & ILS+TempS \\" in lines
    assert r"LeNet & wine & 0.500$_{3}$ & 0.400$_{2}$ & \textbf{0.300}$_{1}$ \\" in lines
    assert r"MLP\_2 & iris & \textbf{0.200}$_{1}$ & 0.300$_{2.5}$ & 0.300$_{2.5}$ \\" in lines
    assert r"\textit{Average Rank} &  & 2.00 & 2.25 & \textbf{1.75} \\" in lines
    assert r"LeNet & wine & 80.00$_{2.5}$ & 80.00$_{2.5}$ & \textbf{90.00}$_{1}$ \\" in lines
    assert (
        r"MLP\_2 & iris & \textbf{100.00}$_{2}$ & \textbf{100.00}$_{2}$ & \textbf{100.00}$_{2}$ \\"
        in lines
    )
    caption = next(line for line in lines if line.startswith(r"\caption"))
    assert r"averages over 2 seeds of a\_b.yaml" in caption and "Eq.~2" in caption


def test_table3_as_csv_loses_no_digit(stage):
    typeset(stage)
    table = read_csv(stage / "table3.csv").set_index(["metric", "network", "dataset"])
    row = table.loc["cross_entropy", "LeNet", "wine"]
    assert row[["No LS", "BS_Soft", "ILS+TempS"]].tolist() == pytest.approx([0.5, 0.4, 0.3004])
    assert row[["No LS rank", "BS_Soft rank", "ILS+TempS rank"]].tolist() == [3, 2, 1]
    by_ce = table.loc["cross_entropy"]
    assert by_ce.index.tolist()[:2] == [("LeNet", "wine"), ("MLP_2", "iris")]  # as configured
    assert by_ce.index[-1][0] == "Average rank"
    assert by_ce.iloc[-1][["No LS", "BS_Soft", "ILS+TempS"]].tolist() == [2, 2.25, 1.75]
    metrics = table.index.get_level_values("metric").unique().tolist()
    assert metrics == [*TABLE_III]


def test_digits_end_where_standard_errors_begin(stage):
    errors = {"cross_entropy": 0.03, "accuracy": 0.004, "ece": 0.2, "cwece": 0.0}
    frame = pd.DataFrame(list(errors.items()), columns=["metric", "standard_error"])
    write_csv(stage / "intervals.csv", frame)
    lines = typeset(stage, stage / "intervals.csv").splitlines()
    assert r"LeNet & wine & 0.50$_{3}$ & 0.40$_{2}$ & \textbf{0.30}$_{1}$ \\" in lines
    assert r"LeNet & wine & 80.0$_{2.5}$ & 80.0$_{2.5}$ & \textbf{90.0}$_{1}$ \\" in lines
    for text in ("0.0", "0.020"):  # ECE 0.01 ± 0.2; cwECE 0.02 without an error
        cells = " & ".join([rf"\textbf{{{text}}}$_{{2}}$"] * 3)
        assert rf"LeNet & wine & {cells} \\" in lines


def test_blocks_of_the_table_come_in_the_papers_order(stage):
    text = typeset(stage)
    names = ["Cross-Entropy", r"Accuracy \%", "ECE", "cwECE"]
    titles = [rf"\textit{{{name}}}" for name in names]
    assert sorted(titles, key=text.index) == titles


def test_a_table_of_a_page_has_nothing_behind_it(stage):
    typeset(stage)
    assert (stage / "table3_long.tex").read_text().startswith("% Nothing is here")


def parts(count, errors=None):
    """Return accuracies of two methods on `count` pairs: A wins the first, shares the second."""
    rows = []
    for n in range(count):
        for method, value in ("A_1", 0.9 if n < 2 else 0.5), ("B", 0.9 if n else 0.1):
            rank = 1.5 if n == 1 else 1 + ((method == "B") == (n == 0))
            rows.append(("MLP", f"movement_{n % 10}_{n // 10}", method, value, rank))
    ranked = pd.DataFrame(rows, columns=["network", "dataset", "method", "value", "rank"])
    averages = ranked.groupby("method")["rank"].mean()
    return [(metrics()["accuracy"], ranked, averages, errors)]


def test_more_pairs_than_a_page_holds_are_summed_up_and_follow_in_full():
    as_printed, nothing = typeset_parts(parts(MOST_PAIRS), "made up")
    assert "movement" in as_printed and nothing.startswith("%")
    table, full = typeset_parts(parts(MOST_PAIRS + 4), "seeds of a_b")
    lines = table.splitlines()
    assert r" & A\_1 & B \\" in lines
    assert r"Average rank & 1.91 & \textbf{1.09} \\" in lines  # (1 + 1.5 + 14 x 2) / 16
    assert r"Wins & 1 & \textbf{14} \\" in lines and "Shared wins & 1 & 1 \\\\" in lines
    assert r"Median & 50.00 & \textbf{90.00} \\" in lines
    assert r"Mean & 55.00 & \textbf{85.00} \\" in lines
    assert r"over 16 pairs of network and dataset, 16 datasets: seeds of a\_b." in table
    assert full.count(r"MLP & movement\_") == 16 and r": seeds of a\_b. Best" in full
    assert r"MLP & movement\_1\_0 & \textbf{90.00}$_{1.5}$ & \textbf{90.00}$_{1.5}$ \\" in full


def test_of_many_methods_each_has_a_row_of_the_summary(monkeypatch):
    monkeypatch.setattr("ils.document.table3.MOST_METHODS", 1)
    table, _ = typeset_parts(2 * parts(MOST_PAIRS + 4), "made up")
    lines = table.splitlines()
    title = r"\multicolumn{5}{l}{\textit{Accuracy \%}}"
    assert rf" & {title} & {title} \\" in lines and r"\begin{tabular}{@{}lllllllllll@{}}" in lines
    assert (
        " & " + " & ".join(2 * ["Average rank & Wins & Shared wins & Median & Mean"]) + r" \\"
        in lines
    )
    assert lines[lines.index(r"\midrule") + 1 :][:2] == [
        rf"{name} & {' & '.join(2 * [values])} \\"
        for name, values in (
            (r"A\_1", "1.91 & 1 & 1 & 50.00 & 55.00"),
            ("B", r"\textbf{1.09} & \textbf{14} & 1 & \textbf{90.00} & \textbf{85.00}"),
        )
    ]


def test_a_summary_has_the_digits_of_an_average_over_pairs():
    errors = pd.DataFrame({"metric": ["accuracy"], "standard_error": [0.012]})  # 0.3 % over 16
    table, full = typeset_parts(parts(16, errors), "made up")
    assert r"Mean & 55.0 & \textbf{85.0} \\" in table and r"\textbf{90}$_{1.5}$" in full


def test_a_metric_that_was_not_ranked_is_named(stage):
    write_csv(stage / "metrics.csv", read_csv(stage / "metrics.csv").drop(columns="cwece"))
    rank(stage)
    with pytest.raises(UserError, match="needs ranks by cwece"):
        typeset(stage)
    with pytest.raises(UserError, match=r"friedman.csv: has no metric cwece"):
        critical_difference(
            stage / "average_ranks.csv",
            stage / "friedman.csv",
            [(metrics()["cwece"], "all")],
            [stage / "fig15.pdf"],
        )


def test_an_incomplete_metrics_table_is_refused(stage):
    write_csv(stage / "metrics.csv", read_csv(stage / "metrics.csv").iloc[1:])
    with pytest.raises(UserError, match="network=LeNet, dataset=wine, method=No LS, seed=0"):
        rank(stage)


def test_the_diagram_of_one_metric_in_both_formats(stage):
    figures = [stage / "fig13.pdf", stage / "fig13.png"]
    tables, diagram = (stage / "average_ranks.csv", stage / "friedman.csv"), "cross_entropy"
    critical_difference(*tables, [(metrics()[diagram], "all")] * 2, figures)
    assert figures[0].read_bytes().startswith(b"%PDF")
    assert figures[1].read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_table3_compiles(stage):
    typeset(stage)
    packages = r"\usepackage{booktabs}\usepackage{graphicx}"
    document = (
        rf"\documentclass{{article}}{packages}\begin{{document}}\input{{table3}}\end{{document}}"
    )
    (stage / "document.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    result = subprocess.run(command, cwd=stage, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout[-2000:]
    assert "Output written on document.pdf (1 page" in result.stdout
    assert "Overfull" not in result.stdout and "Missing character" not in result.stdout
