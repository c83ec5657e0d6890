"""A shard's job by its files: whom it learns from, and that nothing selects by the test split."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import made_up
from conftest import RECIPE, group, made_up_data, made_up_split
from evaluate import evaluate
from fit_temperature import fit_temperatures
from ils.errors import UserError
from ils.evaluation.measures import measure
from ils.files import load_arrays, load_json, save_arrays, save_json
from ils.networks.build import build
from ils.plan.grids import grid_points, with_restarts
from ils.plan.records import Calibrator, Cell, Column, Evaluation
from ils.targets.transforms import mixup
from ils.training.shard import Inputs, Outputs, start_anew
from ils.training.students import Grid, best_student
from ils.training.trainer import INITIALISATION, stream
from made_up import NAMES
from soft_targets import soft_targets
from train_students import train_students

CELLS = Cell("toy", "MLP", 0), Cell("toy", "MLP", 1)
BOUNDS = [0.5, 5.0]
TEMPERATURE = Calibrator("temperature", "temperature", {"bounds": BOUNDS}, "code")
SCALINGS = "none", "temperature"
ROUNDS = "first", "second"
ROUND_OF = {"no_ls": "first", "ls": "first", "dis": "second", "ils": "second", "beta": "second"}
SECOND = made_up.training(
    {
        "dis": {},
        "ils": {"p1": [0.975, 0.85], "p2": [0.75, 2.0], "temperature": [1, 4]},
        "beta": {"alpha": [0.4, 0.3]},
    },
    replace(RECIPE, epochs=5),
    cells=CELLS,
    inherited={"beta": {"epsilon": "ls"}},
)


def columns_of(method):
    """A method as trained, and by both readings of the temperature."""
    scaled = [Column(way, method, "temperature", way) for way in ("selected", "joint")]
    return [Column("none", method), *scaled]


def evaluation_of(columns):
    rounds = dict.fromkeys(ROUNDS, 1), ROUND_OF
    return Evaluation(CELLS, tuple(columns), *rounds, NAMES, (TEMPERATURE,), SCALINGS)


class Study:
    """The files of two cells' chain: teachers, their temperatures, soft targets, students."""

    def __init__(self, folder, data, split):
        self.folder = folder
        folder.mkdir()
        save_arrays(self.path("data"), data)
        splits = {f"{cell.split}/{part}": split[part] for cell in CELLS for part in split}
        save_arrays(self.path("splits"), splits)

    def path(self, name):
        return str(self.folder / name)

    def train(self, name, training, soft_targets=(), fits=()):
        """Train all students of a round."""
        files = [self.path("data")] * 2, self.path("splits"), soft_targets, fits
        outputs = Outputs(self.path(name), self.path(f"tests_{name}"), [], 1e9, 2)
        at_once = made_up.at_once(training)
        train_students(training, 0, at_once, Inputs.of_cells(*files), outputs)

    def run(self):
        """Everything from the teacher's training to the predictions: two rounds of students."""
        smoothing = {"epsilon": [0.05, 0.2]}
        first = made_up.training({"no_ls": {}, "ls": smoothing}, RECIPE, cells=CELLS)
        self.train("first", first)
        files, methods = [self.path("first")], ["no_ls", "ls"]
        fit_temperatures(files, CELLS, methods, BOUNDS, self.path("first.json"))
        read = [self.path("data")] * 2, self.path("splits"), files
        soft_targets(first.cells, "no_ls", *read, self.path("soft"))
        self.train("second", SECOND, [self.path("soft")], [self.path("first.json")])
        columns = [Column("teacher", "no_ls"), *columns_of("ils")]
        columns += [Column(name, name) for name in ("beta", "dis")]
        evaluation = evaluation_of(columns)
        students = {name: [self.path(name)] for name in ROUNDS}
        tests = {name: [self.path(f"tests_{name}")] for name in ROUNDS}
        evaluate(evaluation, students, tests, self.path("predictions"))
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
    seen = "splits", "first", "first.json", "soft", "second"
    assert first.bytes("data") != other.bytes("data") and first.bytes(*seen) == other.bytes(*seen)
    (arrays, metadata), (others, same) = (
        load_arrays(s.path("predictions")) for s in (first, other)
    )
    assert metadata == same and len(metadata["cells"]) == 2
    for cell in CELLS:
        assert not np.array_equal(arrays[f"{cell.name}/labels"], others[f"{cell.name}/labels"])
        for name in ("teacher", "none", "selected", "joint", "beta", "dis"):
            name = f"{cell.name}/logits/{name}"
            assert (arrays[name] != others[name]).any(-1).all()
    for tests in ("tests_first", "tests_second"):
        logits, changed = (load_arrays(s.path(tests))[0] for s in (first, other))
        assert (logits[f"{CELLS[0].name}/logits"] != changed[f"{CELLS[0].name}/logits"]).all()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    data = made_up_data((5,))
    return Study(tmp_path_factory.mktemp("study") / "files", data, made_up_split(data)).run()


def test_a_grid_that_is_spared_in_all_shards_does_not_race(tmp_path):
    data = made_up_data((5,))
    study = Study(tmp_path / "files", data, made_up_split(data))
    halving = {"epochs": [1], "keep": [0.4], "above": 2}
    methods = {"ls": {"epsilon": [0.05, 0.2]}, "cls": {"epsilon": [0.1, 0.2], "beta": [0.1, 1]}}
    training = made_up.training(methods, replace(RECIPE, halving=halving), cells=CELLS)
    study.train("raced", training)
    arrays, metadata = load_arrays(study.path("raced"))
    dropped = arrays[f"{CELLS[0].name}/dropped_epoch"]
    assert metadata["cells"][CELLS[0].name]["methods"] == ["ls"] * 2 + ["cls"] * 4
    assert dropped[:2].tolist() == [0, 0] and sorted(dropped[2:].tolist()) == [0, 0, 1, 1]


def test_soft_targets_in_half_precision_are_those_rounded(study, tmp_path):
    read = [study.path("data")] * 2, study.path("splits"), [study.path("first")]
    soft_targets(SECOND.cells, "no_ls", *read, study.path("half"), "float16")
    full, half = (load_arrays(study.path(name))[0] for name in ("soft", "half"))
    rounded = {name: full[name].astype(half[name].dtype) for name in full}
    for name in full:
        assert half[name].dtype == (np.float16 if name.endswith("logits") else full[name].dtype)
        assert np.array_equal(half[name], rounded[name])
    save_arrays(study.path("rounded"), {n: a.astype(full[n].dtype) for n, a in rounded.items()})
    for name in ("half", "rounded"):  # students compute in float32
        study.train(f"by_{name}", SECOND, [study.path(name)], [study.path("first.json")])
    by_half, by_rounded, second = (
        load_arrays(study.path(name))[0] for name in ("by_half", "by_rounded", "second")
    )
    assert all(np.array_equal(by_half[n], by_rounded[n], equal_nan=True) for n in by_half)
    assert any(not np.array_equal(by_half[n], second[n], equal_nan=True) for n in second)
    arrays, metadata = load_arrays(study.path("first"))
    large = {n: 1e5 * a if "/weights/" in n else a for n, a in arrays.items()}
    save_arrays(study.path("large"), large, **metadata)
    message = r"a logit of the no_ls teacher is .*, too large for float16; set soft_targets_prec"
    with pytest.raises(UserError, match=message):
        soft_targets(SECOND.cells, "no_ls", *read[:2], [study.path("large")], "none", "float16")


def test_a_file_holds_each_cell_under_its_name(study):
    students, metadata = load_arrays(study.path("second"))
    tests = load_arrays(study.path("tests_second"))[0]
    for cell in CELLS:
        names = {name.removeprefix(f"{cell.name}/") for name in students if cell.name in name}
        assert {"validation_logits", "best", "weights/layers.0.weight"} <= names
        assert not [name for name in names if "test" in name]
        about = metadata["cells"][cell.name]
        assert about["methods"] == ["dis"] + ["ils"] * 8 + ["beta"] * 2
        assert len(about["points"]) == 11 and about["points"][1]["p1"] == 0.975
        assert students[f"{cell.name}/validation_logits"].shape == (11, 18, 3)
        best = students[f"{cell.name}/best"].tolist()  # of each method
        assert [about["methods"][index] for index in best] == ["dis", "ils", "beta"]
        assert students[f"{cell.name}/weights/layers.0.weight"].shape[0] == 3  # theirs
        assert tests[f"{cell.name}/logits"].shape == (11, 18, 3)
    logits = [students[f"{cell.name}/validation_logits"] for cell in CELLS]
    assert not np.array_equal(*logits)  # cells of other seeds


def test_the_soft_targets_are_those_of_the_best_teacher_of_each_cell(study):
    soft, fits = load_arrays(study.path("soft"))[0], load_json(study.path("first.json"))
    splits = load_arrays(study.path("splits"))[0]
    assert fits.keys() == {cell.name for cell in CELLS}
    for cell in CELLS:
        assert soft[f"{cell.name}/logits"].shape == (54, 1, 3)
        rows = splits[f"{cell.split}/train"]
        assert np.array_equal(soft[f"{cell.name}/ids"], rows + 1000)
        assert fits[cell.name].keys() == {"no_ls", "ls"}
        assert fits[cell.name]["no_ls"]["point"] == {}
        for fit in fits[cell.name].values():
            assert BOUNDS[0] <= fit["temperature"] <= BOUNDS[1]
    assert not np.array_equal(*(soft[f"{cell.name}/logits"] for cell in CELLS))


def test_cells_share_a_file_or_have_their_own_in_turn():
    data, fits = ["a", "b"], ["t", "u"]
    shared = Inputs.of_cells(data, "c", ["soft"], fits)
    assert shared == [Inputs(a, "c", ["soft"], fits) for a in data]
    own = Inputs.of_cells(data, "c", ["a1", "a2", "b1", "b2"], fits)
    assert own == [Inputs("a", "c", ["a1", "a2"], fits), Inputs("b", "c", ["b1", "b2"], fits)]
    assert Inputs.of_cells(["a"], "c", ["1", "2"], []) == [Inputs("a", "c", ["1", "2"])]
    assert Inputs.of_cells(data, "c", [], [])[1] == Inputs("b", "c")


def test_a_shard_trains_those_with_a_transform_last(tmp_path):
    names = {"mixup": "no_ls", "ls": "ls", "noisy": "ls"}
    grids = {"mixup": {"alpha": [0.1, 0.4]}, "ls": {"epsilon": [0.1]}, "noisy": {"epsilon": [0.1]}}
    training = made_up.training(grids, RECIPE)
    methods = [
        replace(m, targets=names[m.name], transform=None if m.name == "ls" else "mixup")
        for m in training.methods
    ]
    share = [(name, point) for name, grid in grids.items() for point in grid_points(grid)]
    groups = Inputs("data", "splits").groups(CELLS[0], methods, share)
    assert [(each.method, len(each.points)) for each in groups] == [
        ("ls", 1),
        ("mixup", 2),
        ("noisy", 1),
    ]
    assert [each.transform for each in groups] == [None, mixup, mixup]


def test_students_take_what_they_inherit_from_the_best_of_another_method(study):
    known = load_json(study.path("first.json"))
    changed = {cell.name: dict(known[cell.name]) for cell in CELLS}
    for cell in CELLS:
        changed[cell.name]["ls"] = {"point": {"epsilon": 0.1 + cell.seed / 10}, "temperature": 3.0}
    save_json(study.path("changed.json"), changed)
    study.train("changed", SECOND, [study.path("soft")], [study.path("changed.json")])
    (arrays, new), (others, old) = (load_arrays(study.path(n)) for n in ("changed", "second"))
    for cell, epsilon in zip(CELLS, (0.1, 0.2), strict=True):
        points = [{"alpha": alpha, "epsilon": epsilon} for alpha in (0.4, 0.3)]
        assert new["cells"][cell.name]["points"][9:] == points
        assert old["cells"][cell.name]["points"][:9] == new["cells"][cell.name]["points"][:9]
        inherited = known[cell.name]["ls"]["point"]["epsilon"]
        assert [p["epsilon"] for p in old["cells"][cell.name]["points"][9:]] == [inherited] * 2
        logits = f"{cell.name}/validation_logits"  # only who inherits has learnt something else
        assert np.array_equal(arrays[logits][:9], others[logits][:9])
        assert (arrays[logits][9:] != others[logits][9:]).any((1, 2)).all()


def test_the_temperature_of_the_targets_is_the_one_fitted_to_the_teaching_method(study):
    """Not that of another method which the students know of."""
    known = load_json(study.path("first.json"))
    for method, differ in (("ls", False), ("no_ls", True)):
        changed = {cell.name: dict(known[cell.name]) for cell in CELLS}
        for cell in CELLS:
            changed[cell.name][method] = changed[cell.name][method] | {"temperature": 4.9}
        save_json(study.path("warm.json"), changed)
        study.train("warm", SECOND, [study.path("soft")], [study.path("warm.json")])
        arrays, others = (load_arrays(study.path(name))[0] for name in ("warm", "second"))
        for cell in CELLS:
            logits = f"{cell.name}/validation_logits"
            changes = (arrays[logits] != others[logits]).any((1, 2))
            assert changes.tolist() == [False] + [differ] * 8 + [False] * 2  # dis, ils, beta


def test_soft_targets_temperatures_and_best_points_of_other_cells_are_refused(study):
    other = "toy/Other/seed0"
    save_arrays(study.path("other"), {f"{other}/logits": np.zeros(3), f"{other}/ids": np.zeros(3)})
    known = load_json(study.path("first.json"))
    pointless = {"point": {}, "temperature": 1.0}
    fits = {
        "cell": {other: known[CELLS[0].name]},
        "teacher": {cell.name: {"ls": known[cell.name]["ls"]} for cell in CELLS},
        "heir": {cell.name: {"no_ls": known[cell.name]["no_ls"]} for cell in CELLS},
        "point": {cell.name: known[cell.name] | {"ls": pointless} for cell in CELLS},
        "cold": {cell.name: known[cell.name] | {"no_ls": {"point": {}}} for cell in CELLS},
    }
    for name, content in fits.items():
        save_json(study.path(f"{name}.json"), content)
    soft = study.path("soft")
    for taught, fitted, words in (
        (study.path("other"), "first", "other: lacks the array.s. ids, logits"),
        (soft, "cell", "cell.json: lacks .*"),
        (soft, "teacher", "teacher.json: lacks .*no_ls"),
        (soft, "heir", "heir.json: lacks .*ls"),
        (soft, "point", "point.json: lacks .*epsilon"),
        (soft, "cold", "cold.json: lacks .*temperature"),
    ):
        with pytest.raises(UserError, match=words):
            study.train("refused", SECOND, [taught], [study.path(f"{fitted}.json")])
        assert not Path(study.path("refused")).exists()


def test_test_logits_of_other_students_are_refused(study):
    column = Column("ILS", "ils")
    evaluation = Evaluation(CELLS, (column,), {"second": 1}, {"ils": "second"}, NAMES)
    students, tests = {"second": [study.path("second")]}, {"second": [study.path("tests_first")]}
    with pytest.raises(UserError, match="tests_first: the test logits are of other students"):
        evaluate(evaluation, students, tests, study.path("wrong"))


def permuted(path, other):
    """Write a file of test logits again, with the labels in another order."""
    arrays, metadata = load_arrays(path)
    changed = {name: np.roll(a, 1) for name, a in arrays.items() if name.endswith("labels")}
    save_arrays(other, {**arrays, **changed}, **metadata)
    return other


def test_all_students_are_tested_and_no_selection_reads_it(study):
    columns = [
        replace(column, column=f"{method} {column.column}")
        for method in ("ls", "ils")
        for column in columns_of(method)
    ]
    evaluation = evaluation_of(columns)
    students = {name: [study.path(name)] for name in ROUNDS}
    tests = {name: [study.path(f"tests_{name}")] for name in ROUNDS}
    evaluate(evaluation, students, tests, study.path("tested"))
    for (path,) in tests.values():
        permuted(path, f"{path}_permuted")
    tests = {name: [study.path(f"tests_{name}_permuted")] for name in ROUNDS}
    evaluate(evaluation, students, tests, study.path("tested_otherwise"))
    (arrays, metadata), (others, same) = (
        load_arrays(study.path(name)) for name in ("tested", "tested_otherwise")
    )
    assert metadata == same
    for cell in CELLS:
        labels = arrays[f"{cell.name}/labels"]
        assert np.array_equal(np.roll(labels, 1), others[f"{cell.name}/labels"])
        known = ("temperature", "validation_ce", "best_epoch", "dropped_epoch")
        for method in ROUND_OF:
            grid = f"{cell.name}/grid/{method}"
            assert all(np.array_equal(arrays[f"{grid}/{n}"], others[f"{grid}/{n}"]) for n in known)
            assert {name.rpartition("/")[2] for name in arrays if name.startswith(f"{grid}/")} == {
                *known,
                *NAMES,
            }
            assert (arrays[f"{grid}/cross_entropy"] != others[f"{grid}/cross_entropy"]).all()
        for chosen in metadata["cells"][cell.name]["selected"]:
            method, way = chosen["method"].split()
            grid, at = f"{cell.name}/grid/{method}", (int(way != "none"), chosen["index"])
            assert arrays[f"{grid}/validation_ce"][at] == chosen["validation_ce"]
            assert arrays[f"{grid}/temperature"][at] == chosen["temperature"]
            own = measure(NAMES, arrays[f"{cell.name}/logits/{chosen['method']}"], labels)
            for name in NAMES:
                assert arrays[f"{grid}/{name}"][at] == own[name]


def test_a_cell_that_changes_its_batch_is_taken_over_and_not_trained_again(tmp_path, monkeypatch):
    data = made_up_data((5,))
    study = Study(tmp_path / "study", data, made_up_split(data))
    teacher = made_up.training({"no_ls": {}}, RECIPE, cells=CELLS)
    both, one, apart = (Path("{}/" + batch + "/no_ls/shard0") for batch in ("both", "one", "apart"))

    def train(folder, place, training, cells):
        inputs = Inputs.of_cells([study.path("data")] * cells, study.path("splits"), [], [])
        names = (str(tmp_path / str(place).format(f"{folder}{kind}")) for kind in ("s", "t"))
        outputs = Outputs(*names, [], 1e9, cells)
        train_students(training, 0, made_up.at_once(training), inputs, outputs)
        return Path(outputs.students).read_bytes(), Path(outputs.test_logits).read_bytes()

    train("first/", both, teacher, 2)
    alone = teacher._replace(cells=teacher.cells[1:], recipes=teacher.recipes[1:])
    afresh = train("other/", apart, alone, 1)
    with monkeypatch.context() as patch:
        patch.setattr("ils.training.shard.train_chunks", None)  # no training is possible
        assert train("first/", one, alone, 1) == afresh
        longer = alone._replace(recipes=(replace(RECIPE, epochs=4),))
        renamed = alone._replace(methods=(replace(alone.methods[0], name="hard"),))
        for other in (longer, renamed):
            with pytest.raises(TypeError):
                train("first/", one, other, 1)


def test_the_shards_of_a_round_hold_its_students_wherever_they_cut_a_method(study):
    """The first of four shards ends within a method, the second holds nothing else."""
    paths = {kind: [study.path(f"{kind}{n}") for n in range(4)] for kind in ("part", "tests_part")}
    inputs = Inputs.of_cells(
        [study.path("data")] * 2,
        study.path("splits"),
        [study.path("soft")],
        [study.path("first.json")],
    )
    cut, held = SECOND._replace(shards=4), []
    for shard, (students, tests) in enumerate(zip(*paths.values(), strict=True)):
        outputs = Outputs(students, tests, [], 1e9, 2)
        train_students(cut, shard, made_up.at_once(cut), inputs, outputs)
        held.append(load_arrays(students)[1]["cells"][CELLS[0].name]["methods"])
    assert held == [["dis", "ils", "ils"], ["ils"] * 3, ["ils"] * 3, ["beta"] * 2]
    for cell in CELLS:
        for method in ("dis", "ils", "beta"):
            grid = Grid(paths["part"], cell.name, method)
            whole = Grid([study.path("second")], cell.name, method)
            assert grid.points == whole.points
            assert np.array_equal(grid.validation_logits, whole.validation_logits)
            assert np.array_equal(grid.train_loss, whole.train_loss)
            best = best_student(paths["part"], cell, method)
            same = best_student([study.path("second")], cell, method)
            assert best.point == same.point
            for name, array in same.weights.items():
                assert np.array_equal(best.weights[name], array)
    methods = ("dis", "ils", "beta")
    columns = tuple(Column(method, method, "none") for method in methods)
    rounds = dict.fromkeys(methods, "second")
    for name, files in (("cut", paths), ("whole", {})):
        students = {"second": files.get("part", [study.path("second")])}
        tests = {"second": files.get("tests_part", [study.path("tests_second")])}
        evaluation = Evaluation(CELLS, columns, {"second": len(tests["second"])}, rounds, NAMES)
        evaluate(evaluation, students, tests, study.path(f"of_{name}"))
    assert study.bytes("of_cut") == study.bytes("of_whole")


def restarted(study, name, restarts):
    """The arrays of the first cell in a file of LS students with so many restarts, and its grid."""
    grid = with_restarts({"epsilon": [0.05, 0.2]}, restarts)
    study.train(name, made_up.training({"ls": grid}, RECIPE, cells=CELLS))
    students = Grid([study.path(name)], CELLS[0].name, "ls")
    return students, load_arrays(study.path(f"tests_{name}"))[0][f"{CELLS[0].name}/logits"]


def test_restarts_have_weights_of_their_own_and_that_of_0_is_the_student_without(study):
    """Two train in one network: the second one holds the students of restart 1 alone, and with
    three restarts the third of restart 2."""
    (plain, tests), (more, more_tests) = (restarted(study, f"by{r}", r) for r in (1, 3))
    assert plain.points == [{"epsilon": 0.05}, {"epsilon": 0.2}]
    assert more.points[2] == {"restart": 1, "epsilon": 0.05} and len(more.points) == 6
    for name in ("validation_logits", "train_loss", "validation_ce", "best_epoch"):
        assert np.array_equal(getattr(more, name)[:2], getattr(plain, name))
    assert np.array_equal(more_tests[:2], tests)
    of_restarts = more_tests.reshape(3, 2, -1)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (of_restarts[a] != of_restarts[b]).any(-1).all()


def test_students_of_several_restarts_in_one_network_start_apart():
    groups = [
        group("no_ls"),
        group("ls", {"restart": [0, 1, 2, 1], "epsilon": [0.1, 0.1, 0.1, 0.2]}),
    ]

    def make(students, restart=0):
        initial = stream(5, INITIALISATION, restart)
        return build("resnet", {"depth": 8, "width": 2}, (1, 8, 8), 3, students, initial)

    network = make(5)
    layouts = [tensor.stride() for tensor in network.state_dict().values()]
    start_anew(network, groups, make)
    assert [tensor.stride() for tensor in network.state_dict().values()] == layouts
    for row, restart in enumerate([0, 0, 1, 2, 1]):
        own = make(1, restart).state_dict()
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor[row], own[name][0])
    for a, b in itertools.combinations((0, 2, 3), 2):
        assert not torch.equal(network.fc.weight[a], network.fc.weight[b])
    plain = np.random.SeedSequence([5, INITIALISATION]).generate_state(1)[0]
    assert stream(5, INITIALISATION) == stream(5, INITIALISATION, 0) == plain
