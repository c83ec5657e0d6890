"""The report's pages, what ran, and the document.

Sentences are computed from made-up numbers, LaTeX is compiled once.
"""

import base64
import gzip
import json
import re
import shutil
import subprocess
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch
from docutils.core import publish_parts
from matplotlib.figure import Figure

from compile_document import compile_document
from conftest import ROOT
from ils.document import findings
from ils.document.document import CONTRADICTIONS, block, counts_table, document, drawings, prose
from ils.document.found import verdicts
from ils.document.latex import is_wide, long_table, wide_table
from ils.document.pages import browser, counts, number, table
from ils.document.provenance import PACKAGES, commit, gpus, kernels, processor
from ils.document.summary import what_ran
from ils.document.verdicts import first_page, left_out, measured
from ils.errors import UserError
from ils.figures.style import save
from ils.files import write_csv
from ils.plan.metrics import metrics
from ils.statistics.claims import CLAIMS, RANKS
from ils.synthetic.curves import HISTOGRAM_MODELS
from pages import pages
from provenance import provenance


def compared(*rows):
    names = ["setup", "row", "column", "mean", "standard_error", "printed"]
    return pd.DataFrame(rows, columns=[*names, "differs", "differs_clearly"])


def test_cells_that_differ_are_counted_where_the_paper_has_a_number():
    rows = [
        ("a", "x", "ece", 1, 0.1, 1.3, True, True),
        ("a", "x", "ce", 1, 0.1, 1.25, True, False),
        ("a", "x", "t", 1, 0.1, np.nan, False, False),
    ]
    sentence = findings.differing(compared(*rows, ("b", "x", "ece", 1, 0.1, 1, False, False)))
    assert sentence == (
        "Further than two standard errors from the print: 2 of 2 cells, 1 clearly, under a; "
        "0 of 1 cells, 0 clearly, under b."
    )
    bayes = compared(("a", "Bayes-Optimal", "accuracy", 82.1, 0.03, 81.98, True, True))
    assert findings.bayes_optimal(bayes).endswith(
        "82.10 ± 0.03 %, printed 81.98 %: 4.0 standard errors apart."
    )


def test_verdicts_are_counted_by_study():
    rows = [
        ("paper", "holds"),
        ("paper", "fails"),
        ("this run", "undecided"),
        ("this run, Eq. 2", "holds"),
    ]
    claims = pd.DataFrame(rows, columns=["study", "verdict"])
    assert counts(claims, "study", "verdict").values.tolist() == [
        ["paper", 1, 1, 0],
        ["this run", 0, 0, 1],
        ["this run, Eq. 2", 1, 0, 0],
    ]


def ledger_of(**verdicts):
    """Rows of a ledger, {claim: its verdicts on the print and on this run}."""
    rows = [
        (claim, study, verdict)
        for claim, words in verdicts.items()
        for study, verdict in zip(["paper", "this run"], words)
    ]
    return pd.DataFrame(rows, columns=["claim", "study", "verdict"])


def test_readers_meet_the_claims_that_the_run_measures_and_why_not_the_others():
    first, second = [claim.name for claim in CLAIMS if claim.checked_on == RANKS][:2]
    claims = ledger_of(**{first: ["holds", "fails"], second: ["fails", "not measured"]})
    assert measured(claims)["claim"].tolist() == [first] * 2
    assert left_out(claims) == (
        "Left out are claims that this study does not measure, as it lacks what they compare: 16 "
        "of 17 on real data, 16 of 16 on synthetic data and 4 of 4 on distillation."
    )
    assert list(verdicts(claims)) == [
        "Of the paper's 2 claims on real data this study measures 1: 1 fails."
    ]
    assert list(verdicts(claims.query("claim == @second"))) == []
    columns = ["metric", "trainings", "headline", "verdict"]
    rows = [("ece", None, True, "better"), ("ece", None, True, "worse"), ("ece", 4, True, "worse")]
    comparisons = pd.DataFrame([*rows, ("ece", None, False, "better")], columns=columns)
    text = first_page(claims, comparisons, [metrics()["ece"]])
    assert "study     holds  fails\n" in text and "paper     1      0\n" in text
    assert "this run  0      1\n" in text and "ECE     1       1\n" in text
    assert "=" not in first_page(claims[:0], comparisons[:0], [metrics()["ece"]])
    assert publish_parts(text, writer="html")["body"].count("<table") == 2


def ranks(values, cd=2.0, metric="ece"):
    about = {"pool": ["all"], "metric": metric}
    averages = {"method": values.keys(), "average_rank": values.values()}
    test = {"p": 0.03, "k": len(values), "critical_difference": cd}
    return pd.DataFrame(averages).assign(pool="all", metric=metric), pd.DataFrame(about | test)


def test_the_top_clique_is_who_is_within_the_critical_difference_of_the_best():
    ours = ranks({"LS": 3.9, "ILS": 1.5, "Dis": 2.0})
    printed = ranks({"LS": 1.0, "ILS": 2.0}, cd=0.5)
    assert findings.clique(("this run", *ours, "ece"), ("print", *printed, "ece")) == (
        "This run: the top clique is ILS and Dis, 2 of 3 methods (Friedman p = 0.03, critical "
        "difference 2.00); "
        "print: the top clique is LS, 1 of 2 methods (Friedman p = 0.03, critical difference 0.50)."
    )
    test = ours[1].assign(critical_difference=9)
    assert "all 3 methods share" in findings.clique(("this run", ours[0], test, "ece"))
    # by the methods of both, LS and ILS
    sentence = findings.ranking(ours[0], printed[0], ["ece"])
    assert "ECE ILS 1.50 (print: LS 1.00; correlation -1.00)" in sentence


def test_distances_from_the_bayes_optimal_distribution():
    histogram = np.zeros((2, len(HISTOGRAM_MODELS), 3, 4), int)
    histogram[..., 0] = 6
    histogram[:, 1, :, 3] = 2  # a quarter of No LS lies elsewhere
    text = (
        "highest probabilities No LS 0.250, No LS+TempS 0.000, LS+TempS 0.000; "
        "the others No LS 0.250"
    )
    assert text in findings.distributions(histogram)
    assert findings.true_class_distance(histogram).endswith(": 0.000.")


def curve(low, high):
    """One replicate's sums, 8 groups of 10 instances.

    Their best epsilon is `low` below p_t = 0.6 and `high` above.
    """
    epsilon, teacher = np.array([0.0, 0.1, 0.2]), np.full(8, 5.0)
    best = np.where(np.arange(8) < 4, low, high)
    student = teacher + (epsilon[:, None] != best) * 3
    count = np.full((1, 2, 1, 8), 10.0)
    sums = {
        "curve_count": count,
        "curve_teacher": teacher + 0 * count,
        "curve_student": student + np.zeros((1, 2, 1, 3, 8)),
    }
    return {"curve_epsilon": epsilon[None]} | sums


def test_curves_that_fall():
    sentence = findings.falling({"one": curve(0.2, 0.0), "two": curve(0.1, 0.1)}, 0)
    assert sentence == (
        "In 1 of 2 panels the best epsilon averages more below p_t = 0.6 than above: "
        "one 0.200 and 0.000; two 0.100 and 0.100."
    )
    sentence = findings.best_curve(curve(0.2, 0.0), 0.79, 1.5)
    assert "averages 0.200, above 0.000, the paper's parabola 0.181 and 0.025" in sentence
    assert "P1 = 0.790 and P2 = 1.50" in sentence


def test_the_lowest_loss_and_the_papers_choice():
    # 2 replicates, P1 0.8 and 0.9, P2 2 and 4
    grid = np.array([[[0.5, 0.4], [0.6, 0.3]], [[0.7, 0.6], [0.8, 0.5]]])
    assert findings.lowest(grid, [0.8, 0.9], [2, 4]).endswith(
        "0.4000, is at P1 = 0.9, P2 = 4; the paper's 0.8 and 2 lies 0.2000 ± 0.0000 above it."
    )
    assert findings.lowest(grid, [0.7, 0.9], [2, 4]).endswith("P2 = 4.")
    assert findings.easy({"iris": np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 3]])}).endswith(
        ": iris 75 %."
    )


def test_contradictions_by_kind():
    contradictions = pd.DataFrame({"kind": ["tie rule", "subscript", "subscript"]})
    assert findings.contradictions(contradictions) == (
        "In the printed table, subscripts that fit no rule for ties: 2; "
        "average ranks by another rule for ties than mid-ranks: 1."
    )


def test_prose_is_latex():
    latex = prose("as_written: p_t < 0.6, 1 ± 2 %")
    assert latex == r"as\_written: $p_t$ \textless{} 0.6, 1 $\pm$ 2 \%"


def small_document():
    artefacts = {
        "table3": ("Sentence III.", r"\artefact{table3}"),
        "fig12": ("Sentence 12.", drawings(["a", "a"], "A caption.")),
    }
    artefacts["fig01"] = "Sentence 1.", drawings(["a"], "The first.")
    counts = counts_table(pd.DataFrame({"kind": ["a_b"], "ece": [3]}))
    artefacts[CONTRADICTIONS] = "Their numbers.", counts
    return document("Heading", r"\contents", artefacts, wide=["table3"])


def test_the_document_has_what_there_is_in_the_papers_order():
    text = small_document()
    marks = [
        "{Figure 1}{Sentence 1.}",
        "Sections III and IV",
        "{Table III, this run}",
        "Section VI",
        r"a\_b & 3",
        "{Figure 12}",
        "Appendix C",
        r"\input{table3_long}",
    ]
    assert sorted(marks, key=text.index) == marks
    assert "Appendix A" not in text and "Table V" not in text  # no empty sections
    assert block("table3", "", "", wide=True).startswith(r"\begin{landscape}")
    assert block("table3", "", "", wide=True).endswith(r"\end{landscape}")
    assert text.count(r"\begin{landscape}") == 1
    assert block("table6", "", "").startswith(r"\begin{block}{Table VI}")
    assert text.count(r"\drawing[.49\linewidth]{a}") == 2 and r"\drawing[\linewidth]{a}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
def test_the_document_compiles_to_the_same_bytes(tmp_path):
    figure = Figure(figsize=(9, 1))
    figure.subplots().plot([0, 1])
    save(figure, tmp_path / "a.pdf")
    rows = [["LeNet", "0.1"]] * 90  # more than a page
    tall = wide_table("A caption.", "tab:x", ["Model", "LS"], [("ECE", rows)])
    (tmp_path / "table3.tex").write_text(tall)
    names = [r"ResNet20\_with\_stochastic\_depth", r"movement\_libras\_with\_a\_long\_name"]
    long = [("ECE", [[*names, *[r"\textbf{0.123}$_{10.5}$"] * 12]] * 60)] * 2
    header = ["Model", "Dataset", *["No LS+TempS"] * 12]
    (tmp_path / "table3_long.tex").write_text(long_table(" on the test data.", header, long))
    (tmp_path / "reproduction.tex").write_text(small_document())
    outputs = [tmp_path / "one.pdf", tmp_path / "two.pdf"]
    for output in outputs:
        compile_document(tmp_path / "reproduction.tex", output)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[0].read_bytes().startswith(b"%PDF")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "a.pdf",
        "one.pdf",
        "reproduction.tex",
        "table3.tex",
        "table3_long.tex",
        "two.pdf",
    ]
    command = ["pdflatex", "-interaction=nonstopmode", f"-output-directory={tmp_path}"]
    command.append("reproduction.tex")
    log = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout
    assert "Overfull" not in log and "Missing character" not in log and "multiply" not in log
    (tmp_path / "reproduction.tex").write_text(small_document().replace("{table3}", "{absent}"))
    with pytest.raises(UserError, match="pdflatex stopped: ! LaTeX Error: File `absent"):
        compile_document(tmp_path / "reproduction.tex", tmp_path / "three.pdf")
    assert not (tmp_path / "three.pdf").exists()


def test_tables_as_html():
    frame = pd.DataFrame(
        {
            "method": ["A<B", "C"],
            "LS": [0.123456, 1.0],
            "LS rank": [1.0, 2.5],
            "ILS": [0.2, 0.1],
            "ILS rank": [2.0, 1.0],
        }
    )
    text = table(frame)
    assert "A&lt;B" in text and "<th>LS</th><th>ILS</th>" in text
    assert '<td class="number"><b>0.1235</b><sub>1</sub></td>' in text
    assert text.count('<td class="number">1.0000<sub>2.5</sub>') == 1  # as many digits as above
    verdicts = {"verdict": ["holds", "undecided"], "differs": [True, False], "n": [3, None]}
    text = table(pd.DataFrame(verdicts))
    assert '<td class="holds">' in text and '<td class="open">' in text
    assert '<td class="true">True' in text and "<td></td>" in text
    assert '<td class="number">3</td>' in text  # a whole column, one of whose numbers lacks
    assert number(0.956) == "0.9560" and number(0.0) == "0.0000" and number(5) == "5"
    assert number(-1.26e-7) == "-1.3e-07"


def test_a_page_has_its_table_and_every_digit_of_it_packed():
    frame = pd.DataFrame({"dataset": ["ä<b"], "ece": [0.123456789]})
    page = browser(frame, "a")
    csv, shown = (unpacked(page, name) for name in ("csv", "shown"))
    assert csv == "dataset,ece\nä<b,0.123456789\n" and shown == table(frame)
    assert 'download="a.csv"' in page and page == browser(frame, "a")


def unpacked(page, name):
    data = re.search(f'{name} = "([^"]*)"', page)[1]
    return gzip.decompress(base64.b64decode(data)).decode()


def test_pages_as_files(tmp_path):
    claim = CLAIMS[0].name
    rows = {"claim": claim, "study": ["paper", "this run"], "verdict": ["fails", "holds"]}
    write_csv(tmp_path / "claims.csv", pd.DataFrame(rows))
    (tmp_path / "claims.rst").write_text("What it shows.\n")
    pages(
        [tmp_path / "claims.csv"], [tmp_path / "claims.rst"], ["Claims"], [tmp_path / "claims.html"]
    )
    text = (tmp_path / "claims.html").read_text()
    assert (
        "<h1>Claims</h1>\n<p>What it shows. Left out are claims that" in text
        and text.count("<table") == 1
    )
    assert "fails" in unpacked(text, "shown")
    assert not re.search(r"(src|href)=.?(http|//)", text)  # nothing from elsewhere


def test_what_ran_is_the_same_twice_and_has_no_date(tmp_path):
    (tmp_path / "caption.rst").write_text("What ran.")
    config = {"device": "cpu", "seeds": [0, 1], "folder": None}
    outputs = [(tmp_path / f"{n}.json", tmp_path / f"{n}.html") for n in (1, 2)]
    for paths in outputs:
        provenance(config, "device: cpu\n", "mine.yaml", tmp_path, tmp_path / "caption.rst", *paths)
    assert [path.read_bytes() for path in outputs[0]] == [path.read_bytes() for path in outputs[1]]
    written, page = (path.read_text() for path in outputs[0])
    facts = json.loads(written)
    assert facts["config"] == config and facts["config_file"] == "mine.yaml"
    assert facts["commit"] is None and facts["packages"]["numpy"] == np.__version__
    assert facts["packages"].keys() == set(PACKAGES)
    assert f"<td>{facts['kernels']['capability']}</td>" in page
    assert "mine.yaml" in page and "device: cpu" in page
    assert str(tmp_path) not in written + page


def test_the_packages_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w-]+", dependency)[0] for dependency in project["dependencies"]]
    assert sorted(PACKAGES) == sorted(names)


def test_the_commit_of_the_repository_itself(tmp_path):
    assert commit(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").write_text("1")
    for arguments in (["init", "-q"], ["add", "file"], ["commit", "-qm", "one"]):
        subprocess.run(git + arguments, check=True)
    assert re.fullmatch("[0-9a-f]{40}", commit(tmp_path))
    (tmp_path / "file").write_text("2")
    assert re.fullmatch(r"[0-9a-f]{40}\+", commit(tmp_path))
    (tmp_path / "inside").mkdir()
    assert commit(tmp_path / "inside") is None  # that of another repository is not ours


def test_the_machine(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A B (R)\n")
    assert processor(tmp_path / "cpuinfo") == "A B (R)"
    assert isinstance(processor(tmp_path / "none"), str)
    (tmp_path / "0000:01").mkdir()
    (tmp_path / "0000:01/information").write_text("Model: \t\t H100\nIRQ: 1\n")
    assert gpus(tmp_path) == ["H100"] and gpus(tmp_path / "none") == []


def test_the_kernels(tmp_path, monkeypatch):
    text = "flags\t\t: fpu avx512f avx2x amx_bf16 avx2\nflags : none\n"
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv("MKL_CBWR", raising=False)
    found = kernels(tmp_path / "cpuinfo")
    assert found["flags"] == ["avx2", "avx512f", "amx_bf16"]
    assert found["limits"]["ONEDNN_MAX_CPU_ISA"] == "AVX2" and "MKL_CBWR" not in found["limits"]
    assert found["capability"] == torch.backends.cpu.get_cpu_capability()
    assert found["threads"] == torch.get_num_threads()
    assert kernels(tmp_path / "none")["flags"] == []
    known = any("DNN" in line for line in found["libraries"])
    assert known == torch.backends.mkldnn.is_available()


def test_the_first_page_names_machine_and_kernels():
    packages = dict.fromkeys(("torch", "numpy", "scipy", "scikit-learn"), "1.0")
    config = {"experiments": [{}, {}], "seeds": [0, 1], "methods": [{"label": "LS"}]}
    machine = {"processor": "A B", "kernels": {"capability": "AVX2"}, "commit": "0" * 40}
    about = {"config": config, "config_file": "mine.yaml", "python": "3.11", "packages": packages}
    sentence = what_ran(about | machine)
    assert sentence.endswith("scikit-learn 1.0; A B, AVX2 kernels; commit 000000000000.")


def test_a_long_table_stands_after_its_title_and_may_take_two_pages():
    text = block("table5", "Sentence.", r"\artefact{table5}", wide=True)
    marks = [r"\end{block}", r"\artefact{table5}", r"\end{landscape}"]
    assert sorted(marks, key=text.index) == marks


@pytest.mark.parametrize(
    ("columns", "lines", "wide"), [(8, 60, False), (20, 8, True), (14, 50, False), (8, 8, False)]
)
def test_a_table_is_turned_where_that_shows_it_much_larger(columns, lines, wide):
    rows = [[r"\textbf{0.123}$_{12}$"] * columns] * lines
    text = wide_table("A caption.", "tab:x", ["LS"] * columns, [("ECE", rows)])
    assert is_wide(text) == wide
