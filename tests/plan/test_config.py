"""A wrong config is one clear error that names the key and what is allowed, before any job starts."""

import copy
import math
import re
import shutil
from pathlib import Path

import pytest
import yaml
from ils.errors import UserError
from ils.plan import checks as study
from ils.plan.plugins import LIBRARY, definitions, fingerprint, modules_of, plugins

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
DEFAULT = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"hours_per_job": 24}
FIVE = DEFAULT | {"cells_per_job": 5}


def changed(path, value):
    """The default config with one key set; a value of KeyError removes the key."""
    config = copy.deepcopy(DEFAULT)
    *parents, last = path
    owner = config
    for key in parents:
        owner = owner[key]
    if value is KeyError:
        del owner[last]
    else:
        owner[last] = value
    return config


def method(name):
    return next(i for i, entry in enumerate(DEFAULT["methods"]) if entry["name"] == name)


LS, ILS2, BETA = method("ls"), method("ils2"), method("beta")


@pytest.mark.parametrize("path", ["config/config.yaml", "tests/small.yaml"])
def test_committed_configs_are_valid(path):
    study.check(yaml.safe_load((ROOT / path).read_text()), SCHEMA)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (["sedes"], [0], "config: sedes: 'sedes' is none of .*did you mean 'seeds'"),
        (["recipes", 0, "lr"], 0.1, r"config: recipes\[0\].lr: 'lr' is none of .*learning_rate"),
        (["seeds"], KeyError, "config: .*'seeds' is a required property"),
        (["seeds"], "0", "config: seeds: '0' is not of type 'array'"),
        (["seeds"], [0, 0], "config: seeds: .*non-unique"),
        (["device"], "gpu", r"config: device: 'gpu' is not one of \['auto', 'cpu', 'cuda'\]"),
        (["alpha"], 1.5, "config: alpha: 1.5 is greater"),
        (["datasets", 0, "name"], "../../etc", r"config: datasets\[0\].name: .*does not match"),
        (
            ["datasets", 0, "source"],
            "sklern",
            r"datasets\[0\].source: 'sklern' is none of .*did you mean 'sklearn'",
        ),
        (["datasets", 0, "options"], {}, r"datasets\[0\].options: source 'sklearn' lacks set"),
        (["datasets", 1, "name"], "digits", r"datasets\[1\].name: 'digits' is used twice"),
        (["networks", 0, "family"], "vgg", r"networks\[0\].family: 'vgg' is none of .*lenet"),
        (
            ["networks", 0, "options", "hiden"],
            [3],
            r"networks\[0\].options.hiden: .*did you mean 'hidden'",
        ),
        (["recipes", 0, "epochs"], 0, r"recipes\[0\].epochs: 0 is less than the minimum of 1"),
        (
            ["recipes", 0, "learning_rate"],
            "1e-2",
            r"recipes\[0\].learning_rate: '1e-2' is not of type 'number'",
        ),
        (
            ["experiments", 0, "dataset"],
            "mnist",
            r"experiments\[0\].dataset: 'mnist' is none of breast_cancer, digits",
        ),
        (
            ["experiments", 0, "recipe"],
            "image",
            r"experiments\[0\].recipe: .*did you mean 'images'",
        ),
        (
            ["experiments", 1],
            DEFAULT["experiments"][0],
            r"experiments\[1\]: digits with LeNet is listed twice",
        ),
        (["methods", LS, "targets"], "lss", r"targets: 'lss' is none of .*ils2.*did you mean 'ls'"),
        (["methods", LS, "name"], "no_ls", "'no_ls' is used twice"),
        (["methods", LS, "label"], "No LS", "'No LS' is the label of two columns"),
        (
            ["methods", LS, "grid", "epsilon"],
            [0.1, 1.5],
            r"grid.epsilon\[1\]: 1.5 must be from 0 to 1",
        ),
        (["methods", LS, "grid", "epsilon"], [], r"grid.epsilon: \[\] should be non-empty"),
        (["methods", LS, "grid"], {}, "targets 'ls' lacks epsilon"),
        (
            ["methods", LS, "grid", "temperature"],
            [1],
            "grid.temperature: 'temperature' is none of epsilon",
        ),
        (
            ["methods", ILS2, "grid", "temperature"],
            [0],
            r"grid.temperature\[0\]: 0 must be above 0",
        ),
        (
            ["methods", ILS2, "grid", "temperature"],
            [float("inf")],
            r"grid.temperature\[0\]: inf is not of type .number.; it must be finite",
        ),
        (
            ["methods", LS, "temperature_scaling"],
            "both",
            "temperature_scaling: 'both' is not one of",
        ),
        (
            ["experiments", 0, "hours"],
            25,
            r"experiments\[0\].hours: 25 is more than hours_per_job \(24\)",
        ),
        (
            ["hours_per_job"],
            0,
            "config: hours_per_job: 0 is less than or equal to the minimum of 0",
        ),
        (
            ["datasets", 0, "expect"],
            {"samples": 1797},
            r"datasets\[0\].expect: 'test' is a required property",
        ),
        (["teacher"], "nols", "config: teacher: 'nols' is none of .*did you mean 'no_ls'"),
        (["teacher"], "ils2", "config: teacher: the targets of 'ils2' need a teacher themselves"),
        (
            ["methods", BETA, "inherit", "epsilon"],
            "no_ls",
            r"inherit.epsilon: 'no_ls' is none of cls, ils2, ls",
        ),
        (["methods", BETA, "inherit"], {}, "targets 'beta' lacks epsilon"),
        (
            ["methods", BETA, "grid", "alpha"],
            [0.4, 0.8],
            r"methods\[\d\]: alpha 0.8 and epsilon 0.2 must add up to less than 1",
        ),
        (
            ["methods", BETA, "inputs"],
            {"ema_confidence": {"dekay": 0.9}},
            r"inputs.ema_confidence.dekay: .*did you mean 'decay'",
        ),
        (
            ["methods", BETA, "inputs"],
            {"class_distances": {}},
            r"inputs.class_distances: .* is none of ema_confidence, onehot",
        ),
        (
            ["methods", BETA, "inputs"],
            {"ema_confidence": {"decay": 0}},
            r"inputs.ema_confidence.decay: 0 is less than or equal",
        ),
        (
            ["datasets", 0, "train"],
            0,
            r"datasets\[0\].train: 0 is less than or equal to the minimum of 0",
        ),
        (
            ["synthetic", "setups", 0, "geometry"],
            "papr",
            r"synthetic.setups\[0\].geometry: 'papr' .*did you mean 'paper'",
        ),
        (
            ["synthetic", "setups", 0, "methods"],
            ["no_ls"],
            r"synthetic.setups\[0\].methods: lacks ls",
        ),
        (
            ["synthetic", "geometries", 0, "classes", 1, 0, "weight"],
            0.7,
            r"geometries\[0\].classes\[1\]: the weights must",
        ),
        (
            ["synthetic", "figures"],
            "as_written",
            "setup 'as_written' needs method ils1 .* and long_grid: true",
        ),
        (
            ["synthetic", "methods", 1, "grid", "epsilon"],
            [2],
            r"synthetic.methods\[1\].grid.epsilon\[0\]: 2 must be from 0 to 1",
        ),
        (
            ["synthetic", "tabular", "datasets"],
            ["volcano"],
            "synthetic.tabular.datasets: 'volcano' is none of",
        ),
        (
            ["distillation", "teachers"],
            ["no_ls", "lss"],
            "distillation.teachers: 'lss' .*did you mean 'ls'",
        ),
        (
            ["distillation", "targets"],
            "ls",
            "distillation.grid.weight: 'weight' is none of epsilon",
        ),
        (
            ["distillation", "grid", "weight"],
            [1.5],
            r"distillation.grid.weight\[0\]: 1.5 must be from 0 to 1",
        ),
        (
            ["distillation", "grid", "teacher"],
            [0],
            "distillation.grid.teacher: say in distillation.teachers",
        ),
        (["distillation", "grids"], {"lss": {}}, "distillation.grids.lss: .*did you mean 'ls'"),
        (
            ["distillation", "grids"],
            {"ls": {"epsilon": [2]}},
            r"distillation.grids.ls.grid.epsilon\[0\]: 2 must be from 0 to 1",
        ),
        (
            ["distillation", "inputs"],
            {"onehott": {}},
            "distillation.inputs.onehott: .*did you mean 'onehot'",
        ),
        (
            ["distillation", "pairs", 0, "student"],
            "Alexnet",
            r"distillation.pairs\[0\].student: .*did you mean 'AlexNet'",
        ),
        (
            ["distillation", "pairs", 0, "recipe"],
            "tables",
            r"distillation.pairs\[0\]: digits with ResNet8 .* the same recipe and hours",
        ),
        (
            ["distillation", "pairs", 0, "hours"],
            99,
            r"distillation.pairs\[0\].hours: 99 is more than hours_per_job",
        ),
        (["temperature_bounds"], [5, 0.5], "temperature_bounds: the lower bound 5 is not below"),
    ],
)
def test_a_wrong_config_names_key_and_remedy(path, value, message):
    with pytest.raises(UserError, match=message) as error:
        study.check(changed(path, value), SCHEMA)
    assert "\n" not in str(error.value)


def test_columns_and_shards_follow_the_config():
    assert [column["column"] for column in study.columns(DEFAULT)] == [
        *("No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta"),
        *("LS", "LS+TempS", "ILS1", "ILS2", "ILS", "ILS+TempS"),
    ]
    assert len(study.cells(DEFAULT)) == len(DEFAULT["experiments"]) * len(DEFAULT["seeds"])
    batches = study.batches(FIVE)
    teach = [
        {"dataset": d, "network": n, "seed": 2}
        for d, n in (("digits", "ResNet8"), ("breast_cancer", "MLP"))
    ]
    assert sorted(sum(batches.values(), []), key=str) == sorted(
        study.cells(DEFAULT) + teach, key=str
    )
    assert (
        sorted(len(cells) for cells in batches.values()) == [2, 4, 4, 5, 5]
        and teach in batches.values()
    )
    assert all(len({cell["seed"] for cell in cells}) == 1 for cells in batches.values())
    alone = study.batches(DEFAULT | {"cells_per_job": 1})
    assert (
        alone["wine_MLP_seed1"] == [{"dataset": "wine", "network": "MLP", "seed": 1}]
        and len(alone) == 20
    )


def test_a_grid_is_split_by_device_hours():
    method = {"grid": {"p1": [1, 2, 3], "p2": [1, 2]}}
    for hours, students, jobs in (
        (24, 1, 6),
        (13, 1, 6),
        (6, 4, 2),
        (4.8, 5, 2),
        (4, 6, 1),
        (3.4, 7, 1),
        (None, math.inf, 1),
    ):
        experiment = {} if hours is None else {"hours": hours}
        assert study.students_per_job({"hours_per_job": 24}, experiment) == students
        assert study.shards(method["grid"], students) == jobs
    assert (
        study.students_per_job({"hours_per_job": 0.3}, {"hours": 0.1}) == 3
    )  # 0.3 / 0.1 is a little less
    assert study.shards({}, 5) == study.shards({}, math.inf) == 1


def test_cells_of_one_job_share_their_students_per_job():
    config = copy.deepcopy(FIVE) | {"distillation": None}
    for experiment, hours in zip(config["experiments"], (24, 24, 8)):
        experiment["hours"] = hours
    sizes = sorted(len(cells) for cells in study.batches(config).values())
    assert sizes == [
        1,
        1,
        1,
        1,
        2,
        2,
        5,
        5,
    ]  # of each seed: one with 3 students a job, 2 with 1, 6 with all


def test_who_only_teaches_trains_the_methods_that_teach_and_their_teachers():
    config = copy.deepcopy(FIVE)
    config["distillation"]["teachers"] = ["beta", "ils1"]
    assert study.teaching_methods(config) == {"no_ls", "beta", "ls", "ils1"}
    extra = [job for job in study.training_jobs(config) if job["cells"][0]["seed"] == 2]
    assert [(job["method"], job["students"]) for job in extra] == [
        ("no_ls", 1),
        ("beta", 1),
        ("ls", 4),
        ("ils1", 4),
    ]
    config["distillation"]["grids"] = {"ils1": {"p1": [0.9], "p2": [1.0]}}
    sizes = {
        job["students"]
        for job in study.training_jobs(config)
        if job["method"] == "ils1" and job["cells"][0]["seed"] == 2
    }
    assert (
        sizes == {1}
        and sum(
            job["method"] == "ils1" and job["students"] == 4 for job in study.training_jobs(config)
        )
        == 4
    )
    assert study.teaching_methods(config | {"distillation": None}) == set()
    assert study.distillation_method(config)["grid"]["teacher"] == [0, 1]
    assert [(len(job["cells"]), job["students"]) for job in study.distillation_jobs(config)] == [
        (3, 2),
        (3, 2),
    ]


def test_a_job_asks_for_what_its_cells_need():
    cells = study.cells(DEFAULT)[:5]
    assert study.needs(DEFAULT, cells, 8, 1) == {
        "gpu": 0,
        "mem_mb": 6000,
        "runtime": 10 + 90 * 24,
    }  # no hours: hours_per_job
    config = copy.deepcopy(DEFAULT)
    config["networks"][0]["gpu"] = 1  # the perceptron's
    config["datasets"][0]["expect"] = {
        "samples": 1_000_000,
        "test": 0,
        "shape": [1, 8, 8],
        "classes": 10,
    }  # pad 1: nine views
    for experiment in config["experiments"]:
        experiment["hours"] = 0.5
    megabytes = 2 * (64 + 4 * 9 * 10)  # the images and one teacher's logits, twice
    assert study.needs(config, cells, 8, 1) == {
        "gpu": 0,
        "mem_mb": 6000 + megabytes,
        "runtime": 10 + 90 * 0.5 * 5 * 8,
    }
    perceptron = {"dataset": "digits", "network": "MLP", "seed": 0}
    assert (
        study.needs(config, [perceptron])["gpu"] == 1
        and study.needs(config, [perceptron])["mem_mb"] == 8000 + 128
    )
    assert study.needs(config, [perceptron | {"student": "LeNet"}])["gpu"] == 0
    devices = [
        study.device_of({"device": device}, {"gpu": gpu})
        for device in ("auto", "cpu", "cuda")
        for gpu in (0, 1)
    ]
    assert (
        devices == ["cpu", "auto", "cpu", "cpu", "cuda", "cuda"]
        and study.device_of({"device": "auto"}, {}) == "cpu"
    )
    asked = [
        study.needs(config | {"device": device}, those)["gpu"]
        for device in ("auto", "cpu", "cuda")
        for those in (cells, [perceptron])
    ]
    assert asked == [0, 1, 0, 0, 1, 1]


def test_how_a_network_is_trained_is_part_of_what_its_results_depend_on():
    network = {
        "name": "N",
        "family": "mlp",
        "options": {},
        "students_at_once": {"cpu": 1, "cuda": 2},
        "gpu": 1,
    }
    as_it_was = {"family": "mlp", "options": {}, "students_at_once": {"cpu": 1, "cuda": 2}}
    assert study.trained_as(network) == as_it_was | {
        "precision": {"cpu": "float32", "cuda": "tf32"},
        "cuda_graphs": 0,
    }
    given = {"precision": {"cpu": "bfloat16", "cuda": "float32"}, "cuda_graphs": 1}
    assert study.trained_as(network | given) == as_it_was | given


def test_the_jobs_of_a_study_add_up_to_its_grids():
    config = copy.deepcopy(FIVE)
    for experiment in config["experiments"]:
        experiment["hours"] = 8
    summary = "9 pairs x 2 seeds, 12 columns: 504 trainings in 36 jobs"
    distillation = "26 trainings in 3 jobs of further teachers, 18 trainings in 2 jobs of students"
    assert study.summary(FIVE) == f"{summary}; distillation: {distillation}"
    assert study.summary(DEFAULT) == f"{summary.replace('36', '18')}; distillation: {distillation}"
    config["distillation"] = None
    assert study.summary(config) == summary.replace("36", "60")
    sizes = [job["students"] for job in study.training_jobs(config) if job["method"] == "ils"]
    assert sizes == [3, 3, 2] * 4  # as `students.shard_points` splits a grid of 8


def test_plugins_are_read_off_the_source_as_they_are():
    import inspect

    from ils.data.sources import SOURCES
    from ils.networks.build import NETWORKS
    from ils.targets.methods import METHODS

    for module, decorator, registry in (
        ("methods", "method", METHODS),
        ("networks", "network", NETWORKS),
        ("datasets", "source", SOURCES),
    ):
        found = plugins(module, decorator)
        assert set(found) == set(registry)
        for name, function in registry.items():
            parameters = inspect.signature(function).parameters.values()
            keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
            assert found[name].required == {
                key for key, default in keywords.items() if default is inspect.Parameter.empty
            }
            assert found[name].optional == set(keywords) - found[name].required
            assert found[name].inputs == tuple(
                p.name for p in parameters if p.kind is not p.KEYWORD_ONLY
            )


def test_a_rules_library_files_are_those_it_imports():
    used = {
        script: {Path(p).stem for p in modules_of(ROOT / "scripts" / script)}
        for script in ("train_students.py", "table3.py")
    }
    assert {"training", "stacked", "selection", "errors"} <= used["train_students.py"]
    assert not used["train_students.py"] & {
        "latex",
        "diagram",
        "statistics",
        "config",
        "methods",
        "networks",
        "target_inputs",
    }
    assert "latex" in used["table3.py"] and not used["table3.py"] & {"training", "stacked"}
    assert all(LIBRARY.joinpath(f"{name}.py").exists() for names in used.values() for name in names)


def test_a_fingerprint_covers_what_a_function_uses_and_nothing_else(tmp_path, monkeypatch):
    before = {
        name: fingerprint("methods", name)
        for name in ("no_ls", "ls", "ils1", "ils2", "ils", "beta", "ps_kd")
    }
    monkeypatch.setattr("ils.plan.plugins.LIBRARY", tmp_path)

    def changed(module, old, new):
        for name in ("methods", "target_inputs"):
            shutil.copy(LIBRARY / f"{name}.py", tmp_path)
        text = (tmp_path / f"{module}.py").read_text()
        assert old in text
        (tmp_path / f"{module}.py").write_text(text.replace(old, new))
        definitions.cache_clear()
        return {name for name in before if fingerprint("methods", name) != before[name]}

    assert changed(
        "methods",
        "def quadratic_epsilon(p_true, p1, p2, cap=0.2)",
        "def quadratic_epsilon(p_true, p1, p2, cap=0.3)",
    ) == {"ils1", "ils"}
    assert changed("target_inputs", "decay=0.999", "decay=0.99") == {"beta"}
    assert changed("target_inputs", "(batch.epoch + 1)", "(batch.epoch + 2)") == {"ps_kd"}
    assert changed("target_inputs", "    epochs: int\n", "    epochs: int\n    step: int\n") == set(
        before
    )
    assert changed("target_inputs", '"""The labels, (B, K)."""', '"""The labels."""') == set()


def test_the_workflow_needs_no_scientific_library_to_start():
    """Under --use-conda the launcher may have Snakemake and nothing else."""
    import subprocess
    import sys

    program = "import sys, ils.plan.checks, ils.plan.plugins; print({'numpy', 'torch', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


def properties(schema):
    """Every key that a schema allows, at any depth."""
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from properties(inner)
        yield from properties(inner.get("items", {}))


def test_the_config_page_names_every_key_and_every_function():
    page = (ROOT / "config/README.md").read_text()
    names = set(properties(SCHEMA))
    for module, kind in (
        ("methods", "method"),
        ("networks", "network"),
        ("datasets", "source"),
        ("target_inputs", "target_input"),
    ):
        for name, plugin in plugins(module, kind).items():
            names |= (
                plugin.required | plugin.optional | ({name} if kind != "target_input" else set())
            )
    words = set(re.findall(r"[A-Za-z_0-9]+", " ".join(re.findall(r"`+([^`]+)`+", page))))
    assert not names - words


def test_the_config_page_names_no_key_that_is_gone():
    page = (ROOT / "config/README.md").read_text()
    tables = re.findall(r"^\| key \| type \| meaning \|\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.M)
    cells = [line.split("|")[1] for table in tables for line in table.splitlines()]
    named = {
        word
        for cell in cells
        for key in re.findall(r"`([^`]+)`", cell)
        for word in key.split(".")
        if word
    }
    assert len(tables) >= 7 and len(named) > 50
    assert not named - set(properties(SCHEMA))
