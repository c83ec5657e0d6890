"""The workflow as a module of another one: six lines in an empty folder, or what
`snakedeploy deploy-workflow` writes."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT, Clone

MODULE = f"""
module {{name}}:
    snakefile: "{ROOT}/workflow/Snakefile"
    config: {{config}}
    {{prefix}}

use rule * from {{name}} as {{name}}_*
"""

DEPLOYED = """
configfile: "config/config.yaml"

module ils:
    snakefile:
        github("them/ils", path="workflow/Snakefile", tag="v1")
    config:
        config

use rule * from ils
"""


def module(name="ils", config="config", prefix=""):
    """The lines that make a module of the workflow."""
    prefix = f'prefix: "{prefix}"' if prefix else ""
    return MODULE.format(name=name, config=config, prefix=prefix)


def snakemake(folder, *arguments, check=True, python=sys.executable, **variables):
    """Run Snakemake in a folder; returns what it says."""
    command = [python, "-m", "snakemake", "--cores", "2", *arguments]
    variables = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == check, output
    return output


def write(folder, study, *modules):
    """Put a Snakefile of modules and its study.yaml into a folder."""
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    (folder / "Snakefile").write_text("\n".join(['configfile: "study.yaml"', *modules]))


@pytest.fixture(scope="module")
def study():
    """The small study with one method more than the teacher and without the synthetic part."""
    config = yaml.safe_load((ROOT / "tests/small.yaml").read_text())
    del config["methods"][2:]
    return config | {"synthetic": None, "hours_per_job": 10}


def counts(output):
    """How many jobs of each rule a dry run lists."""
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", output, re.M)}


def test_a_module_under_a_prefix_makes_the_whole_study_and_its_report(study, tmp_path):
    write(tmp_path, study, module(prefix="smoothing"))
    snakemake(tmp_path)
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        "Snakefile",
        "study.yaml",
        "smoothing",
    }
    results = tmp_path / "smoothing/results"
    table = (results / "table3.tex").read_text()
    assert "averages over 1 seed of study.yaml" in table
    assert all((results / name).is_file() for name in ("reproduction.tex", "table4.tex"))
    assert "Nothing to be done" in snakemake(tmp_path)

    snakemake(tmp_path, "--report", "report.html")
    report = (tmp_path / "report.html").read_text()
    assert "smoothing/results/figures/fig12.png" in report
    assert "iris MLP, wine MLP" in report and "study.yaml" in report


def publish(folder):
    """Tag v1 of a git repository with this one's files."""
    Clone(folder, names=("workflow", "slurm", "scripts", "config", "envs"))
    user = ["-c", "user.name=us", "-c", "user.email=us@example.org"]
    for command in (["init"], ["add", "."], [*user, "commit", "--message", "all"], ["tag", "v1"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


def test_a_deployed_copy_has_the_defaults_for_what_its_config_leaves_out(tmp_path):
    """In a folder that has a space in its path, and so the virtual environment's."""
    folder, home = tmp_path / "our study", tmp_path / "our home"
    cache = home / "cache/snakemake/snakemake/source-cache/snakemake-git-cache/github.com"
    for made in (cache / "them/ils", home / "config/snakemake", folder / "config"):
        made.mkdir(parents=True)
    publish(cache / "them/ils")  # where Snakemake puts what it has cloned
    shutil.copytree(ROOT / "workflow/profiles/slurm", home / "config/snakemake/slurm")
    (folder / "workflow").mkdir()
    (folder / "workflow/Snakefile").write_text(DEPLOYED)
    config = {"seeds": [5], "distillation": {"seeds": [5, 6]}}
    (folder / "config/config.yaml").write_text(yaml.safe_dump(config))
    (folder / ".venv").symlink_to(sys.prefix)
    variables = {f"XDG_{name.upper()}_HOME": str(home / name) for name in ("cache", "config")}
    variables["python"] = folder / ".venv/bin/python"

    output = snakemake(folder, "--dry-run", "--profile", "slurm", **variables)
    assert "Using profile slurm" in output
    assert "41 pairs x 1 seed, 12 columns" in output
    assert "Training the teachers, round1, shard 0: digits_LeNet_and_17_more_seed5" in output
    assert counts(output)["distil"] == 2
    assert "results/table3.tex" in output and not (folder / "results").exists()

    snakemake(folder, "results/published/metrics.csv", **variables)
    assert (folder / "results/published/metrics.csv").stat().st_size > 1000


def test_a_modules_wrong_config_is_one_line(tmp_path):
    write(tmp_path, {"seeds": "five"}, module())
    output = snakemake(tmp_path, "--dry-run", check=False)
    assert "config: seeds: 'five' is not of type 'array'" in output
    assert "Traceback" not in output


def test_two_modules_of_different_configs_plan_side_by_side(study, tmp_path):
    other = 'config | {"seeds": [5, 6], "distillation": None}'
    modules = module(prefix="one"), module("other", other, "two")
    threads = "use rule train_students from ils as ils_train_students with:\n    threads: 2\n"
    both = """
rule both:
    default_target: True
    input:
        "one/results/table3.tex",
        "two/results/table3.tex",
"""
    write(tmp_path, study, *modules, threads, both)
    output = snakemake(tmp_path, "--dry-run")
    jobs = counts(output)
    assert jobs["ils_split"] == 1 and jobs["other_split"] == 2
    assert jobs["ils_train_teacher"] == jobs["ils_train_students"] == jobs["ils_table3"] == 1
    assert jobs["other_train_teacher"] == jobs["other_train_students"] == 2
    assert not jobs.keys() & {"ils_distil", "other_distil"}
