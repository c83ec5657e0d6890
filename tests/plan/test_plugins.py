"""What the config may name is read off the source, and the digest of its code follows its edits."""

import importlib
import inspect
import shutil
from pathlib import Path

import pytest

from ils.errors import UserError
from ils.plan import fingerprints
from ils.plan import plugins as reader
from ils.plan.fingerprints import fingerprint, modules_of, uses
from ils.plan.plugins import LIBRARY, PLACES, load, plugins

ROOT = Path(__file__).parents[2]
MODULES = reader, fingerprints
CACHES = [f for module in MODULES for f in vars(module).values() if hasattr(f, "cache_clear")]


def forget():
    for function in CACHES:
        function.cache_clear()


class Copy:
    """A copy of the places that users extend, of which plugins are read."""

    def __init__(self, folder):
        self.folder = folder
        for place in ("data", "networks", "targets", "evaluation"):
            shutil.copytree(LIBRARY / place, folder / place)

    def fingerprints(self, kind):
        forget()
        return {name: fingerprint(kind, name) for name in plugins(kind)}

    def changed(self, kind, file, old, new):
        """Which functions have another fingerprint when a file has other text."""
        before, path = self.fingerprints(kind), self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        after = self.fingerprints(kind)
        path.write_text(text)
        return {name for name in before if after[name] != before[name]}


@pytest.fixture
def library(tmp_path, monkeypatch):
    for module in MODULES:
        monkeypatch.setattr(module, "LIBRARY", tmp_path / "ils")
    yield Copy(tmp_path / "ils")
    forget()


@pytest.mark.parametrize("kind", PLACES)
def test_plugins_are_read_off_the_source_as_they_are(kind):
    for name, plugin in plugins(kind).items():
        function = load(kind, name)
        assert (
            function.__name__ == name
            and Path(inspect.getfile(inspect.unwrap(function))) == plugin.path
        )
        parameters = inspect.signature(function).parameters.values()
        keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        required = {name for name, value in keywords.items() if value is inspect.Parameter.empty}
        assert plugin.required == required and plugin.optional == set(keywords) - required
        assert plugin.inputs == tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)


def test_every_function_of_the_paper_is_there():
    methods = {"no_ls", "dis", "cls", "bs_soft", "beta", "ls", "ils1", "ils2", "ils", "distil"}
    assert methods <= set(plugins("method"))
    networks = {"lenet", "mlp", "resnet", "densenet", "wide_resnet", "inception_v4", "alexnet"}
    assert networks <= set(plugins("network"))
    assert {"sklearn", "torchvision"} <= set(plugins("source"))
    assert {"temperature", "vector", "dirichlet", "isotonic"} <= set(plugins("calibrator"))


def test_two_functions_of_one_name_are_an_error(library):
    shutil.copy(library.folder / "networks/mlp.py", library.folder / "networks/mine.py")
    forget()
    with pytest.raises(UserError, match=r"mlp.py: network 'mlp' is in mine.py, too; rename one"):
        plugins("network")


def test_a_file_that_is_no_python_is_one_line(library):
    (library.folder / "networks/mine.py").write_text("import math\ndef mine(:\n")
    forget()
    with pytest.raises(UserError, match=r"mine.py: line 2: .*; correct it"):
        plugins("network")


def test_a_rules_library_files_are_those_it_imports():
    used = {
        script: {
            str(Path(p).relative_to(LIBRARY)) for p in modules_of(ROOT / f"scripts/{script}.py")
        }
        for script in ("train_students", "evaluate", "table3")
    }
    training = {"training/trainer.py", "training/step.py", "training/students.py"}
    assert training | {"files.py", "errors.py", "plan/records.py"} <= used["train_students"]
    rooms = {name.partition("/")[0] for name in used["train_students"]}
    assert not rooms & {"document", "figures", "statistics", "synthetic", "networks", "targets"}
    assert not used["train_students"] & {"plan/plan.py", "plan/checks.py", "plan/plugins.py"}
    assert "probabilities.py" in used["evaluate"]
    assert not any(name.startswith("evaluation") for names in used.values() for name in names)
    assert used["evaluate"] & training == {"training/students.py"}
    assert "document/latex.py" in used["table3"] and not used["table3"] & training
    assert all(LIBRARY.joinpath(name).exists() for names in used.values() for name in names)


def test_of_the_evaluation_what_a_script_uses_counts():
    path = LIBRARY / "evaluation/measures.py"
    text = path.read_text()
    scripts = "compute_metrics.py", "evaluate.py", "fit_temperature.py", "train_students.py"

    def digests():
        forget()
        return {script: uses(script) for script in scripts}

    before = digests()
    assert before["train_students.py"] == uses("table3.py")  # neither uses any
    try:
        path.write_text(
            text.replace("def computed(", "def one_more(x):\n    return x\n\n\ndef computed(")
        )
        assert digests() == before
        path.write_text(text.replace("if weights is None else", "if weights is not None else"))
        after = digests()
    finally:
        path.write_text(text)
        forget()
    changed = [script for script in scripts if after[script] != before[script]]
    assert changed == ["compute_metrics.py", "evaluate.py"]


@pytest.mark.parametrize("script", ["evaluate", "fit_temperature", "compute_metrics"])
def test_the_analysis_imports_no_torch(script):
    """Logits are the border: what comes after needs NumPy alone."""
    for path in modules_of(ROOT / f"scripts/{script}.py"):
        assert "import torch" not in Path(path).read_text(), path


METHODS = [
    (
        "targets/methods.py",
        "cap: float = 0.2",
        "cap: float = 0.3",
        {"ils1", "ils", "ils_one_temperature"},
    ),
    ("targets/inputs.py", "decay: float = 0.999", "decay: float = 0.99", {"beta"}),
    ("targets/inputs.py", "(batch.epoch + 1)", "(batch.epoch + 2)", {"ps_kd"}),
    ("targets/inputs.py", '"""The labels, (B, K);', '"""The labels;', set()),
    ("targets/inputs.py", "cell.onehot[batch.indices] if", "0 if", {"beta", "online_ls"}),
    ("targets/losses.py", "gaps.clamp(min=0)", "gaps.clamp(min=1)", {"mbls"}),
]
NETWORKS = [
    ("networks/lenet.py", "120, 84", "120, 80", {"lenet"}),
    ("networks/mlp.py", "else x.flatten(1)", "else x.flatten(2)", {"mlp", "lenet", "alexnet"}),
    ("networks/build.py", "blocks < 1", "blocks < 2", {"resnet", "densenet", "wide_resnet"}),
    (
        "networks/layers.py",
        "concatenate(students: int,",
        "concatenate(students: float,",
        {"densenet", "inception_v4"},
    ),
    ("networks/layers.py", '"""The inverse of', '"""The opposite of', set()),
]


@pytest.mark.parametrize("file, old, new, names", METHODS)
def test_a_fingerprint_covers_what_a_method_uses_and_nothing_else(file, old, new, names, library):
    assert library.changed("method", file, old, new) == names


def test_an_edit_of_a_transform_changes_it_and_no_method(library):
    edit = "targets/transforms.py", "+ 0.5", "+ 0.4"
    assert library.changed("transform", *edit) == {"mixup"}
    assert library.changed("method", *edit) == set()


METRICS = [
    ("2 * true_class", "3 * true_class", {"brier"}),
    ("BINS = 15", "BINS = 14", {"ece", "cwece", "cwece_printed", "ace"}),
    ('title="smECE"', 'title="smooth"', set()),  # what is said of a metric computes nothing
]


@pytest.mark.parametrize("old, new, names", METRICS)
def test_a_fingerprint_covers_what_a_metric_uses_and_nothing_else(old, new, names, library):
    assert library.changed("metric", "evaluation/metrics.py", old, new) == names


@pytest.mark.parametrize("file, old, new, names", NETWORKS)
def test_a_fingerprint_follows_imports_between_networks(file, old, new, names, library):
    assert library.changed("network", file, old, new) == names


def test_an_edit_of_the_convolution_changes_the_networks_that_have_one(library):
    old, new = "groups = x.shape[1] // weight.shape[1]", "groups = 1"
    changed = library.changed("network", "networks/layers.py", old, new)
    assert "lenet" in changed and changed == set(plugins("network")) - {"mlp"}


@pytest.mark.parametrize(
    "file, old, new",
    [
        ("networks/build.py", "torch.manual_seed(seed)", "torch.manual_seed(seed + 1)"),
        ("networks/build.py", "torch.from_numpy(array) for", "torch.tensor(array) for"),
        ("networks/layers.py", "def repeat(", "def repeat(*, "),
    ],
    ids=["build", "restore", "repeat"],
)
def test_what_builds_and_restores_is_part_of_every_network(file, old, new, library):
    assert library.changed("network", file, old, new) == set(plugins("network"))


def test_what_every_job_of_a_kind_uses_is_part_of_all(library):
    batch = "    epochs: int\n", "    epochs: int\n    step: int\n"
    assert library.changed("method", "targets/inputs.py", *batch) == set(plugins("method"))
    check = "def check(", "def check(*, "
    assert library.changed("source", "data/sources.py", *check) == set(plugins("source"))


@pytest.mark.parametrize(
    "file, old, new, own",
    [
        ("isotonic.py", "1 - ends", "2 - ends", {"isotonic"}),
        ("temperature.py", "1e-9 * b", "1e-8 * b", {"temperature"}),
        ("linear_maps.py", "MOST_STEPS = 100", "MOST_STEPS = 99", {"vector", "dirichlet"}),
        ("linear_maps.py", "LOOSE = 1e-4", "LOOSE = 1e-3", {"dirichlet"}),
        ("calibration.py", "FOLDS = 5", "FOLDS = 4", {"vector", "dirichlet"}),
        ("metrics.py", "BINS = 15", "BINS = 10", set()),
    ],
)
def test_a_calibrator_is_its_function_and_what_that_uses(file, old, new, own, library):
    assert library.changed("calibrator", f"evaluation/{file}", old, new) == own


SHARED = """
import math
RATE: float = 0.5
LOW, HIGH = 0.1, 0.9
def scaled(x):
    return x * RATE
def other(x):
    return x
"""
MINE = """
{imports}
@method
def mine(onehot, *, epsilon):
    return {call}(onehot)
"""


@pytest.mark.parametrize(
    "imports, call",
    [
        ("from ils.targets.shared import scaled", "scaled"),
        ("from ils.targets.shared import scaled as other", "other"),
        ("from ils.targets import shared", "shared.scaled"),
        ("import ils.targets.shared as shared", "shared.scaled"),
        ("from .shared import scaled", "scaled"),
        ("from . import shared", "shared.scaled"),
    ],
)
def test_imports_of_every_kind_are_followed(imports, call, library):
    (library.folder / "targets/shared.py").write_text(SHARED)
    (library.folder / "targets/mine.py").write_text(MINE.format(imports=imports, call=call))
    for old, new in (("x * RATE", "x + RATE"), ("RATE: float = 0.5", "RATE: float = 0.6")):
        assert library.changed("method", "targets/shared.py", old, new) == {"mine"}


@pytest.mark.parametrize(
    "constant",
    ["SIZE = {}", "SIZE: int = {}", "SIZE, OTHER = {}, 0", "SIZE = 0\nSIZE += {}"],
)
def test_a_constant_that_a_function_uses_is_part_of_it(constant, library):
    text = f"{constant.format(7)}\n@method\ndef mine(onehot):\n    return onehot * SIZE\n"
    (library.folder / "targets/mine.py").write_text(text)
    assert library.changed("method", "targets/mine.py", "7", "8") == {"mine"}


def test_a_function_is_imported_from_the_file_that_it_is_in():
    for kind in PLACES:
        for name, plugin in plugins(kind).items():
            module = importlib.import_module(reader.module_of(plugin.path))
            assert load(kind, name) is getattr(module, name)
