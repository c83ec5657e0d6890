"""A shard's job by its files: whom it learns from, and that nothing selects by the test split."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_up
from conftest import RECIPE, made_up_data, made_up_split
from evaluate import evaluate
from fit_temperature import fit_temperatures
from ils.errors import UserError
from ils.files import load_arrays, load_json, save_arrays, save_json
from ils.plan.records import Cell, Column, Evaluation
from ils.training.shard import Inputs, Outputs
from soft_targets import soft_targets
from train_students import train_students

CELLS = Cell("toy", "MLP", 0), Cell("toy", "MLP", 1)
BOUNDS = [0.5, 5.0]


class Study:
    """The files of two cells' chain: teachers, their temperatures, soft targets, students."""

    def __init__(self, folder, data, split):
        self.folder = folder
        folder.mkdir()
        save_arrays(self.path("data"), data)
        save_arrays(self.path("split"), split)

    def path(self, name):
        return str(self.folder / name)

    def train(self, method, training, *learnt):
        """Train all students of a method; learnt: soft targets, temperatures, {name: inherited}."""
        both = [self.path("data")] * 2, [self.path("split")] * 2
        inputs = Inputs.of_cells(*both, *(learnt or ([], [], {})))
        outputs = self.path(method), self.path(f"tests_{method}")
        train_students(training, 0, inputs, Outputs(*outputs, [], 1e9, len(inputs)))

    def run(self):
        """Everything from the teacher's training to the predictions."""
        teacher = made_up.training("no_ls", {}, RECIPE, cells=CELLS)
        self.train("no_ls", teacher)
        fit_temperatures([self.path("no_ls")], CELLS, BOUNDS, self.path("no_ls.json"))
        files = [self.path("data")] * 2, [self.path("split")] * 2, [self.path("no_ls")]
        soft_targets(teacher.cells, *files, self.path("soft"))
        grid = {"p1": [0.975, 0.85], "p2": [0.75, 2.0], "temperature": [1, 4]}
        training = made_up.training("ils", grid, replace(RECIPE, epochs=5), cells=CELLS)
        self.train("ils", training, [self.path("soft")], [self.path("no_ls.json")], {})
        columns = [Column(way, "ils", way) for way in ("none", "selected", "joint")]
        evaluation = Evaluation(CELLS, (Column("teacher", "no_ls", "none"), *columns), {})
        files = {method: [self.path(method)] for method in ("no_ls", "ils")}
        tests = {method: [self.path(f"tests_{method}")] for method in files}
        evaluate(evaluation, files, tests, BOUNDS, self.path("predictions"))
        return self

    def bytes(self, *names):
        return [(self.folder / name).read_bytes() for name in names]


def test_no_training_and_no_selection_sees_the_test_split(tmp_path):
    data = made_up_data((5,))
    split = made_up_split(data)
    rows, permuted = split["test"], {name: array.copy() for name, array in data.items()}
    permuted["labels"][rows] = np.roll(data["labels"][rows], 1)
    permuted["inputs"][rows] = np.roll(data["inputs"][rows], 4, 0)
    first = Study(tmp_path / "first", data, split).run()
    other = Study(tmp_path / "other", permuted, split).run()
    seen = "split", "no_ls", "no_ls.json", "soft", "ils"
    assert first.bytes("data") != other.bytes("data") and first.bytes(*seen) == other.bytes(*seen)
    (arrays, metadata), (others, same) = (
        load_arrays(s.path("predictions")) for s in (first, other)
    )
    assert metadata == same and len(metadata["cells"]) == 2
    for cell in CELLS:
        assert not np.array_equal(arrays[f"{cell.name}/labels"], others[f"{cell.name}/labels"])
        for name in ("teacher", "none", "selected", "joint"):
            name = f"{cell.name}/logits/{name}"
            assert (arrays[name] != others[name]).any(-1).all()
    for tests in ("tests_no_ls", "tests_ils"):
        logits, changed = (load_arrays(s.path(tests))[0] for s in (first, other))
        assert (logits[f"{CELLS[0].name}/logits"] != changed[f"{CELLS[0].name}/logits"]).all()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    data = made_up_data((5,))
    return Study(tmp_path_factory.mktemp("study") / "files", data, made_up_split(data)).run()


def test_a_file_holds_each_cell_under_its_name(study):
    students, metadata = load_arrays(study.path("ils"))
    tests = load_arrays(study.path("tests_ils"))[0]
    for cell in CELLS:
        names = {name.removeprefix(f"{cell.name}/") for name in students if cell.name in name}
        assert {"validation_logits", "best", "weights/layers.0.weight"} <= names
        assert not [name for name in names if "test" in name]
        assert len(metadata["cells"][cell.name]["points"]) == 8
        assert students[f"{cell.name}/validation_logits"].shape == (8, 18, 3)
        assert students[f"{cell.name}/weights/layers.0.weight"].shape[0] == 1  # the best one's
        assert tests[f"{cell.name}/logits"].shape == (8, 18, 3)
    logits = [students[f"{cell.name}/validation_logits"] for cell in CELLS]
    assert not np.array_equal(*logits)  # cells of other seeds


def test_the_soft_targets_are_those_of_the_best_teacher_of_each_cell(study):
    soft, temperatures = load_arrays(study.path("soft"))[0], load_json(study.path("no_ls.json"))
    rows = load_arrays(study.path("split"))[0]["train"]
    assert temperatures.keys() == {cell.name for cell in CELLS}
    for cell in CELLS:
        assert soft[f"{cell.name}/logits"].shape == (54, 1, 3)
        assert np.array_equal(soft[f"{cell.name}/ids"], rows + 1000)
        assert BOUNDS[0] <= temperatures[cell.name]["temperature"] <= BOUNDS[1]
    assert not np.array_equal(*(soft[f"{cell.name}/logits"] for cell in CELLS))


def test_cells_share_a_file_or_have_their_own_in_turn():
    data, split = ["a", "b"], ["c", "d"]
    shared = Inputs.of_cells(data, split, ["soft"], ["t"], {"epsilon": "ls"})
    assert shared == [
        Inputs(a, c, ["soft"], ["t"], {"epsilon": "ls"}) for a, c in zip(data, split, strict=True)
    ]
    own = Inputs.of_cells(data, split, ["a1", "a2", "b1", "b2"], ["ta", "tb"], {})
    assert own == [Inputs("a", "c", ["a1", "a2"], ["ta"]), Inputs("b", "d", ["b1", "b2"], ["tb"])]
    assert Inputs.of_cells(["a"], ["c"], ["1", "2"], [], {}) == [Inputs("a", "c", ["1", "2"])]
    assert Inputs.of_cells(data, split, [], [], {})[1] == Inputs("b", "d")


def test_students_take_what_they_inherit_from_the_best_of_another_method(study):
    save_json(
        study.path("ls.json"),
        {cell.name: {"point": {"epsilon": 0.1 + cell.seed / 10}} for cell in CELLS},
    )
    grid = {"alpha": [0.4, 0.3]}
    training = made_up.training("beta", grid, replace(RECIPE, epochs=1), cells=CELLS)
    study.train("beta", training, [], [], {"epsilon": study.path("ls.json")})
    cells = load_arrays(study.path("beta"))[1]["cells"]
    for cell, epsilon in zip(CELLS, (0.1, 0.2), strict=True):
        points = [{"alpha": alpha, "epsilon": epsilon} for alpha in (0.4, 0.3)]
        assert cells[cell.name]["points"] == points


def test_soft_targets_temperatures_and_best_points_of_other_cells_are_refused(study):
    other = "toy/Other/seed0"
    save_arrays(study.path("other"), {f"{other}/logits": np.zeros(3), f"{other}/ids": np.zeros(3)})
    save_json(study.path("other.json"), {other: {"temperature": 1.0, "point": {}}})
    save_json(study.path("none.json"), {cell.name: {"point": {}} for cell in CELLS})
    training = made_up.training("beta", {"alpha": [0.4]}, RECIPE, cells=CELLS)
    soft, fitted = [study.path("soft")], [study.path("no_ls.json")]
    other = [study.path("other")], [study.path("other.json")]
    for learnt, words in (
        ((other[0], fitted, {}), "other: lacks the array.s. ids, logits"),
        ((soft, other[1], {}), "other.json: lacks toy/MLP/seed0"),
        (([], [], {"epsilon": other[1][0]}), "other.json: lacks toy/MLP/seed0"),
        (([], [], {"epsilon": study.path("none.json")}), "none.json: lacks epsilon"),
    ):
        with pytest.raises(UserError, match=words):
            study.train("beta", training, *learnt)


def test_test_logits_of_other_students_are_refused(study):
    evaluation = Evaluation(CELLS, (Column("ILS", "ils", "none"),), {})
    students, tests = {"ils": [study.path("ils")]}, {"ils": [study.path("tests_no_ls")]}
    with pytest.raises(UserError, match="tests_no_ls: the test logits are of other students"):
        evaluate(evaluation, students, tests, BOUNDS, study.path("wrong"))


def test_a_cell_that_changes_its_batch_is_taken_over_and_not_trained_again(tmp_path, monkeypatch):
    data = made_up_data((5,))
    study = Study(tmp_path / "study", data, made_up_split(data))
    teacher = made_up.training("no_ls", {}, RECIPE, cells=CELLS)
    both, one, apart = (Path("{}/" + batch + "/no_ls/shard0") for batch in ("both", "one", "apart"))

    def train(folder, place, training, cells):
        inputs = Inputs.of_cells(
            [study.path("data")] * cells, [study.path("split")] * cells, [], [], {}
        )
        names = (str(tmp_path / str(place).format(f"{folder}{kind}")) for kind in ("s", "t"))
        outputs = Outputs(*names, [], 1e9, cells)
        train_students(training, 0, inputs, outputs)
        return Path(outputs.students).read_bytes(), Path(outputs.test_logits).read_bytes()

    train("first/", both, teacher, 2)
    alone = teacher._replace(cells=teacher.cells[1:], recipes=teacher.recipes[1:])
    afresh = train("other/", apart, alone, 1)
    with monkeypatch.context() as patch:
        patch.setattr("ils.training.shard.train_chunks", None)  # no training is possible
        assert train("first/", one, alone, 1) == afresh
        longer = alone._replace(recipes=(replace(RECIPE, epochs=4),))
        with pytest.raises(TypeError):
            train("first/", one, longer, 1)
