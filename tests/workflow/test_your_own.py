"""The page YOUR_OWN.md: what it shows works as it stands, in one run."""

import json
import re

import pandas as pd

from conftest import ROOT, Clone

DIAGRAMS = "cd_mce", "cd_mce_alone"


def blocks(language):
    """The code blocks of the page in one language."""
    page = (ROOT / "config/YOUR_OWN.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.S | re.M)


def test_the_pages_examples_work_as_they_stand(tmp_path):
    clone = Clone(tmp_path)
    header, rows = blocks("csv")[0].split("\n", 1)
    (tmp_path / "shells.csv").write_text(f"{header}\n{rows * 100}")  # the page shows its beginning
    for block in blocks("python"):
        name, code = re.fullmatch(r"# (scripts/ils/[\w/]+\.py)\n(.*)", block, re.S).groups()
        before = (tmp_path / name).read_text() if (tmp_path / name).exists() else ""
        (tmp_path / name).write_text(f"{before}\n\n{code}")

    for number, block in enumerate(blocks("yaml")):
        clone.more_configs.append(tmp_path / f"own{number}.yaml")
        clone.more_configs[-1].write_text(block)

    def leave(config):
        del config["methods"][1:], config["experiments"][:]  # the teacher is enough beside these
        config["distillation"] = None
        config["cells_per_job"] = 3

    clone.edit_config(leave)
    drawn = *(f"figures/{name}.pdf" for name in DIAGRAMS), "figures/budget.png"
    targets = "table3.tex", "comparisons.csv", *drawn
    clone.snakemake("--cores", "2", *(f"results/{target}" for target in targets))

    metrics = pd.read_csv(tmp_path / "results/metrics.csv")
    columns = ["No LS", "No LS+TempS", "Gini LS", "Gini LS+TempS"]
    columns += ["Logit norm", "Warm LS", "Gain", "LS 0.1", "LS 0.1+ETS"]
    methods = metrics.groupby(["dataset", "network"]).method.apply(list)
    pairs = ("shells", "MLP"), ("stripes", "MLP"), ("stripes", "SmallCNN")
    assert methods.to_dict() == dict.fromkeys(pairs, columns)
    assert metrics[["cross_entropy", "accuracy", "ece", "cwece"]].notna().all(axis=None)
    # A bin of the largest gap is no better than all on average, and chance alone has some gap.
    assert (metrics["mce"] >= metrics["ece"] - 1e-12).all() and (metrics["mce_floor"] > 0).all()
    assert metrics["mce_p"].between(0, 1).all()
    intervals = pd.read_csv(tmp_path / "results/intervals.csv").query("metric == 'mce'")
    assert len(intervals) == len(metrics) and (intervals["standard_error"] > 0).all()
    assert (intervals["low"] <= intervals["value"]).all() and (intervals["high"] <= 1).all()
    gains = pd.read_csv(tmp_path / "results/comparisons.csv").query("metric == 'mce'")
    assert len(gains) > 0 and (gains["rope"] == 0.02).all()
    diagrams = [tmp_path / f"results/figures/{name}.pdf" for name in DIAGRAMS]
    assert all(path.read_bytes().startswith(b"%PDF") for path in diagrams)
    # The examples do what they say: classes are learnt, and the new targets are not old ones.
    assert (metrics.accuracy > 0.5).all()
    for _, cell in metrics.groupby(["dataset", "network"]):
        losses = cell.set_index("method").validation_ce
        assert losses[["No LS", "Gini LS", "Logit norm", "Warm LS", "Gain"]].nunique() == 5

    ensembles = metrics[metrics.method == "LS 0.1+ETS"]
    shares = ensembles.parameters.map(lambda text: json.loads(text)["uniform"])
    assert shares.between(0, 1).all() and ensembles.temperature.isna().all()
    budgets = pd.read_csv(tmp_path / "results/budget.csv")
    assert set(budgets.column) == set(columns)

    table = (tmp_path / "results/table3.tex").read_text()
    words = "Gini LS", "Logit norm", "Gain", "SmallCNN", "shells", "stripes"
    assert all(word in table for word in words)
    assert r"\textit{MCE}" in table and "Cross-entropy, accuracy, ECE, cwECE and MCE" in table
    assert "nan" not in table.lower()
