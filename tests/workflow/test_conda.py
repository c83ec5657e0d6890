"""`--use-conda`, with a double of the conda command that builds the environments of envs/ with uv:
see conda_double/."""

import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from packaging.specifiers import SpecifierSet

from conda_double.conda import PYPI, locked, packages
from conftest import ROOT, Clone
from ils.plan.fingerprints import imports

DOUBLE = ROOT / "tests/conda_double/bin"
MEASURED = "forecast", "students_at_once"  # by name only, and another time every time
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
LAUNCHER = ROOT / "environment.yaml"
# Packages that an import comes with, where they have other names.
PROVIDERS = {
    "PIL": {"matplotlib", "torchvision"},
    "scikit_posthocs": {"scikit-posthocs"},
    "sklearn": {"scikit-learn"},
    "torch": {"pytorch"},
}


def scripts_of(environment):
    """The scripts of the rules that name an environment."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    pairs = re.findall(
        r'conda:\s+"../../envs/(\w+).yaml".*?script:\s+"../../scripts/(\w+.py)"', rules, re.S
    )
    return {script for name, script in pairs if name == environment}


def install(folder, requirements):
    """Install a pip section's packages into an environment, others as requirements.txt has them."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", folder]
    subprocess.run([*uv, "--constraint", ROOT / "requirements.txt", *requirements], check=True)


def needs(environment):
    """The pip section of an environment file: Snakemake, then its executor."""
    return yaml.safe_load(environment.read_text())["dependencies"][-1]["pip"]


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    """The Python of environment.yaml's Snakemake alone. It must lack the rest, which the Slurm
    executor brings some of: Snakemake lends jobs its own packages."""
    folder = tmp_path_factory.mktemp("launcher")
    uv = [sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable]
    subprocess.run([*uv, folder], check=True)
    install(folder, needs(LAUNCHER)[:1])
    return folder / "bin/python"


@pytest.fixture(scope="module")
def isolated(launcher, tmp_path_factory):
    """A clone in which every rule has run in its environment under `environments`."""
    clone = Clone(tmp_path_factory.mktemp("conda"))
    clone.python = str(launcher)
    clone.variables |= {
        "PATH": f"{DOUBLE}:{os.environ['PATH']}",
        "PYTHON_OF_THE_DOUBLE": sys.executable,
    }
    if not torch.version.cuda:  # `make test TORCH=cpu` spares the CUDA build here, too
        clone.variables["UV_TORCH_BACKEND"] = "cpu"
    prefix = clone.folder / "environments"
    targets = ["all", *(f"results/{name}.csv" for name in MEASURED)]
    clone.snakemake("--cores", "2", "--use-conda", "--conda-prefix", str(prefix), *targets)
    yield clone
    shutil.rmtree(prefix)  # gigabytes where uv cannot link to its cache


@pytest.mark.parametrize(
    "package", ["torch", "numpy", "scipy", "pandas", "matplotlib", "sklearn", "safetensors", "PIL"]
)
def test_the_launcher_lacks_the_packages_of_the_environments(launcher, package):
    done = subprocess.run([launcher, "-c", f"import {package}"], capture_output=True, text=True)
    assert f"No module named '{package}'" in done.stderr


def test_every_script_runs_on_the_python_of_its_own_environment(isolated):
    ran = {}
    for path in isolated.folder.glob("environments/*.ran"):
        listed = path.with_suffix(".yaml").read_text()
        name = next(file.stem for file in ENVIRONMENTS if file.read_text() == listed)
        ran[name] = set(
            re.findall(r"/\.snakemake/scripts/tmp\w+\.(\w+\.py)$", path.read_text(), re.M)
        )
    assert ran == {"torch": scripts_of("torch"), "stats": scripts_of("stats")}
    assert ran["torch"] | ran["stats"] == {path.name for path in ROOT.glob("scripts/*.py")}


def test_a_study_in_environments_has_the_numbers_of_one_without(isolated, finished):
    def made(clone):
        files = (
            path.relative_to(clone.folder)
            for path in clone.folder.glob("results/**/*")
            if path.is_file()
        )
        return {path for path in files if "logs" not in path.parts and path.stem not in MEASURED}

    assert made(isolated) == made(finished)
    # What names versions differs; figures would by Matplotlib's, which is pinned by prefix.
    named = {Path("results") / name for name in ("provenance.json", "reproduction.tex")}
    numbers = ".csv", ".tex", ".json", ".safetensors"
    compared = {path for path in made(finished) if path.suffix in numbers} - named
    assert {Path("results/metrics.csv"), Path("results/table3.tex")} < compared
    assert not [
        path
        for path in compared
        if (isolated.folder / path).read_bytes() != (finished.folder / path).read_bytes()
    ]
    versions = json.loads((isolated.folder / "results/provenance.json").read_text())["packages"]
    assert versions["scikit-learn"] == "1.8.0" and versions["torch"] == "2.13.0"
    assert versions["safetensors"] == "0.7.0"  # the bound; `finished` has requirements.txt's
    assert versions["matplotlib"] is None


def test_environment_yaml_has_what_starting_takes(launcher, isolated):
    """Slurm's executor, the lines of make and the report, by its packages alone."""
    install(launcher.parents[1], needs(LAUNCHER))
    isolated.variables |= {"PYTHONPATH": str(isolated.folder / "workflow/terminal")}
    isolated.snakemake("--profile", "slurm", "--logger", "progress", "--report", "report.html")
    assert (isolated.folder / "report.html").stat().st_size > 1e6


def test_a_job_without_its_environment_stops():
    program = f"source {DOUBLE}/activate /nowhere; echo ran"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout and "no environment in /nowhere" in done.stderr


def test_the_double_refuses_what_it_does_not_know():
    command, variables = (
        [DOUBLE / "conda", "install", "numpy"],
        os.environ | {"PYTHON_OF_THE_DOUBLE": sys.executable},
    )
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert (
        done.returncode == 2
        and "the double of conda does not know: conda install numpy" in done.stderr
    )


def unseen(dependencies):
    """The conda packages of an environment whose pins envs/seen.csv has no version for."""
    with open(ROOT / "envs/seen.csv") as table:
        seen = [(row["package"], row["version"]) for row in csv.DictReader(table)]
    for requirement in dependencies:
        if not isinstance(requirement, str) or "=" not in requirement:
            continue
        name, relation, pinned = re.fullmatch(r"([\w-]+)(>?=)([\d.]+)", requirement).groups()
        within = f">={pinned}" if relation == ">=" else f"=={pinned}.*"
        versions = [version for package, version in seen if package == name]
        if not any(version in SpecifierSet(within) for version in versions):
            there = " and ".join(versions) or "not at all"
            yield f"{requirement}: envs/seen.csv has it {there}. Pin that, or add what else you saw"


@pytest.mark.parametrize("file", [*ENVIRONMENTS, LAUNCHER], ids=lambda file: file.stem)
def test_an_environment_pins_what_conda_forge_was_seen_to_have(file):
    """An exact pin of another stops --use-conda at its first step."""
    assert not list(unseen(yaml.safe_load(file.read_text())["dependencies"]))


def test_a_pin_that_was_not_seen_is_named():
    (high, new) = unseen(["pip", "numpy=2.4", "numpy>=2", "safetensors=0.8", "new>=1", {"pip": []}])
    assert high.startswith("safetensors=0.8: envs/seen.csv has it 0.7.0. Pin that, or add")
    assert new.startswith("new>=1: envs/seen.csv has it not at all.")


@pytest.mark.parametrize("file", [*ENVIRONMENTS, LAUNCHER], ids=lambda file: file.stem)
def test_the_pins_of_an_environment_are_those_of_the_requirements_or_say_why_not(file):
    text = file.read_text()
    environment = yaml.safe_load(text)
    assert environment["channels"] == ["conda-forge"]
    requirements, unexplained = locked(), []
    for name, version in packages(environment).items():
        versions = [
            re.search(r"==([^ ;]+)", line)[1] for line in requirements.get(PYPI.get(name, name), [])
        ]
        same = version and any(f"{pinned}.".startswith(f"{version}.") for pinned in versions)
        if not same and not re.search(rf"- {name}\b.* # \w", text):
            unexplained.append(f"{name}={version}, but requirements.txt has {versions}")
    assert not unexplained


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.stem)
def test_an_environment_lists_what_its_scripts_import(file):
    todo = used = {ROOT / "scripts" / script for script in scripts_of(file.stem)}
    while todo:
        todo = set().union(*map(imports, todo)) - used
        used = used | todo
    imported = set()
    for node in (node for path in used for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            imported |= {name.partition(".")[0] for name in names}
    # The launcher reads the config and checks it with the last two, before any job.
    imported -= sys.stdlib_module_names | {"ils", "jsonschema", "yaml"}
    listed = packages(yaml.safe_load(file.read_text())).keys()
    assert "numpy" in imported
    assert not {name for name in imported if not PROVIDERS.get(name, {name}) & listed}
