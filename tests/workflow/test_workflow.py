"""The workflow itself, on a copy of the repository: run twice, rerun after edits, made to fail."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, Clone


@pytest.fixture
def unchanged(finished):
    """The finished clone, its code and config put back after the test."""
    kept = {
        path: path.read_bytes()
        for path in (finished.config, *finished.folder.glob("scripts/**/*.py"))
    }
    yield finished
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def test_one_and_two_cores_make_the_same_bytes(finished, tmp_path):
    other = Clone(tmp_path)
    other.snakemake("--cores", "2", "all")
    files = sorted(
        p.relative_to(finished.folder) for p in finished.folder.glob("results/**/*") if p.is_file()
    )
    made = [name for name in files if "logs" not in name.parts]
    assert {
        Path("results/metrics.csv"),
        Path("results/table3.tex"),
        Path("results/figures/fig12.pdf"),
    } <= set(made)
    different = [
        name
        for name in made
        if (finished.folder / name).read_bytes() != (tmp_path / name).read_bytes()
    ]
    assert not different


def made_otherwise(config):
    """Rounds of methods, cut into other shards, of which other numbers train in one network."""
    config |= {"trained_together": "round", "hours_per_job": 4}
    for network in config["networks"]:
        network["students_at_once"] = {"cpu": 2, "cuda": 1}


def test_in_whatever_company_students_train_the_results_are_the_same_bytes(finished, tmp_path):
    clone = Clone(tmp_path, finished.folder, [path.name for path in finished.folder.iterdir()])
    clone.edit_config(made_otherwise)
    targets = "results/metrics.csv", "results/distillation.csv"
    clone.snakemake("--cores", "2", *targets)
    assert list(tmp_path.glob("results/students/*/round2/shard1.safetensors"))
    predictions = [p.relative_to(tmp_path) for p in tmp_path.glob("results/predictions/*")]
    assert len(predictions) == 2
    for name in (*targets, *predictions):
        assert (tmp_path / name).stat().st_mtime > (finished.folder / name).stat().st_mtime
        assert (tmp_path / name).read_bytes() == (finished.folder / name).read_bytes(), name


def test_a_finished_study_has_nothing_to_do(finished):
    assert finished.planned("all") == ({}, set())
    assert "Nothing to be done" in finished.snakemake("--cores", "2", "results/table3.tex")


def test_every_column_of_every_cell_is_in_the_metrics(finished):
    import pandas as pd

    metrics = pd.read_csv(finished.folder / "results/metrics.csv")
    assert (
        metrics.groupby(["dataset", "network", "seed"]).method.apply(list).tolist()
        == [["No LS", "No LS+TempS", "LS", "LS+TempS", "Beta", "ILS2"]] * 2
    )
    by_method = metrics.set_index(["dataset", "method"])
    for dataset in ("iris", "wine"):
        assert by_method.accuracy[dataset, "No LS"] == by_method.accuracy[dataset, "No LS+TempS"]
        assert by_method.temperature[dataset, "No LS"] == 1
        assert (
            by_method.validation_ce[dataset, "No LS+TempS"]
            <= by_method.validation_ce[dataset, "No LS"]
        )
    assert (
        "averages over 1 seed of small.yaml" in (finished.folder / "results/table3.tex").read_text()
    )
    assert (metrics.accuracy > 0.5).all() and (metrics.students == [1, 1, 4, 4, 1, 4] * 2).all()


def test_an_edit_to_the_analysis_reruns_the_analysis_only(unchanged):
    latex = unchanged.folder / "scripts/ils/document/latex.py"
    latex.write_text(latex.read_text() + "\n# edited\n")
    typeset = {"table3", "table4", "synthetic_table", "synthetic_differences", "claims"}
    gathered = {"decision_figures", "found", "summarise", "pages", "provenance", "reproduction"} | (
        {"reproduction_pdf"} if shutil.which("pdflatex") else set()
    )
    assert unchanged.planned("all")[0].keys() == {"all"} | typeset | gathered
    statistics = unchanged.folder / "scripts/ils/statistics/ranks.py"
    statistics.write_text(statistics.read_text() + "\n# edited\n")
    rules = unchanged.planned("all")[0].keys()
    before = {"split", "train_teacher", "fit_temperature", "soft_targets", "train_students"}
    assert {"all", "table3", "rank_methods"} <= rules
    assert not rules & (before | {"distil", "evaluate", "metrics"})


def test_an_edit_to_a_grid_retrains_that_method_only(unchanged):
    unchanged.edit_config(lambda config: config["methods"][1]["grid"]["epsilon"].append(0.3))
    counts, methods = unchanged.planned("all")
    assert methods == {"ls", "beta"}
    assert counts["train_students"] == 5 and "train_teacher" not in counts
    assert counts["soft_targets"] == 2 and counts["distil"] == 1  # LS teaches
    assert counts["evaluate"] == 2  # the students that are compared, and the distilled ones


def test_an_edit_to_the_teachers_recipe_retrains_everything_after_it(unchanged):
    unchanged.edit_config(lambda config: config["recipes"][0].update(epochs=9))
    counts, methods = unchanged.planned("all")
    assert methods == {"ls", "beta", "ils2"} and counts["train_teacher"] == 2
    assert counts["soft_targets"] == 4 and "split" not in counts


def test_one_more_seed_leaves_the_first_alone(unchanged):
    unchanged.edit_config(lambda config: config["seeds"].append(1))
    counts, _ = unchanged.planned("all")
    assert counts["split"] == 1 and "dataset" not in counts
    assert counts["train_teacher"] == 1 and counts["train_students"] == 5
    assert counts["distil"] == 1 and counts["evaluate"] == 2  # by the teachers of seed 1


def test_another_method_is_one_function_and_one_config_entry(unchanged):
    methods = unchanged.folder / "scripts/ils/targets/methods.py"
    code = """

@method
def noise(onehot, *, epsilon):
    return (1 - epsilon) * onehot + epsilon * onehot.roll(1, -1)
"""
    methods.write_text(methods.read_text() + code)
    entry = {
        "name": "noise",
        "label": "Noise",
        "targets": "noise",
        "grid": {"epsilon": [0.1]},
    }
    unchanged.edit_config(lambda config: config["methods"].append(entry))
    counts, trained = unchanged.planned("all")
    assert trained == {"noise"} and counts["train_students"] == 1
    assert not counts.keys() & {"dataset", "split", "train_teacher", "soft_targets", "distil"}


def test_an_edit_to_a_target_function_retrains_the_methods_that_use_it(unchanged):
    methods = unchanged.folder / "scripts/ils/targets/methods.py"
    methods.write_text(
        methods.read_text().replace(
            "epsilon / onehot.shape[-1]", "epsilon / (onehot.shape[-1])  # same"
        )
    )
    assert unchanged.planned("all") == ({}, set())
    methods.write_text(
        methods.read_text().replace(
            "(1 - epsilon) * onehot + epsilon * wrong",
            "(1 - epsilon) * onehot + 1 * epsilon * wrong",
        )
    )
    assert unchanged.planned("all")[1] == {"ils2"}


def test_a_wrong_config_stops_before_any_job(unchanged):
    unchanged.edit_config(lambda config: config["methods"][1]["grid"].update(epsilon=[1.5]))
    output = unchanged.snakemake("all", "--cores", "1", check=False)
    assert "config: methods[1].grid.epsilon[0]: 1.5 must be from 0 to 1" in output
    assert "Traceback" not in output and "Job stats" not in output


def test_a_damaged_file_is_named_with_what_to_do(finished, tmp_path):
    clone = Clone(tmp_path, finished.folder, [path.name for path in finished.folder.iterdir()])
    split = tmp_path / "results/splits/iris_MLP_and_1_more_seed0.safetensors"
    split.write_bytes(split.read_bytes()[:100])
    target = "results/soft_targets/iris_MLP_and_1_more_seed0/no_ls.safetensors"
    output = clone.snakemake(target, "--cores", "1", check=False)
    line = r"error in train_teacher .*more_seed0.safetensors: damaged .*; delete the file and run"
    assert re.search(line, output)
    assert "Traceback" not in output


def test_the_report_is_one_file_with_every_category(finished, tmp_path):
    finished.snakemake("all", "--report", str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    results, categories = (
        json.loads(re.search(rf'id="{name}">\s+var {name} = (.*);\n', text)[1])
        for name in ("results", "categories")
    )
    assert [name[:2] for name in sorted(categories)] == [f"{n}." for n in range(1, 9)]
    shown = {
        "pages/claims.html",
        "pages/provenance.html",
        "pages/table5.html",
        "figures/fig01.png",
        "published/figures/fig12.png",
    }
    assert {f"results/{name}" for name in shown} <= set(results)
    for path, entry in results.items():
        assert entry["data_uri"].startswith("data:") and entry["caption"] and entry["labels"], path
    listed = [path for parts in categories.values() for paths in parts.values() for path in paths]
    assert sorted(listed) == sorted(results) and not any(
        path.startswith("results/figures") and path.endswith("pdf") for path in listed
    )
    assert str(finished.folder) not in text and not re.search(
        r'<(script|link|img)[^>]*(src|href)="?http', text
    )
    assert "small.yaml" in text and "iris MLP, wine MLP" in text
    assert len(text) < 15e6


def test_without_latex_the_study_ends_with_the_documents_source(finished, tmp_path, monkeypatch):
    for tool in ("bash", "which"):  # that Snakemake itself looks for
        (tmp_path / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tmp_path))
    counts, _ = finished.planned("all", "--forceall")
    assert counts["reproduction"] == 1 and "reproduction_pdf" not in counts


def test_the_forecast_equals_the_plan_and_the_files(finished, tmp_path):
    import pandas as pd

    clone = Clone(tmp_path, finished.folder, [path.name for path in finished.folder.iterdir()])
    output = clone.snakemake("results/forecast.csv", "--cores", "1")
    summary = "2 pairs x 1 seed, 6 columns: 20 trainings in 6 jobs; distillation: 5 trainings in 3"
    assert output.count(summary) == 1  # not once more in the job itself
    assert "The longest job takes" in output and "hours_per_job (3)" in output
    *pairs, total = pd.read_csv(tmp_path / "results/forecast.csv").to_dict("records")
    assert [(row["dataset"], row["trainings"], row["jobs"]) for row in pairs] == [
        ("iris", 15, 9),
        ("wine", 10, 6),
        ("iris", 8, 1),
    ]
    planned = clone.planned("all", "--forceall")[0]
    jobs = sum(planned[rule] for rule in ("train_teacher", "train_students", "distil"))
    assert total["trainings"] == 33 and total["jobs"] == jobs == 10
    for row in (*pairs, total):
        assert 0 < row["longest_job_hours"] <= row["device_hours"] and row["device"] == "cpu"
    stages = "data", "splits", "students", "test_logits", "soft_targets", "predictions"
    arrays = [p for stage in stages for p in tmp_path.glob(f"results/{stage}/**/*.safetensors")]
    # These files are so small that their headers weigh nearly as much as what is in them.
    assert len(arrays) == 31
    assert 0.5 < total["disk_gb"] * 1e9 / sum(path.stat().st_size for path in arrays) < 1


def test_one_command_measures_how_many_students_to_train_at_once(finished, tmp_path):
    import pandas as pd

    clone = Clone(tmp_path, finished.folder, [path.name for path in finished.folder.iterdir()])
    output = clone.snakemake("results/students_at_once.csv", "--cores", "1")
    table = pd.read_csv(tmp_path / "results/students_at_once.csv")
    assert set(table["network"]) == {
        network["name"] for network in yaml.safe_load(clone.config.read_text())["networks"]
    }
    for name, rows in table.groupby("network"):
        best = rows.loc[rows["suggested"], "students"].item()
        assert (
            (rows["step_seconds"] > 0).all()
            and rows["students"].is_unique
            and rows["configured"].sum() <= 1
        )
        assert f"{name}, cpu: {best} (" in output
    assert (
        "students_at_once" not in clone.planned("all", "--forceall")[0]
    )  # nothing waits for it, nothing reads it


def test_lint_and_format_are_clean():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Congratulations" in done.stdout + done.stderr, (
        done.stdout + done.stderr
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "workflow"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_message_a_log_and_an_environment():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            for directive in ("message:", "log:", "conda:", "script:", "code="):
                assert directive in rule, (
                    f"{path.name}: rule {rule.split(':')[0]} lacks {directive}"
                )


def test_make_names_the_target_before_the_users_arguments():
    """--configfile takes every word that follows it."""
    command = ["make", "--dry-run", "results", "ARGS=--configfile mine.yaml"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if "bin/snakemake" in line)
    assert line.split().index("all") < line.split().index("--configfile")


@pytest.mark.parametrize(
    "arguments, reports",
    [
        ("", True),
        ("--configfile mine.yaml", True),
        ("--use-conda", True),
        ("-n", False),
        ("--configfile mine.yaml --dry-run", False),
    ]
    + [
        ("-np", False),
        ("results/table3.tex", False),
        ("--until metrics", False),
        ("--unlock", False),
    ],
)
def test_make_writes_the_report_of_a_whole_study_after_it(arguments, reports):
    command = ["make", "--dry-run", "results", f"ARGS={arguments}"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line.split() for line in output.splitlines() if "bin/snakemake" in line]
    assert line[1] == "all" and line[len(line) - len(arguments.split()) :] == arguments.split()
    assert ("--report" in line and "--report-after-run" in line) == ("--report" in line) == reports


def test_ci_and_the_workflow_catalog_find_what_they_name():
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [".ci/run"] and os.access(ROOT / ".ci/run", os.X_OK)
    targets = re.findall(r"^make (\w+)", (ROOT / ".ci/run").read_text(), re.M)
    assert targets == ["lint", "test"]
    phony = re.search(r"^\.PHONY:(.*)", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert set(targets) <= set(phony)
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"]
    needed = "workflow/Snakefile", "config/README.md", "config/config.yaml", "README.md", "LICENSE"
    assert all((ROOT / name).is_file() for name in needed)


def test_make_runs_a_study_in_a_folder_of_its_own():
    command = ["make", "--dry-run", "results", "DIR=studies/mine"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "snakemake all --logger progress" in output
    assert '--directory "studies/mine" --report results/report.html' in output


def test_make_help_lists_every_target_and_what_each_variable_is_for():
    command = ["make", "--no-print-directory", "help"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    listed = dict(line.split(maxsplit=1) for line in output.stdout.splitlines()[1:])
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    variables = re.findall(r"^([A-Z]+) \?=", makefile, re.M)
    assert set(listed) == {*targets, *variables}
    assert all(len(text) > 8 for text in listed.values())
