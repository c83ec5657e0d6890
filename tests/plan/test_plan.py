"""What the config makes of the workflow: cells, batches, jobs, and what each is told and needs."""

import copy
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ils.errors import UserError
from ils.plan.entries import DISTILLED, columns, distilled_method, teaching_methods
from ils.plan.grids import count_shards
from ils.plan.plan import Plan
from ils.plan.records import Architecture, Cell, Training

ROOT = Path(__file__).parents[2]
CONFIGS = {
    path.stem: yaml.safe_load(path.read_text())
    for path in map(ROOT.joinpath, ("config/config.yaml", "config/paper.yaml", "tests/small.yaml"))
}
DEFAULT = CONFIGS["config"] | {"hours_per_job": 24}
FIVE = DEFAULT | {"cells_per_job": 5}
FIRST_FIVE = "digits_LeNet_and_4_more_seed0"
ALL = "compared", "teaching", DISTILLED
every_config = pytest.mark.parametrize("name", CONFIGS)


def edited(config, change):
    """A copy of the config after `change`."""
    config = copy.deepcopy(config)
    change(config)
    return config


def records(plan):
    """What every job that trains or evaluates is told and asks for, by the file that it writes."""
    told = {}
    for batch in plan.batches:
        told[batch] = plan.evaluation(batch), plan.cell_plans(batch), plan.needs(batch)
        for method in plan.methods_of(batch):
            shards = plan.shards(batch, method)
            inputs = plan.teachers(batch, method), plan.temperatures(batch, method)
            inputs = *inputs, plan.inherited(batch, method), plan.needs(batch, method)
            told[batch, method] = plan.training(batch, method), shards, *inputs
    return told


def trainings(plan):
    """{(batch, method): Training}."""
    return {
        (batch, method): plan.training(batch, method)
        for batch in plan.batches
        for method in plan.methods_of(batch)
    }


PROGRAM = """
import sys, yaml
from ils.plan.plan import Plan
from ils.plan import artefacts, plugins
plan = Plan.checked(yaml.safe_load(open("../config/paper.yaml")))
for batch in plan.batches:
    plan.evaluation(batch), [plan.training(batch, method) for method in plan.methods_of(batch)]
plan.summary(), plan.measuring, plan.wildcards, artefacts.Artefacts(plan, "paper.yaml").outputs
print({"torch", "numpy", "pandas", "scipy", "matplotlib", "snakemake"} & set(sys.modules))
"""


def test_a_plan_needs_neither_torch_nor_numpy_nor_snakemake():
    """Under --use-conda the launcher may have Snakemake and nothing else."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@every_config
def test_every_input_is_somebodys_output(name):
    plan = Plan(CONFIGS[name])
    trained = {(batch, method) for batch in plan.batches for method in plan.methods_of(batch)}
    for batch, method in trained:
        cells, training = plan.batches[batch].cells, plan.training(batch, method)
        shards = plan.shards(batch, method)
        assert [shard["shard"] for shard in shards] == list(range(training.shards))
        assert len(training.cells) == len(training.recipes) == len(plan.cells(batch)) == len(cells)
        teachers, inherited = plan.teachers(batch, method), plan.inherited(batch, method)
        temperatures = plan.temperatures(batch, method)
        for source in (*teachers, *temperatures, *inherited.values()):
            assert (source["batch"], source["method"]) in trained
        for sources in filter(None, (teachers, temperatures)):
            taught_by = {c for source in sources for c in plan.batches[source["batch"]].cells}
            assert {cell.teachers for cell in cells} <= taught_by
    assert all(cell in plan.batches[plan.batch_of(cell)].cells for cell in plan.taught)
    for cells, kind in ((plan.compared, "compared"), (plan.taught, DISTILLED)):
        tested = plan.predicted(cells)
        assert all(
            c in plan.batches[of["batch"]].cells for c, of in zip(cells, tested, strict=True)
        )
        assert {of["batch"] for of in tested} == {of["batch"] for of in plan.batches_of(kind)}
    for batch in plan.batches_of("compared", DISTILLED):
        evaluation, methods = plan.evaluation(**batch), plan.methods_of(**batch)
        assert {column.method for column in evaluation.columns} <= set(methods)
        counts = Counter(shard["method"] for shard in plan.all_shards(**batch))
        assert list(evaluation.shards.items()) == list(counts.items())  # the files' order, too


@every_config
def test_every_cell_is_in_one_batch_and_batches_differ_in_name(name):
    plan = Plan(CONFIGS[name])
    cells = [cell for batch in plan.batches.values() for cell in batch.cells]
    teaching = {cell.teachers for cell in plan.taught}
    assert len(set(cells)) == len(cells)
    assert set(cells) == {*plan.compared, *plan.taught, *teaching}
    assert all(name == batch.name for name, batch in plan.batches.items())
    assert len({cell.name for cell in plan.compared}) == len(plan.compared)
    assert len(plan.wildcards["batch"].split("|")) == len(plan.batches)


def test_two_batches_of_one_name_are_an_error():
    def rename(config):
        network = copy.deepcopy(config["networks"][0]) | {"name": "MLP_and_1_more"}
        config["networks"].append(network)
        config["experiments"].append(
            {"dataset": "iris", "network": network["name"], "recipe": "tables", "hours": 1}
        )

    with pytest.raises(UserError, match="would be called iris_MLP_and_1_more_seed0; rename"):
        Plan(edited(CONFIGS["small"], rename))


@every_config
def test_what_jobs_are_told_holds_no_path(name):
    plan = Plan(CONFIGS[name])
    told = repr([records(plan), plan.compared, plan.taught, plan.cells_of_pairs])
    assert not [word for word in ("/", "results", ".safetensors", "Path(", "0x") if word in told]


@every_config
def test_the_order_of_keys_changes_nothing(name):
    """Snakemake compares parameters by their text."""

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(item) for item in value] if isinstance(value, list) else value

    config = CONFIGS[name]
    assert list(turned(config)) != list(config)
    assert repr(records(Plan(turned(config)))) == repr(records(Plan(config)))


@every_config
def test_one_more_grid_value_changes_what_that_method_is_told(name):
    config = CONFIGS[name]
    before = trainings(Plan(config))
    searched = [(i, key) for i, entry in enumerate(config["methods"]) for key in entry["grid"]]
    for i, hyperparameter in searched:
        longer = copy.deepcopy(config)
        longer["methods"][i]["grid"][hyperparameter].append(0.0123)
        after = trainings(Plan(longer))
        assert after.keys() == before.keys()
        changed = {
            method for batch, method in before if after[batch, method] != before[batch, method]
        }
        assert changed == {config["methods"][i]["name"]}


def add_pair(config):
    entry = config["experiments"][-1] | {"dataset": "iris", "network": "Additional"}
    config["networks"].append(config["networks"][0] | {"name": "Additional"})
    config["experiments"].append(entry)


def add_seed(config):
    config["seeds"].append(7)


def add_method(config):
    ls = next(entry for entry in config["methods"] if entry["name"] == "ls")
    config["methods"].append(ls | {"name": "mine", "label": "Mine", "temperature_scaling": "none"})


@pytest.mark.parametrize("addition", [add_pair, add_seed])
@every_config
def test_a_pair_appended_or_a_seed_added_renames_no_batch_and_changes_no_other_job(name, addition):
    before, after = (records(Plan(c)) for c in (CONFIGS[name], edited(CONFIGS[name], addition)))
    assert len(after) > len(before) and before.items() <= after.items()


@every_config
def test_a_method_added_trains_no_other_again(name):
    before, after = (trainings(Plan(c)) for c in (CONFIGS[name], edited(CONFIGS[name], add_method)))
    assert {method for _, method in after.keys() - before.keys()} == {"mine"}
    assert before.items() <= after.items()


@every_config
def test_what_training_does_not_read_is_in_no_training(name):
    def change(config):
        config |= {"alpha": 0.01, "bootstrap": 7, "checkpoint_minutes": 99}
        config |= {"temperature_bounds": [0.1, 9], "teacher_temperature_bounds": [0.1, 9]}
        config["synthetic"] = None
        for entry in config["methods"]:
            entry |= {"label": f"My {entry['label']}", "temperature_scaling": "none"}
        for entry in config["recipes"]:
            entry["name"] += "_renamed"
        for entry in config["experiments"] + config["distillation"]["pairs"]:
            entry |= {key: f"{v}_renamed" for key, v in entry.items() if "recipe" in key}

    before, after = (Plan(c) for c in (CONFIGS[name], edited(CONFIGS[name], change)))
    assert trainings(before) == trainings(after)
    batch = before.batch_of(before.compared[0])
    assert before.evaluation(batch) != after.evaluation(batch)


def test_columns_and_batches_follow_the_config():
    assert [column["column"] for column in columns(DEFAULT)] == [
        *("No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta"),
        *("LS", "LS+TempS", "ILS1", "ILS2", "ILS", "ILS+TempS"),
    ]
    plan = Plan(FIVE)
    assert len(plan.compared) == len(DEFAULT["experiments"]) * len(DEFAULT["seeds"])
    batches = [batch.cells for batch in plan.batches.values() if batch.kind != DISTILLED]
    teach = Cell("digits", "ResNet8", 2), Cell("breast_cancer", "MLP", 2)
    assert sorted((c for cells in batches for c in cells), key=str) == sorted(
        [*plan.compared, *teach], key=str
    )
    assert sorted(map(len, batches)) == [2, 4, 4, 5, 5] and teach in batches
    assert all(len({cell.seed for cell in cells}) == 1 for cells in batches)
    alone = Plan(DEFAULT | {"cells_per_job": 1}).batches
    assert alone["wine_MLP_seed1"].cells == (Cell("wine", "MLP", 1),)
    assert sum(batch.kind != DISTILLED for batch in alone.values()) == 20
    assert alone["breast_cancer_MLP_distilled"].cells == tuple(
        Cell("breast_cancer", "SmallMLP", seed, "MLP") for seed in (0, 1, 2)
    )


def test_a_grid_is_split_by_device_hours():
    def per_job(hours_per_job, hours):
        config = copy.deepcopy(DEFAULT) | {"hours_per_job": hours_per_job, "distillation": None}
        if hours is not None:
            config["experiments"][0]["hours"] = hours
        plan = Plan(config)
        return plan.students_per_job(plan.compared[0])

    grid = {"p1": [1, 2, 3], "p2": [1, 2]}
    for hours, students, jobs in (
        (24, 1, 6),
        (13, 1, 6),
        (6, 4, 2),
        (4.8, 5, 2),
        (4, 6, 1),
        (3.4, 7, 1),
        (None, math.inf, 1),
    ):
        assert per_job(24, hours) == students
        assert count_shards(grid, students) == jobs
    assert per_job(0.3, 0.1) == 3  # 0.3 / 0.1 is a little less
    assert count_shards({}, 5) == count_shards({}, math.inf) == 1


def test_cells_of_one_job_share_their_students_per_job():
    config = copy.deepcopy(FIVE) | {"distillation": None}
    for experiment, hours in zip(config["experiments"], (24, 24, 8)):
        experiment["hours"] = hours
    sizes = sorted(len(batch.cells) for batch in Plan(config).batches.values())
    # of each seed: one with 3 students a job, 2 with 1, 6 with all
    assert sizes == [1, 1, 1, 1, 2, 2, 5, 5]


def test_who_only_teaches_trains_the_methods_that_teach_and_their_teachers():
    config = copy.deepcopy(FIVE)
    config["distillation"]["teachers"] = ["beta", "ils1"]
    assert teaching_methods(config) == {"no_ls", "beta", "ls", "ils1"}
    jobs = Plan(config).trainings("teaching")
    assert [(job["method"], job["students"]) for job in jobs] == [
        ("no_ls", 1),
        ("beta", 1),
        ("ls", 4),
        ("ils1", 4),
    ]
    assert {job["batch"] for job in jobs} == {"digits_ResNet8_and_1_more_seed2"}
    config["distillation"]["grids"] = {"ils1": {"p1": [0.9], "p2": [1.0]}}
    plan = Plan(config)
    sizes = {
        kind: [job["students"] for job in plan.trainings(kind) if job["method"] == "ils1"]
        for kind in ("teaching", "compared")
    }
    assert sizes == {"teaching": [1], "compared": [4] * 4}
    assert plan.training(jobs[0]["batch"], "ils1").grid == {"p1": [0.9], "p2": [1.0]}
    assert teaching_methods(config | {"distillation": None}) == set()
    assert distilled_method(config)["grid"]["teacher"] == [0, 1]
    jobs = plan.trainings(DISTILLED)
    assert [(len(plan.batches[j["batch"]].cells), j["students"]) for j in jobs] == [(3, 2)] * 2


def test_distilled_students_learn_from_each_teacher_of_their_own_cell():
    plan = Plan(DEFAULT)
    batch = "digits_ResNet8_distilled"
    assert plan.methods_of(batch) == [DISTILLED]
    teaching = [plan.batch_of(Cell("digits", "ResNet8", seed)) for seed in (0, 1, 2)]
    assert plan.teachers(batch, DISTILLED) == [
        {"batch": source, "method": method}
        for source in teaching
        for method in ("no_ls", "ls", "ils")
    ]
    columns = plan.evaluation(batch).columns
    assert [(c.column, c.method, c.scaling, c.among) for c in columns] == [
        (name, DISTILLED, "none", {"teacher": n}) for n, name in enumerate(("no_ls", "ls", "ils"))
    ]
    recipe = plan.training(batch, DISTILLED).recipes[0]
    assert recipe.optimizer == "adam" and recipe.learning_rate == 0.003  # its student's, not theirs


def test_only_who_looks_at_a_teacher_waits_for_one():
    plan = Plan(DEFAULT)
    batch = plan.batch_of(plan.compared[0])
    waiting = {m: [t["method"] for t in plan.teachers(batch, m)] for m in plan.methods}
    scaled = {m for m in plan.methods if plan.temperatures(batch, m)}
    assert {m for m, teachers in waiting.items() if teachers} == {"dis", "ils1", "ils2", "ils"}
    assert set(map(tuple, waiting.values())) == {(), ("no_ls",)}
    assert scaled == {"ils1", "ils"}
    inherited = {m: plan.inherited(batch, m) for m in plan.methods}
    assert inherited.pop("beta") == {"epsilon": {"batch": batch, "method": "ls"}}
    assert not any(inherited.values())


def test_a_job_asks_for_what_its_cells_need():
    hours = {"gpu": 0, "mem_mb": 6000, "runtime": 10 + 90 * 24}  # no hours: hours_per_job
    assert Plan(FIVE).needs(FIRST_FIVE, "ils") == hours
    config = copy.deepcopy(FIVE)
    config["networks"][0]["gpu"] = 1  # the perceptron's
    sizes = {"samples": 1_000_000, "test": 0, "shape": [1, 8, 8], "classes": 10}
    config["datasets"][0]["expect"] = sizes  # pad 1: nine views
    for experiment in config["experiments"]:
        experiment["hours"] = 0.5
    config["distillation"] = None
    plan = Plan(config)
    megabytes = 2 * (64 + 4 * 9 * 10)  # the images and one teacher's logits, twice
    assert plan.students(FIRST_FIVE, "ils") == 8
    minutes = 10 + 90 * 0.5 * 5 * 8
    needs = {"gpu": 0, "mem_mb": 6000 + megabytes, "runtime": minutes}
    assert plan.needs(FIRST_FIVE, "ils") == needs
    perceptrons = "digits_MLP_and_3_more_seed0"
    needs = {"gpu": 1, "mem_mb": 8000 + megabytes, "runtime": 10 + 90 * 0.5 * 4}
    assert plan.needs(perceptrons) == needs
    asked = [
        Plan(config | {"device": device}).needs(batch)["gpu"]
        for device in ("auto", "cpu", "cuda")
        for batch in (FIRST_FIVE, perceptrons)
    ]
    assert asked == [0, 1, 0, 0, 1, 1]


def test_distilled_students_need_their_own_device_and_room_for_all_teachers():
    config = copy.deepcopy(DEFAULT)
    config["networks"][2]["gpu"] = 1  # the teachers', ResNet8
    sizes = {"samples": 1_000_000, "test": 0, "shape": [1, 8, 8], "classes": 10}
    config["datasets"][0]["expect"] = sizes
    needs = Plan(config).needs("digits_ResNet8_distilled", DISTILLED)
    assert (needs["gpu"], needs["mem_mb"]) == (0, 6000 + 2 * (64 + 4 * 3 * 9 * 10))


def test_auto_takes_a_gpu_for_networks_that_ask_for_one():
    config = copy.deepcopy(DEFAULT)
    config["networks"][1]["gpu"], config["networks"][2]["gpu"] = 0, 1
    devices = [
        Plan(config | {"device": device}).device_of(network)
        for device in ("auto", "cpu", "cuda")
        for network in ("LeNet", "ResNet8")
    ]
    assert devices == ["cpu", "auto", "cpu", "cpu", "cuda", "cuda"]
    assert Plan(config | {"device": "auto"}).device_of("MLP") == "cpu"


def test_how_a_network_is_trained_is_part_of_what_its_results_depend_on():
    def architecture(**more):
        config = copy.deepcopy(DEFAULT)
        config["networks"][0] |= {"options": {"hidden": [3]}, "gpu": 1, **more}
        plan = Plan(config)
        return plan.cell_plan(Cell("iris", "MLP", 0)).architecture

    plain, at_once = architecture(), {"cpu": 25, "cuda": 125}
    precision = {"cpu": "float32", "cuda": "tf32"}
    assert plain == Architecture("mlp", {"hidden": [3]}, at_once, precision, 0, plain.code)
    told = {"precision": {"cpu": "bfloat16", "cuda": "float32"}, "cuda_graphs": 1}
    precise = Architecture("mlp", {"hidden": [3]}, at_once, code=plain.code, **told)
    assert architecture(**told) == precise and len(plain.code) == 16


def test_the_jobs_of_a_study_add_up_to_its_grids():
    config = copy.deepcopy(FIVE)
    for experiment in config["experiments"]:
        experiment["hours"] = 8
    summary = "9 pairs x 2 seeds, 12 columns: 504 trainings in 36 jobs"
    distillation = "26 trainings in 3 jobs of further teachers, 18 trainings in 2 jobs of students"
    assert Plan(FIVE).summary() == f"{summary}; distillation: {distillation}"
    whole = f"{summary.replace('36', '18')}; distillation: {distillation}"
    assert Plan(DEFAULT).summary() == whole
    config["distillation"] = None
    plan = Plan(config)
    assert plan.summary() == summary.replace("36", "60")
    sizes = [job["students"] for job in plan.trainings(*ALL) if job["method"] == "ils"]
    assert sizes == [3, 3, 2] * 4  # as `grids.shard_points` splits a grid of 8


def test_the_largest_grids_train_first_after_those_that_others_wait_for():
    plan = Plan(DEFAULT)
    batch = plan.batch_of(plan.compared[0])
    urgency = {method: plan.urgency(batch, method) for method in plan.methods}
    assert urgency["no_ls"] == plan.first > urgency["ils"] > urgency["ls"] > urgency["dis"] > 0
    assert urgency["ils"] == 8 and plan.urgency("digits_ResNet8_distilled", DISTILLED) == plan.first


def test_a_training_is_told_all_that_decides_it():
    training = Plan(DEFAULT).training("digits_LeNet_and_8_more_seed1", "cls")
    assert isinstance(training, Training) and training.shards == 1
    assert training.grid == {"epsilon": [0.01, 0.1], "beta": [0.1, 1.0]}
    assert training.targets.function == "cls" and len(training.targets.code) == 16
    first = training.cells[0]
    assert first.cell == Cell("digits", "LeNet", 1) and first.device == "cpu"
    assert first.augmentation == {"pad": 1, "flip": False}
    assert training.recipes[0].batch_size == 32
