"""A wrong config is one clear error that names key and remedy, before any job starts."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from ils.errors import UserError
from ils.plan.checks import check, check_methods
from ils.plan.plan import Plan
from ils.plan.plugins import PLACES, plugins

ROOT = Path(__file__).parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
DEFAULT = yaml.safe_load((ROOT / "config/config.yaml").read_text()) | {"hours_per_job": 24}


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
TEMPERATURE = DEFAULT["calibrators"][0]


@pytest.mark.parametrize("path", ["config/config.yaml", "config/paper.yaml", "tests/small.yaml"])
def test_committed_configs_are_valid(path):
    Plan.checked(yaml.safe_load((ROOT / path).read_text()))


@pytest.mark.parametrize(
    "path, value, message",
    [
        (["sedes"], [0], "config: sedes: 'sedes' is none of .*did you mean 'seeds'"),
        (["recipes", 0, "lr"], 0.1, r"config: recipes\[0\].lr: 'lr' is none of .*learning_rate"),
        (["seeds"], KeyError, "config: .*'seeds' is a required property"),
        (
            ["recipes", 0, "halving"],
            {"epochs": [2, 2], "keep": [0.5, 0.5]},
            r"config: recipes\[0\].halving.epochs: \[2, 2\] must ascend and end before .* last",
        ),
        (
            ["recipes", 0, "halving"],
            {"epochs": [DEFAULT["recipes"][0]["epochs"]], "keep": [0.5]},
            r"config: recipes\[0\].halving.epochs: .* must ascend and end before .* last epoch, \d",
        ),
        (
            ["recipes", 0, "halving"],
            {"epochs": [2], "keep": [0.5, 0.2]},
            r"config: recipes\[0\].halving.keep: has 2 shares for 1 epochs; give one for each",
        ),
        (
            ["recipes", 0, "halving"],
            {"epochs": [2], "keep": [1]},
            r"config: recipes\[0\].halving.keep\[0\]: 1 is greater than or equal to",
        ),
        (["recipes", 0, "halving"], {"epochs": [2]}, "halving.*'keep' is a required property"),
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
        (["datasets", 1, "name"], "iris", r"datasets\[1\].name: 'iris' is used twice"),
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
            r"experiments\[0\].dataset: 'mnist' is none of appendicitis, ",
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
        (["metrics", 0, "name"], "acuracy", r"metrics\[0\].name: .*did you mean 'accuracy'"),
        (
            ["metrics", 1, "name"],
            "accuracy",
            r"config: metrics\[1\].name: 'accuracy' is used twice",
        ),
        (["metrics", 0, "show"], True, "metrics.*'show' is none of name, shown"),
        (
            ["metrics"],
            [{"name": "accuracy"}, {"name": "ece"}],
            "config: metrics: lacks cross_entropy, cwece, cwece_printed, which the paper's claims",
        ),
        (
            ["metrics"],
            [{"name": entry["name"], "shown": False} for entry in DEFAULT["metrics"]],
            "config: metrics: none is shown",
        ),
        (
            ["methods", method("cls"), "name"],
            "round1",
            r"config: methods\[2\].name: 'round1' names a round; rename it",
        ),
        (
            ["trained_together"],
            "rounds",
            r"config: trained_together: 'rounds' is not one of \['round', 'method'\]",
        ),
        (["methods", LS, "label"], "No LS", "'No LS' is the label of two columns"),
        (
            ["methods", LS, "grid", "epsilon"],
            [0.1, 1.5],
            r"grid.epsilon\[1\]: 1.5 must be from 0 to 1",
        ),
        (["methods", LS, "grid", "epsilon"], [], r"grid.epsilon: \[\] should be non-empty"),
        (
            ["methods", LS, "restarts"],
            0,
            rf"methods\[{LS}\].restarts: 0 is less than the minimum of 1",
        ),
        (["methods", LS, "control"], 1, rf"methods\[{LS}\].control: 1 is not of type 'boolean'"),
        (
            ["methods"],
            [entry | {"control": i > 0} for i, entry in enumerate(DEFAULT["methods"])],
            "config: methods: fewer than two are no controls",
        ),
        (
            ["experiments", 1, "seeds"],
            [0],
            r"experiments\[1\].seeds: \[0\] is not of type 'integer'",
        ),
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
            ["methods", LS, "calibrators", "temperature"],
            "both",
            "calibrators.temperature: 'both' is not one of",
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
        (["calibrators", 0, "fit"], "temprature", r"calibrators\[0\].fit: .* mean 'temperature'"),
        (
            ["calibrators", 0, "options"],
            {"bound": [1, 2]},
            r"calibrators\[0\].options.bound: 'bound' is none of bounds",
        ),
        (
            ["calibrators", 0, "options"],
            {"penalties": [0]},
            r"calibrators\[0\].options.penalties\[0\]: 0 is less than or equal to",
        ),
        (["calibrators", 0, "name"], "none", r"calibrators\[0\].name: 'none' means no calibrator"),
        (["calibrators", 0, "label"], "A+B", r"calibrators\[0\].label: .* without a plus"),
        (["methods", LS, "label"], "L+S", r"methods\[5\].label: 'L\+S' .* without a plus"),
        (
            ["calibrators"],
            [dict(TEMPERATURE), TEMPERATURE | {"name": "other"}],
            r"calibrators\[1\].label: 'TempS' is that of 'temperature', too",
        ),
        (["calibrators"], [TEMPERATURE] * 2, r"calibrators\[1\].name: 'temperature' is used twice"),
        (["calibrators"], [], r"methods\[0\].calibrators.temperature: .* no calibrators"),
        (
            ["methods", LS, "calibrators"],
            {"temprature": "joint"},
            r"methods\[5\].calibrators.temprature: .* mean 'temperature'",
        ),
        (
            ["calibrators", 0, "options", "bounds"],
            [5, 0.5],
            r"calibrators\[0\].options.bounds: the lower bound 5 is not below",
        ),
        (
            ["teacher_temperature_bounds"],
            [5, 0.5],
            "teacher_temperature_bounds: the lower bound 5 is not below",
        ),
        (["teacher_temperature_bounds"], KeyError, "'teacher_temperature_bounds' is a required"),
    ],
)
def test_a_wrong_config_names_key_and_remedy(path, value, message):
    with pytest.raises(UserError, match=message) as error:
        check(changed(path, value), SCHEMA)
    assert "\n" not in str(error.value)


MIXUP = {"name": "mixup", "label": "Mixup", "targets": "no_ls", "transform": "mixup"}
MIXUP |= {"grid": {"alpha": [0.1, 2]}}
FOCAL = {"name": "focal", "label": "Focal", "targets": "focal"}


@pytest.mark.parametrize(
    "entry, change, message",
    [
        (MIXUP, {"transform": "mixupp"}, r".transform: 'mixupp' is none of mixup .*mean 'mixup'"),
        (MIXUP, {"transform": 1}, ".transform: 1 is not of type 'string'"),
        (MIXUP, {"grid": {}}, ".grid: targets 'no_ls' with transform 'mixup' lacks alpha"),
        (MIXUP, {"grid": {"alpha": [-1]}}, r".grid.alpha\[0\]: -1 must be 0 or more"),
        (
            MIXUP,
            {"grid": {"alpha": [1], "alhpa": [1]}},
            ".grid.alhpa: 'alhpa' is none of alpha .did you mean 'alpha'",
        ),
        (
            MIXUP,
            {"targets": "online_ls"},
            ".grid.alpha: is a hyperparameter of targets 'online_ls' and of transform 'mixup'",
        ),
        (
            MIXUP,
            {"targets": "dis"},
            ".transform: 'mixup' changes the samples, but the method looks at teacher_logits",
        ),
        (
            MIXUP,
            {"targets": "focal", "grid": {"alpha": [1], "gamma": [1]}},
            ".transform: 'mixup' mixes the labels, but targets 'focal' need each of one class",
        ),
        (
            MIXUP,
            {"inputs": {"ema_confidence": {"decay": 0.9}}},
            ".inputs.ema_confidence: 'ema_confidence' is none of draws, memory, onehot, x",
        ),
        (FOCAL, {"grid": {"gamma": [-1]}}, r".grid.gamma\[0\]: -1 must be 0 or more"),
        (FOCAL, {"grid": {"gama": [1]}}, ".grid.gama: .*did you mean 'gamma'"),
        (
            FOCAL,
            {"targets": "mbls", "grid": {"margin": [10], "alpha": [-2]}},
            r".grid.alpha\[0\]: -2 must be 0 or more",
        ),
        (
            DEFAULT["methods"][BETA],
            {"grid": {"alpha": [0.4], "decay": [1.5]}},
            r".grid.decay\[0\]: 1.5 must be from 0 to 1",
        ),
        (
            DEFAULT["methods"][method("cls")],
            {"grid": {"epsilon": [0.1], "beta": [1], "samples": [500, 2.5]}},
            r".grid.samples\[1\]: 2.5 must be a whole number, 1 or more",
        ),
        (
            DEFAULT["methods"][BETA],
            {"grid": {"alpha": [0.4], "dekay": [0.9]}},
            ".grid.dekay: .*did you mean 'decay'",
        ),
        (
            DEFAULT["methods"][BETA],
            {
                "grid": {"alpha": [0.4], "decay": [0.9]},
                "inputs": {"ema_confidence": {"decay": 0.9}},
            },
            ".grid.decay: is under inputs, too; remove one of the two",
        ),
    ],
)
def test_a_wrong_method_names_key_and_remedy(entry, change, message):
    config = changed(["methods", BETA], entry | change)
    with pytest.raises(UserError, match=rf"^config: methods\[{BETA}\]{message}"):
        check(config, SCHEMA)


def test_transforms_and_options_of_inputs_may_be_searched():
    for entry in (
        MIXUP,
        MIXUP | {"targets": "ls", "grid": {"alpha": [0.0, 1], "epsilon": [0.1]}},
        FOCAL | {"grid": {"gamma": [0, 2, 5.5]}},
        DEFAULT["methods"][BETA] | {"grid": {"alpha": [0.4], "decay": [0.9, 0.99]}},
    ):
        check(changed(["methods", BETA], entry), SCHEMA)


def test_a_transform_or_target_of_ones_own_is_told_what_it_cannot_look_at(monkeypatch):
    mixup, ls = plugins("transform")["mixup"], plugins("method")["ls"]
    found = {
        "transform": {"early": mixup._replace(inputs=("x", "student_logits"))},
        "method": plugins("method") | {"mine": ls._replace(inputs=("onehott",))},
    }
    for module in ("checks", "entries", "hyperparameters"):
        look = lambda kind: found.get(kind) or plugins(kind)  # noqa: E731
        monkeypatch.setattr(f"ils.plan.{module}.plugins", look)
    early = changed(["methods", BETA], MIXUP | {"transform": "early"})
    with pytest.raises(UserError, match=r"'early' looks at student_logits, but comes before"):
        check_methods(early)
    with pytest.raises(UserError, match=r"'mine': 'onehott' is none of .*mean 'onehot'"):
        check_methods(changed(["methods", LS, "targets"], "mine"))


def properties(schema):
    """Every key that a schema allows, at any depth."""
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from properties(inner)
        yield from properties(inner.get("items", {}))


def test_the_config_page_names_every_key_and_every_function():
    page = (ROOT / "config/README.md").read_text()
    names = set(properties(SCHEMA))
    for kind in PLACES:
        for name, plugin in plugins(kind).items():
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


def test_a_hyperparameter_cannot_be_called_as_restarts_are(monkeypatch):
    ls = plugins("method")["ls"]
    known = plugins("method") | {"mine": ls._replace(required=frozenset({"restart"}))}
    for module in ("checks", "entries", "hyperparameters"):
        found = lambda kind: known if kind == "method" else plugins(kind)  # noqa: E731
        monkeypatch.setattr(f"ils.plan.{module}.plugins", found)
    config = changed(["methods", 0], DEFAULT["methods"][0] | {"targets": "mine"})
    config["methods"][0]["grid"] = {"restart": [1]}
    with pytest.raises(UserError, match=r"methods\[0\].targets: 'mine' has .*'restart'.*rename"):
        check_methods(config)
