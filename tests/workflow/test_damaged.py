"""Hundreds of damaged, foreign and swapped files: one line that names the file, nothing written."""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import made_up
from compute_metrics import compute_metrics
from conftest import RECIPE, ROOT
from damage import RANDOM, refusal, remove, replace, spoilt
from evaluate import evaluate
from fit_temperature import fit_temperatures
from ils.document.latex import escape, row
from ils.document.pages import table
from ils.plan.records import Calibrator, Cell, Column, Evaluation
from ils.training.shard import Inputs, Outputs
from made_up import METRICS, NAMES, RANKED
from prepare_dataset import prepare_dataset
from rank_methods import rank_methods
from soft_targets import soft_targets
from split_datasets import split_datasets
from train_students import train_students

# Where the workflow has them: a job looks beside its own files for those of other batches.
STUDENTS, TESTS = "students/batch/{}/shard0", "test_logits/batch/{}/shard0"
FIRST, SECOND, SECOND_TESTS = *map(STUDENTS.format, ("first", "second")), TESTS.format("second")


class Study:
    """One file of every kind, and the functions that read it: `readers`, {file: functions}."""

    cells, bounds = (Cell("mine", "MLP", 0), Cell("mine", "Other", 0)), [0.5, 5.0]
    first = made_up.training({"no_ls": {}, "ls": {"epsilon": [0.1]}}, RECIPE, cells=cells)
    second = made_up.training(
        {
            "ils": {"p1": [0.95, 0.9], "p2": [1.0], "temperature": [2.0]},
            "beta": {"alpha": [0.4]},
        },
        RECIPE,
        cells=cells,
        inherited={"beta": {"epsilon": "ls"}},
    )

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        labels = np.arange(90) % 3
        inputs = rng.normal(size=(90, 4)) + labels[:, None]
        np.savez(folder / "mine.npz", inputs=inputs, labels=labels)
        steps = {
            "data": self.prepare,
            "splits": self.cut,
            FIRST: self.teach,
            "fitted.json": self.fit,
            "soft": self.soften,
            SECOND: self.learn,
            "predictions": self.test,
            "metrics.csv": self.measure,
        }
        for name, make in steps.items():
            make()
            assert (folder / name).exists()
        self.readers = {
            "data": [self.cut, self.teach, self.soften],
            "splits": [self.teach, self.soften],
            FIRST: [self.fit, self.soften],
            "fitted.json": [self.learn],
            "soft": [self.learn],
            SECOND: [self.test],
            SECOND_TESTS: [self.test],
            "predictions": [self.measure],
            "metrics.csv": [self.rank],
            "mine.npz": [self.prepare],
        }

    def paths(self, *names):
        return [str(self.folder / name) for name in names]

    def prepare(self):
        prepare_dataset(self.path("data"), "mine", "npz", {"file": self.path("mine.npz")})

    def cut(self):
        sizes = {"name": "mine", "test": 0.3, "validation": 0.3}
        splits = [{"name": cell.split, "seed": 0, "dataset": sizes} for cell in self.cells]
        split_datasets(self.paths("data", "data"), splits, self.path("splits"))

    def train(self, training, name, **learnt):
        inputs = [Inputs(*self.paths("data", "splits"), **learnt)] * 2
        outputs = Outputs(*self.paths(STUDENTS.format(name), TESTS.format(name)), [], 1e9, 2)
        train_students(training, 0, made_up.at_once(training), inputs, outputs)

    def teach(self):
        self.train(self.first, "first")

    def fit(self):
        told = self.cells, ("no_ls", "ls"), self.bounds
        fit_temperatures(self.paths(FIRST), *told, self.path("fitted.json"))

    def soften(self):
        files = self.paths("data", "data"), self.path("splits"), self.paths(FIRST)
        soft_targets(self.first.cells, "no_ls", *files, self.path("soft"))

    def learn(self):
        soft, fitted = self.paths("soft"), self.paths("fitted.json")
        self.train(self.second, "second", soft_targets=soft, fits=fitted)

    def test(self):
        scaling = Calibrator("temperature", "temperature", {"bounds": self.bounds}, "code")
        joint = Column("joint", "ils", scaling.name, "joint")
        columns = Column("none", "ils"), joint, Column("beta", "beta")
        files = ({"second": self.paths(name)} for name in (SECOND, SECOND_TESTS))
        rounds = {"ils": "second", "beta": "second"}
        told = self.cells, columns, {"second": 1}, rounds, NAMES, (scaling,)
        evaluate(Evaluation(*told), *files, self.path("predictions"))

    def measure(self):
        outputs = self.paths("metrics.csv", "intervals.csv")
        compute_metrics(self.paths("predictions", "predictions"), self.cells, 20, METRICS, *outputs)

    def rank(self):
        names = "ranks", "averages", "friedman", "pairwise"
        rank_methods(*self.paths("metrics.csv"), RANKED, 0.05, *self.paths(*names))

    def path(self, name):
        return str(self.folder / name)

    def read(self, name, new):
        """What its readers say of something else in a file's place; the old is put back."""
        path = self.folder / name
        content = path.read_bytes()
        replace(path, new)
        try:
            return [refusal(reader, self.folder) for reader in self.readers[name]]
        finally:
            remove(path)
            path.write_bytes(content)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Study(tmp_path_factory.mktemp("study"))


ARRAYS = ["data", "splits", FIRST, "soft", SECOND, SECOND_TESTS, "predictions"]
KINDS = [*ARRAYS, "fitted.json", "metrics.csv", "mine.npz"]
ALIKE = [{FIRST, SECOND}]


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_of_any_kind_is_named_and_nothing_is_written(name, study):
    count, content = 0, (study.folder / name).read_bytes()
    versions = spoilt(content)
    if name.endswith(".json"):  # without its last line's end it says the same
        versions |= {f"cut after {len(content) - 1} of {len(content)}": content[:-2]}
    for what, new in versions.items():
        if name == "metrics.csv" and what in ("wrong magic", "zeros"):
            new = b"\0,\xff\n" + b"1" * 5
        for message in study.read(name, new):
            assert message.startswith(study.path(name)), f"{what}: {message}"
        count += 1
    assert count >= 18


def test_every_file_in_the_place_of_every_other_is_refused(study):
    swaps = [(a, b) for a in KINDS for b in KINDS if a != b and {a, b} not in ALIKE]
    for place, other in swaps:
        for message in study.read(place, (study.folder / other).read_bytes()):
            assert study.path(place) in message, f"{other} in the place of {place}: {message}"
            lacks = {place, other} <= set(ARRAYS)
            if (place, other) == ("soft", SECOND_TESTS):  # which has logits and ids
                lacks = "of other training samples than the split's" not in message
            assert ("lacks" in message) == lacks, f"{other} in the place of {place}: {message}"
    assert len(swaps) == 10 * 9 - 2


def test_the_fits_of_another_round_are_refused(study):
    """Whose methods are not those that teach and are inherited from."""
    other = study.path("others.json")
    methods = "ils", "beta"
    fit_temperatures(study.paths(SECOND), study.cells, methods, study.bounds, other)
    (message,) = study.read("fitted.json", Path(other).read_bytes())
    assert message.startswith(study.path("fitted.json")) and "lacks" in message


def test_files_of_another_dataset_are_refused(study, tmp_path):
    np.savez(
        tmp_path / "more.npz",
        inputs=np.random.default_rng(1).normal(size=(150, 4)),
        labels=np.arange(150) % 3,
    )
    prepare_dataset(tmp_path / "data", "more", "npz", {"file": str(tmp_path / "more.npz")})
    sizes = {"name": "more", "test": 0.3, "validation": 0.3}
    splits = [{"name": "mine/seed0", "seed": 0, "dataset": sizes}]
    split_datasets([tmp_path / "data"], splits, tmp_path / "splits")
    for message in study.read("splits", (tmp_path / "splits").read_bytes()):
        assert "splits: is of another dataset than" in message and study.path("data") in message


def test_a_table_whose_numbers_are_none_or_missing_is_named(study):
    text = (study.folder / "metrics.csv").read_text()
    lines = text.splitlines(keepends=True)
    first = lines[1].split(",")
    for damaged, words in (
        (lines[0], "has no rows"),
        ("".join(lines[:-1]), "is incomplete: no accuracy for"),
        (text + lines[1], "repeats network=MLP, dataset=mine"),
        (
            text.replace("accuracy", "acuracy").replace("method", "metod", 1),
            "lacks the column.s. method",
        ),
        (text.replace(lines[1], ",".join([*first[:-2], "text", "nan\n"])), "is incomplete: no"),
        ("a;b\n1;2\n", "lacks the column"),
    ):
        (message,) = study.read("metrics.csv", damaged.encode())
        assert message.startswith(study.path("metrics.csv")) and re.search(words, message), message


@pytest.mark.parametrize("what", ["a split", "a folder", "random", "empty"])
def test_something_else_in_the_place_of_a_checkpoint_is_set_aside(what, study, capsys):
    path = study.folder / f"{SECOND}.partial/mine/MLP/seed0/0-1.safetensors"
    path.parent.mkdir(parents=True)
    split = (study.folder / "splits").read_bytes()
    content = {"a split": split, "random": RANDOM, "empty": b""}.get(what)
    path.mkdir() if content is None else path.write_bytes(content)
    before = (study.folder / SECOND).read_bytes()
    (learn,) = study.readers["soft"]
    learn()
    assert (study.folder / SECOND).read_bytes() == before
    assert not (study.folder / f"{SECOND}.partial").exists()
    assert "set aside as 0-1.damaged" in capsys.readouterr().err


def test_labels_are_text_in_pages_and_documents():
    script = "<script>alert(1)<"
    assert "<script" not in table(pd.DataFrame({script: [script]}))
    escaped = r"\$x\$ \& \textbackslash{}input\{secret\} \%\#\_\{\}"
    escaped += r"\textasciitilde{}\textasciicircum{}"
    assert escape("$x$ & \\input{secret} %#_{}~^") == escaped
    assert row(["[5pt] x", "y"]).startswith("{}[") and row(["*x", "y"]).startswith("{}*")
    assert row(["a", "[b"]) == r"a & [b \\"


UNPICKLES = (
    "import pickle",
    "pickle.load",
    "torch.load",
    "joblib",
    "allow_pickle=True",
    "exec(",
    "yaml.load",
    "extractall",
)
UNPICKLES += ("shell=True", "os.system")


def test_no_code_of_ours_reads_a_pickle_or_opens_an_archive():
    """torchvision does, of files whose checksums it verified before: see `ils.data.sources`."""
    for path in (ROOT / "scripts").rglob("*.py"):
        code = "".join(
            ast.unparse(statement) + "\n"
            for statement in ast.parse(path.read_text()).body
            if not is_text(statement)
        )
        assert not [word for word in UNPICKLES if word in code.replace("allow_pickle=False", "")], (
            path
        )
        assert code.count("np.load(") == code.count("allow_pickle=False"), path


def is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
