"""What the config makes of the workflow: cells, batches, jobs, and what each is told and needs."""

import copy
import itertools
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from ils.columns import parts
from ils.errors import UserError
from ils.plan.artefacts import Artefacts
from ils.plan.entries import DISTILLED, columns, distilled_method, teaching_methods
from ils.plan.fingerprints import fingerprint
from ils.plan.grids import grid_points, shares
from ils.plan.plan import Plan
from ils.plan.plugins import plugins
from ils.plan.records import Architecture, Cell, Training

ROOT = Path(__file__).parents[2]
CONFIGS = {
    path.stem: yaml.safe_load(path.read_text())
    for folder, names in (("config", ("config", "paper")), ("tests", ("small", "nine_pairs")))
    for path in (ROOT / folder / f"{name}.yaml" for name in names)
}
OTHERWISE = {"round": "method", "method": "round"}
CONFIGS |= {  # each also the other way
    f"{name}_by_{way}": config | {"trained_together": way}
    for name, config in CONFIGS.items()
    for way in [OTHERWISE[config["trained_together"]]]
}
NINE = CONFIGS["nine_pairs"] | {"hours_per_job": 24}
FIVE = NINE | {"cells_per_job": 5}
BY_METHOD = {"trained_together": "method"}
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
        for name in plan.rounds(batch):
            shards = plan.shards(batch, name)
            inputs = plan.teachers(batch, name), plan.fits(batch, name)
            inputs = *inputs, plan.fitted(batch, name), plan.needs(batch, name)
            told[batch, name] = plan.training(batch, name), shards, *inputs
    return told


def trainings(plan):
    """{(batch, round): Training}."""
    return {
        (batch, name): plan.training(batch, name)
        for batch in plan.batches
        for name in plan.rounds(batch)
    }


def differing(before, after):
    """The names of the rounds that differ between two `trainings`, and of the methods that do."""
    rounds = {key for key in before if before[key] != after[key]}
    methods = set()
    for key in rounds:
        old, new = ({m.name: m for m in told[key].methods} for told in (before, after))
        methods |= {name for name in old | new if old.get(name) != new.get(name)}
    return {name for _, name in rounds}, methods


PROGRAM = """
import sys, yaml
from ils.plan.plan import Plan
from ils.plan import artefacts, plugins
plan = Plan.checked(yaml.safe_load(open("../config/paper.yaml")))
for batch in plan.batches:
    plan.evaluation(batch), [plan.training(batch, name) for name in plan.rounds(batch)]
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
    trained = {(batch, name) for batch in plan.batches for name in plan.rounds(batch)}
    for batch, name in trained:
        cells, training = plan.batches[batch].cells, plan.training(batch, name)
        shards = plan.shards(batch, name)
        assert [shard["shard"] for shard in shards] == list(range(training.shards))
        assert len(training.cells) == len(training.recipes) == len(plan.cells(batch)) == len(cells)
        teachers, fits = plan.teachers(batch, name), plan.fits(batch, name)
        for source in teachers:
            assert source["method"] in plan.methods_of(source["batch"])
            assert plan.shards_of(**source) == plan.shards(
                source["batch"], plan.round_of(source["method"])
            )
        known = {source for method in training.methods for source in method.inherited.values()}
        inputs = [plugins("method")[method.targets].inputs for method in training.methods]
        known |= {training.teacher} if any("teacher_temperature" in i for i in inputs) else set()
        for source in fits:
            assert (source["batch"], source["round"]) in trained
            known -= set(plan.fitted(**source))
        assert not known
        for sources in filter(None, (teachers, fits)):
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
        assert list(evaluation.rounds) == methods
        assert set(evaluation.rounds.values()) == set(evaluation.shards)
        counts = Counter(shard["round"] for shard in plan.all_shards(**batch))
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
        method = config["methods"][i]["name"]
        assert differing(before, after) == ({Plan(config).round_of(method)}, {method})


def add_pair(config):
    entry = config["experiments"][-1] | {"dataset": "iris", "network": "Additional"}
    config["networks"].append(config["networks"][0] | {"name": "Additional"})
    config["experiments"].append(entry)


def add_seed(config):
    config["seeds"].append(7)


def add_method(config):
    ls = next(entry for entry in config["methods"] if entry["name"] == "ls")
    config["methods"].append(ls | {"name": "mine", "label": "Mine", "calibrators": {}})


@pytest.mark.parametrize("addition", [add_pair, add_seed])
@every_config
def test_a_pair_appended_or_a_seed_added_renames_no_batch_and_changes_no_other_job(name, addition):
    full = CONFIGS[name] | {"cells_per_job": 1}  # batches that have no room for one more
    before, after = (records(Plan(c)) for c in (full, edited(full, addition)))
    assert len(after) > len(before) and before.items() <= after.items()


@every_config
def test_a_method_added_trains_its_round_again_and_by_itself_no_other(name):
    config = CONFIGS[name]
    before, after = (trainings(Plan(c)) for c in (config, edited(config, add_method)))
    if config["trained_together"] == "method":
        assert {name for _, name in after.keys() - before.keys()} == {"mine"}
        assert before.items() <= after.items()
    else:
        assert before.keys() == after.keys()
        assert differing(before, after) == ({"round1"}, {"mine"})


@every_config
def test_what_training_does_not_read_is_in_no_training(name):
    def change(config):
        config |= {"alpha": 0.01, "label_draws": 7, "checkpoint_minutes": 99}
        config |= {"calibrators": [], "teacher_temperature_bounds": [0.1, 9]}
        config["synthetic"] = None
        for entry in config["methods"]:
            entry |= {"label": f"My {entry['label']}", "calibrators": {}}
        for entry in config["networks"]:
            entry["students_at_once"] = {"cpu": 1, "cuda": 2}
        for entry in config["recipes"]:
            entry["name"] += "_renamed"
        for entry in config["experiments"] + config["distillation"]["pairs"]:
            entry |= {key: f"{v}_renamed" for key, v in entry.items() if "recipe" in key}

    before, after = (Plan(c) for c in (CONFIGS[name], edited(CONFIGS[name], change)))
    assert trainings(before) == trainings(after)
    batch = before.batch_of(before.compared[0])
    assert before.evaluation(batch) != after.evaluation(batch)


def test_columns_and_batches_follow_the_config():
    assert [column["column"] for column in columns(NINE)] == [
        *("No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta"),
        *("LS", "LS+TempS", "ILS1", "ILS2", "ILS", "ILS+TempS"),
    ]
    plan = Plan(FIVE)
    assert len(plan.compared) == len(NINE["experiments"]) * len(NINE["seeds"])
    batches = [batch.cells for batch in plan.batches.values() if batch.kind != DISTILLED]
    teach = Cell("digits", "ResNet8", 2), Cell("breast_cancer", "MLP", 2)
    assert sorted((c for cells in batches for c in cells), key=str) == sorted(
        [*plan.compared, *teach], key=str
    )
    assert sorted(map(len, batches)) == [2, 4, 4, 5, 5] and teach in batches
    assert all(len({cell.seed for cell in cells}) == 1 for cells in batches)
    alone = Plan(NINE | {"cells_per_job": 1}).batches
    assert alone["wine_MLP_seed1"].cells == (Cell("wine", "MLP", 1),)
    assert sum(batch.kind != DISTILLED for batch in alone.values()) == 20
    assert alone["breast_cancer_MLP_distilled"].cells == tuple(
        Cell("breast_cancer", "SmallMLP", seed, "MLP") for seed in (0, 1, 2)
    )


def with_hours(hours, **settings):
    """The plan of the default study whose first pair takes so many hours, and its first batch."""
    config = copy.deepcopy(NINE) | {"distillation": None} | settings
    if hours is not None:
        config["experiments"][0]["hours"] = hours
    ils1 = next(entry for entry in config["methods"] if entry["name"] == "ils1")
    ils1["grid"] = {"p1": [0.9, 0.8, 0.7], "p2": [1, 2]}
    plan = Plan(config)
    return plan, plan.batch_of(plan.compared[0])


def test_a_grid_is_split_by_device_hours():
    for hours, students, jobs in (
        (24, 1, 6),
        (13, 1, 6),
        (6, 4, 2),
        (4.8, 5, 2),
        (4, 6, 1),
        (3.4, 7, 1),
        (None, math.inf, 1),
    ):
        plan, batch = with_hours(hours, **BY_METHOD)
        assert plan.students_per_job(plan.compared[0]) == students
        assert len(plan.shards_of(batch, "ils1")) == plan.training(batch, "ils1").shards == jobs
        assert len(plan.shards_of(batch, "no_ls")) == 1
    plan, _ = with_hours(0.1, hours_per_job=0.3)
    assert plan.students_per_job(plan.compared[0]) == 3  # 0.3 / 0.1 is a little less


def test_the_grids_of_a_round_are_joined_before_they_are_split():
    plan, batch = with_hours(4)  # six students a job
    jobs = [job for job in plan.trainings("compared") if job["batch"] == batch]
    assert [(job["round"], job["shard"], job["students"]) for job in jobs] == [
        ("round1", 0, 5),
        ("round1", 1, 5),
        ("round2", 0, 5),
        ("round2", 1, 5),
        ("round2", 2, 5),
        ("round2", 3, 5),
    ]
    assert [plan.students_of_job(batch, name) for name in ("round1", "round2")] == [5, 5]
    assert plan.needs(batch, "round2")["runtime"] == 10 + 90 * 4 * 5
    of_methods = {name: plan.shards_of(batch, name) for name in plan.methods}
    assert len(of_methods["no_ls"]) == 2 and len(of_methods["dis"]) == 4
    for name, size in (("round1", 2), ("round2", 4)):
        methods = plan.training(batch, name).methods
        points = [(m.name, point) for m in methods for point in grid_points(m.grid)]
        cut = shares(points, plan.training(batch, name).shards)
        assert len(cut) == size and [*itertools.chain(*cut)] == points and set(map(len, cut)) == {5}
    # A job holds the end of one grid and the start of the next one.
    assert [{name for name, _ in share} for share in cut] == [
        {"dis", "beta", "ils1"},
        {"ils1", "ils2"},
        {"ils2", "ils"},
        {"ils"},
    ]


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
    assert [(job["round"], job["students"]) for job in jobs] == [("round1", 5), ("round2", 5)]
    config |= BY_METHOD
    jobs = Plan(config).trainings("teaching")
    assert [(job["round"], job["students"]) for job in jobs] == [
        ("no_ls", 1),
        ("beta", 1),
        ("ls", 4),
        ("ils1", 4),
    ]
    assert {job["batch"] for job in jobs} == {"digits_ResNet8_and_1_more_seed2"}
    config["distillation"]["grids"] = {"ils1": {"p1": [0.9], "p2": [1.0]}}
    plan = Plan(config)
    sizes = {
        kind: [job["students"] for job in plan.trainings(kind) if job["round"] == "ils1"]
        for kind in ("teaching", "compared")
    }
    assert sizes == {"teaching": [1], "compared": [4] * 4}
    (ils1,) = plan.training(jobs[0]["batch"], "ils1").methods
    assert ils1.grid == {"p1": [0.9], "p2": [1.0]}
    assert teaching_methods(config | {"distillation": None}) == set()
    assert distilled_method(config)["grid"]["teacher"] == [0, 1]
    jobs = plan.trainings(DISTILLED)
    assert [(len(plan.batches[j["batch"]].cells), j["students"]) for j in jobs] == [(3, 2)] * 2


def test_distilled_students_learn_from_each_teacher_of_their_own_cell():
    plan = Plan(NINE)
    batch = "digits_ResNet8_distilled"
    assert plan.rounds(batch) == {DISTILLED: [DISTILLED]}
    teaching = [plan.batch_of(Cell("digits", "ResNet8", seed)) for seed in (0, 1, 2)]
    assert plan.teachers(batch, DISTILLED) == [
        {"batch": source, "method": method}
        for source in teaching
        for method in ("no_ls", "ls", "ils")
    ]
    columns = plan.evaluation(batch).columns
    assert [(c.column, c.method, c.calibrator, c.among) for c in columns] == [
        (name, DISTILLED, "none", {"teacher": n}) for n, name in enumerate(("no_ls", "ls", "ils"))
    ]
    recipe = plan.training(batch, DISTILLED).recipes[0]
    assert recipe.optimizer == "adam" and recipe.learning_rate == 0.003  # its student's, not theirs


def test_only_who_looks_at_a_teacher_waits_for_one():
    plan = Plan(NINE | BY_METHOD)
    batch = plan.batch_of(plan.compared[0])
    waiting = {m: [t["method"] for t in plan.teachers(batch, m)] for m in plan.methods}
    assert {m for m, teachers in waiting.items() if teachers} == {"dis", "ils1", "ils2", "ils"}
    assert set(map(tuple, waiting.values())) == {(), ("no_ls",)}
    fits = {m: plan.fits(batch, m) for m in plan.methods}
    assert fits.pop("ils1") == fits.pop("ils") == [{"batch": batch, "round": "no_ls"}]
    assert fits.pop("beta") == [{"batch": batch, "round": "ls"}]
    assert not any(fits.values())
    inherited = {m: plan.training(batch, m).methods[0].inherited for m in plan.methods}
    assert inherited.pop("beta") == {"epsilon": "ls"} and not any(inherited.values())
    assert {m: plan.fitted(batch, m) for m in plan.methods if plan.fitted(batch, m)} == {
        "no_ls": ["no_ls"],
        "ls": ["ls"],
    }


FIRST, SECOND = ["no_ls", "cls", "bs_soft", "ls"], ["dis", "beta", "ils1", "ils2", "ils"]


def test_a_round_is_the_methods_whose_needs_the_earlier_ones_meet():
    plan = Plan(NINE)
    batch = plan.batch_of(plan.compared[0])
    assert plan.rounds(batch) == {"round1": FIRST, "round2": SECOND}
    assert [plan.students(batch, name) for name in ("round1", "round2")] == [10, 18]
    assert [m.name for m in plan.training(batch, "round2").methods] == SECOND
    assert plan.later_rounds == ["round2"]
    assert not plan.teachers(batch, "round1") and not plan.fits(batch, "round1")
    assert plan.teachers(batch, "round2") == [{"batch": batch, "method": "no_ls"}]
    assert plan.fits(batch, "round2") == [{"batch": batch, "round": "round1"}]
    assert plan.fitted(batch, "round1") == ["no_ls", "ls"] and not plan.fitted(batch, "round2")
    assert plan.rounds("digits_ResNet8_and_1_more_seed2") == {  # only those that teach
        "round1": ["no_ls", "ls"],
        "round2": ["ils"],
    }
    assert set(plan.wildcards["round"].split("|")) == {"round1", "round2", DISTILLED}


def test_who_inherits_from_the_second_round_is_in_the_third():
    def inherit(config):
        entry = {"name": "late", "label": "Late", "targets": "ls", "grid": {}}
        inherit = {"inherit": {"epsilon": "ils2"}}
        config["methods"].insert(0, entry | inherit)

    plan = Plan(edited(NINE, inherit))
    batch = plan.batch_of(plan.compared[0])
    assert plan.rounds(batch) == {"round3": ["late"], "round1": FIRST, "round2": SECOND}
    assert plan.fits(batch, "round3") == [{"batch": batch, "round": "round2"}]
    assert plan.fitted(batch, "round2") == ["ils2"] and not plan.teachers(batch, "round3")


def test_by_method_each_is_a_round_of_its_own():
    plan = Plan(NINE | BY_METHOD)
    assert plan.rounds(plan.batch_of(plan.compared[0])) == {name: [name] for name in plan.methods}
    assert plan.later_rounds == [name for name in plan.methods if name != "no_ls"]


def test_a_job_asks_for_what_its_cells_need():
    hours = {"gpu": 0, "mem_mb": 6000, "runtime": 10 + 90 * 24}  # no hours: hours_per_job
    assert Plan(FIVE).needs(FIRST_FIVE, "round2") == hours
    config = copy.deepcopy(FIVE)
    config["networks"][0]["gpu"] = 1  # the perceptron's
    sizes = {"samples": 1_000_000, "test": 0, "shape": [1, 8, 8], "classes": 10}
    config["datasets"][0]["expect"] = sizes  # pad 1: nine views
    for experiment in config["experiments"]:
        experiment["hours"] = 0.5
    config["distillation"] = None
    plan = Plan(config)
    megabytes = 2 * (64 + 4 * 9 * 10)  # the images and one teacher's logits, twice
    for way, name, students in (("method", "ils", 8), ("round", "round2", 18)):
        planned = Plan(config | {"trained_together": way})
        assert planned.students(FIRST_FIVE, name) == students
        minutes = 10 + 90 * 0.5 * 5 * students
        needs = {"gpu": 0, "mem_mb": 6000 + megabytes, "runtime": minutes}
        assert planned.needs(FIRST_FIVE, name) == needs
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
    config = copy.deepcopy(NINE)
    config["networks"][2]["gpu"] = 1  # the teachers', ResNet8
    sizes = {"samples": 1_000_000, "test": 0, "shape": [1, 8, 8], "classes": 10}
    config["datasets"][0]["expect"] = sizes
    needs = Plan(config).needs("digits_ResNet8_distilled", DISTILLED)
    assert (needs["gpu"], needs["mem_mb"]) == (0, 6000 + 2 * (64 + 4 * 3 * 9 * 10))


def test_auto_takes_a_gpu_for_networks_that_ask_for_one():
    config = copy.deepcopy(NINE)
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
        config = copy.deepcopy(NINE)
        config["networks"][0] |= {"options": {"hidden": [3]}, "gpu": 1, **more}
        plan = Plan(config)
        return plan.cell_plan(Cell("iris", "MLP", 0)).architecture

    plain = architecture()
    precision = {"cpu": "float32", "cuda": "tf32"}
    assert plain == Architecture("mlp", {"hidden": [3]}, precision, 0, plain.code)
    told = {"precision": {"cpu": "bfloat16", "cuda": "float32"}, "cuda_graphs": 1}
    precise = Architecture("mlp", {"hidden": [3]}, code=plain.code, **told)
    assert architecture(**told) == precise and len(plain.code) == 16


def test_the_jobs_of_a_study_add_up_to_its_grids():
    config = copy.deepcopy(FIVE)
    for experiment in config["experiments"]:
        experiment["hours"] = 8
    summary = "9 pairs x 2 seeds, 12 columns: 504 trainings in {} jobs"
    distillation = "26 trainings in {} jobs of further teachers, 18 trainings in 2 jobs of students"
    sizes = f"{summary}; distillation: {distillation}"
    assert Plan(FIVE).summary() == sizes.format(8, 2)
    assert Plan(NINE).summary() == sizes.format(4, 2)
    assert Plan(FIVE | BY_METHOD).summary() == sizes.format(36, 3)
    assert Plan(NINE | BY_METHOD).summary() == sizes.format(18, 3)
    config["distillation"] = None
    plan = Plan(config)  # three students a job
    assert plan.summary() == summary.format(40)
    sizes = [job["students"] for job in plan.trainings(*ALL) if job["round"] == "round1"]
    assert sizes == [3, 3, 2, 2] * 4
    plan = Plan(config | BY_METHOD)
    assert plan.summary() == summary.format(60)
    sizes = [job["students"] for job in plan.trainings(*ALL) if job["round"] == "ils"]
    assert sizes == [3, 3, 2] * 4  # as `grids.shares` splits a grid of 8


def test_the_largest_grids_train_first_after_those_that_others_wait_for():
    plan = Plan(NINE)
    batch, distilled = plan.batch_of(plan.compared[0]), "digits_ResNet8_distilled"
    assert plan.urgency(batch, "round1") == plan.urgency(distilled, DISTILLED) == plan.first
    assert plan.first > plan.urgency(batch, "round2") == 18
    plan = Plan(NINE | BY_METHOD)
    urgency = {method: plan.urgency(batch, method) for method in plan.methods}
    assert urgency["no_ls"] == plan.first > urgency["ils"] > urgency["ls"] > urgency["dis"] > 0
    assert urgency["ils"] == 8 and plan.urgency(distilled, DISTILLED) == plan.first


def test_restarts_multiply_a_grid_and_leave_all_others_alone():
    def restart(config):
        next(e for e in config["methods"] if e["name"] == "ls")["restarts"] = 3

    before, plan = Plan(NINE), Plan(edited(NINE, restart))
    told = trainings(plan)
    assert differing(trainings(before), told) == ({"round1"}, {"ls"})
    batch = plan.batch_of(plan.compared[0])
    ls = next(m for m in told[batch, "round1"].methods if m.name == "ls")
    assert ls.grid == {"restart": [0, 1, 2], "epsilon": [0.01, 0.05, 0.1, 0.2]}
    points = grid_points(ls.grid)
    assert [{"restart": 0} | p for p in grid_points(before.methods["ls"]["grid"])] == points[:4]
    assert plan.students(batch, "round1") == before.students(batch, "round1") + 8
    sizes = [
        sum(len(p.cells_of(job["batch"])) * job["students"] for job in p.trainings(*ALL))
        for p in (before, plan)
    ]
    teaching = [batch.cells for batch in plan.batches.values() if batch.kind == "teaching"]
    assert sizes[1] - sizes[0] == 8 * (len(plan.compared) + sum(map(len, teaching)))


def test_a_transform_and_the_options_searched_are_in_what_a_method_is_told():
    def change(config):
        methods = {entry["name"]: entry for entry in config["methods"]}
        methods["beta"]["grid"] = {"alpha": [0.4, 0.2], "decay": [0.9, 0.99]}
        mixup = {"name": "mixup", "label": "Mixup", "targets": "no_ls", "transform": "mixup"}
        config["methods"].append(mixup | {"grid": {"alpha": [0.1, 0.4]}})

    plan = Plan.checked(edited(CONFIGS["small"], change))
    batch = plan.batch_of(plan.compared[0])
    told = {m.name: m for name in plan.rounds(batch) for m in plan.training(batch, name).methods}
    assert [*told["beta"].grid] == ["decay", "alpha"]  # the option varies slower
    mixup = told["mixup"]
    assert (mixup.targets, mixup.transform, mixup.grid) == ("no_ls", "mixup", {"alpha": [0.1, 0.4]})
    assert told["no_ls"].transform is None and mixup.code.startswith(told["no_ls"].code)
    assert mixup.code != told["no_ls"].code


def test_an_experiment_may_have_the_first_seeds_only():
    def change(config):
        config["seeds"] = [4, 1, 0]
        config["experiments"][0]["seeds"], config["experiments"][1]["seeds"] = 1, 9

    plan = Plan(edited(FIVE, change))
    of_pair = {cells[0].network: [c.seed for c in cells] for cells in plan.cells_of_pairs[:2]}
    assert of_pair == {"LeNet": [4], "ResNet8": [4, 1, 0]}
    assert plan.compared == list(itertools.chain(*plan.cells_of_pairs)) and len(plan.compared) == 25
    batches = {c for b in plan.batches.values() if b.kind == "compared" for c in b.cells}
    assert batches == set(plan.compared)
    assert "9 pairs x 1 to 3 seeds" in plan.summary()
    assert Artefacts(plan, "c.yaml").sources[""] == "averages over 1 to 3 seeds of c.yaml"


def add_control(config):
    ls = next(entry for entry in config["methods"] if entry["name"] == "ls")
    control = {"name": "ls_restarts", "label": "LS restarts", "restarts": 2, "control": True}
    config["methods"].append(ls | control)


def test_a_control_is_trained_and_is_no_column():
    before, plan = Plan(NINE), Plan(edited(NINE, add_control))
    assert plan.columns == before.columns
    batch = plan.batch_of(plan.compared[0])
    assert plan.students(batch, "round1") == before.students(batch, "round1") + 8
    assert plan.evaluation(batch).columns == before.evaluation(batch).columns
    assert plan.evaluation(batch).rounds["ls_restarts"] == "round1"
    assert [c.column for c in plan.searched if c.control] == ["LS restarts", "LS restarts+TempS"]
    assert [c.column for c in plan.searched if not c.control] == [c["column"] for c in plan.columns]


def add_calibrators(config):
    """`vector` with a budget before the temperature, `isotonic` without one behind it."""
    config["calibrators"].insert(0, {"name": "v", "label": "V", "fit": "vector", "budget": True})
    config["calibrators"].append({"name": "iso", "label": "Iso", "fit": "isotonic"})
    config["calibrators"].append({"name": "unused", "label": "U", "fit": "dirichlet"})
    methods = {entry["name"]: entry for entry in config["methods"]}
    methods["ls"]["calibrators"] = {"temperature": "joint", "iso": "joint", "v": "selected"}
    methods["ils"]["calibrators"]["v"] = "joint"


def test_columns_are_methods_in_order_each_with_its_calibrators_in_the_order_of_these():
    plan = Plan(edited(NINE, add_calibrators))
    own = [(c["column"], c["calibrator"], c["reading"]) for c in plan.columns]
    assert [c for c in own if c[0].startswith("LS")] == [
        ("LS", "none", "selected"),
        ("LS+V", "v", "selected"),
        ("LS+TempS", "temperature", "joint"),
        ("LS+Iso", "iso", "joint"),
    ]
    assert [name for name, *_ in own] == [
        *("No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta"),
        *("LS", "LS+V", "LS+TempS", "LS+Iso", "ILS1", "ILS2", "ILS", "ILS+V", "ILS+TempS"),
    ]
    told = plan.evaluation(plan.batch_of(plan.compared[0]))
    assert [(c.name, c.fit) for c in told.calibrators] == [
        ("v", "vector"),
        ("temperature", "temperature"),
        ("iso", "isotonic"),
    ]
    assert told.calibrators[1].options == {"bounds": [0.5, 5.0]}
    assert told.scalings == plan.scalings == ("none", "v", "temperature")


def test_a_calibrator_without_a_budget_is_in_no_budget():
    plan = Plan(edited(NINE, add_calibrators))
    columns = [c["column"] for c in plan.columns]
    assert [c.column for c in plan.searched] == [name for name in columns if name != "LS+Iso"]
    assert plan.reference.column == "No LS+TempS"
    pairs = {(p.better.column, p.worse.column) for p in plan.matched}
    assert {("ILS+V", "LS+V"), ("ILS+TempS", "LS+TempS"), ("ILS", "LS")} <= pairs
    assert all(parts(a)[1] == parts(b)[1] for a, b in pairs)


def test_an_edited_calibrator_reruns_the_evaluation_and_trains_nothing(monkeypatch):
    config = edited(NINE, add_calibrators)
    before = Plan(config)
    told = {batch: before.evaluation(batch) for batch in before.batches}

    def another(kind, *names):
        return fingerprint(kind, *names) + "!" * ("isotonic" in names)

    monkeypatch.setattr("ils.plan.plan.fingerprint", another)
    after = Plan(config)
    assert trainings(after) == trainings(before)
    differ = {name for name in told if after.evaluation(name) != told[name]}
    assert differ == {b.name for b in after.batches.values() if b.kind != DISTILLED}


def test_a_search_costs_what_its_method_needs_first_too():
    def inherit(config):
        entry = {"name": "late", "label": "Late", "targets": "ls", "grid": {}}
        inherit = {"inherit": {"epsilon": "ils"}}
        config["methods"].append(entry | inherit)

    for way in ("round", "method"):
        plan = Plan(edited(NINE, inherit) | {"trained_together": way})
        first = {c.column: c.first for c in plan.searched}
        assert {c.column: c.points for c in plan.searched}["ILS+TempS"] == 8
        assert first["No LS"] == first["LS+TempS"] == first["cLS"] == 0
        assert first["Beta"] == 4 and first["Dis"] == first["ILS"] == first["ILS+TempS"] == 1
        assert first["Late"] == 8 + 1
        assert plan.reference.column == "No LS+TempS"
    unscaled = edited(NINE, lambda c: c["methods"][0].update(calibrators={}))
    assert Plan(unscaled).reference.column == "No LS"


def test_a_halved_search_costs_the_epochs_that_its_students_train():
    """10 of 40 epochs for all, 10 for half of them, 20 for a tenth; in shards of 5 and 3 or so."""

    def halve(config):
        for recipe in config["recipes"]:
            recipe |= {"epochs": 40, "halving": {"epochs": [10, 20], "keep": [0.5, 0.2]}}

    plan = Plan(edited(NINE, halve) | {"trained_together": "method"})
    found = {c.column: c for c in plan.searched}
    of_four, of_eight = (4 * 10 + 2 * 10 + 1 * 20) / 40, (8 * 10 + 4 * 10 + 1 * 20) / 40
    assert (found["LS"].points, found["LS"].halved, found["LS"].trainings) == (4, of_four, of_four)
    assert found["ILS"].halved == of_eight and found["ILS"].trainings == 1 + of_eight
    assert found["Beta"].first == of_four and found["Beta"].halved is None
    assert found["No LS"].halved is None and found["No LS"].trainings == 1
    pairs = {(p.better.column, p.worse.column): p.trainings for p in plan.matched}
    assert pairs["ILS2", "ILS1"] == 1 + of_four and ("ILS", "LS") not in pairs

    def split(config):
        halve(config)
        for entry in config["experiments"]:
            entry["hours"] = 1

    plan = Plan(edited(NINE, split) | {"trained_together": "method", "hours_per_job": 5})
    ils = next(c for c in plan.searched if c.column == "ILS")
    assert ils.halved == (4 * 10 + 2 * 10 + 1 * 20) / 40 * 2  # in two shards of four
    jobs = [job for job in plan.trainings("compared") if job["round"] == "ils"]
    assert {job["racing"] for job in jobs} == {((4, 8),)}  # of eight in both shards
    recipe = plan.recipe(plan.compared[0])
    racing = [(4, 8), (1, 5), (11, 11)]
    assert recipe.stages(racing) == [(10, 16), (10, 2 + 1 + 6), (20, 1 + 1 + 2)]

    def spare(config):
        split(config)
        for entry in config["recipes"]:
            entry["halving"]["above"] = 4

    plan = Plan(edited(NINE, spare) | {"trained_together": "method", "hours_per_job": 5})
    found = {c.column: c for c in plan.searched}
    assert found["LS"].halved is None and found["LS"].points == found["LS"].trainings == 4
    assert found["ILS"].halved == ils.halved  # its grid counts, not what a shard has of it
    recipe = plan.recipe(plan.compared[0])
    assert recipe.stages([(4, 8), (4, 4)]) == [(10, 8), (10, 2 + 4), (20, 1 + 4)]
    counts = Counter(size for job in plan.trainings("compared") for size in job["racing"])
    epochs = {(n, of): n * 40 if of <= 4 else {4: 80, 2: 50, 1: 40}[n] for n, of in counts}
    share = sum(epochs[s] * n for s, n in counts.items())
    share /= sum(40 * s[0] * n for s, n in counts.items())
    assert f" jobs, halved to {share:.0%} of their epochs; distillation: " in plan.summary()


def test_the_halved_paper_is_the_paper_but_for_its_races():
    halved = yaml.safe_load((ROOT / "config/paper_halving.yaml").read_text())
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    assert set(halved) == {"recipes"} and Plan.checked(paper | halved).compared
    for recipe in halved["recipes"]:
        if recipe["milestones"]:
            epoch = recipe["milestones"][0] + recipe["epochs"] // 20
            assert recipe.pop("halving") == {"epochs": [epoch], "keep": [0.2], "above": 5}
    assert halved["recipes"] == paper["recipes"]


def test_columns_are_matched_at_what_both_can_spend():
    plan = Plan(edited(NINE, add_control))
    pairs = {(p.better.column, p.worse.column): p.trainings for p in plan.matched}
    assert pairs["ILS", "LS"] == pairs["ILS+TempS", "LS+TempS"] == 4  # LS's grid
    assert pairs["ILS+TempS", "LS restarts+TempS"] == 8  # the control's, 7 of ILS and its teacher
    assert pairs["LS", "LS restarts"] == 4 and pairs["ILS2", "ILS1"] == 5
    assert not [pair for pair in pairs if pair[0].startswith("LS restarts")]
    assert not {name for pair in pairs for name in pair} & {"No LS", "Dis", "BS_Soft", "Beta"}
    assert all(("TempS" in a) == ("TempS" in b) for a, b in pairs) and len(pairs) == 15 + 3


def test_a_training_is_told_all_that_decides_it():
    training = Plan(NINE).training("digits_LeNet_and_8_more_seed1", "round1")
    assert isinstance(training, Training) and training.shards == 1 and training.teacher == "no_ls"
    assert [method.name for method in training.methods] == FIRST
    cls = training.methods[1]
    assert cls.grid == {"epsilon": [0.01, 0.1], "beta": [0.1, 1.0]} and cls.inputs == {}
    assert cls.targets == "cls" and len(cls.code) == 16
    first = training.cells[0]
    assert first.cell == Cell("digits", "LeNet", 1) and first.device == "cpu"
    assert first.augmentation == {"pad": 1, "flip": False}
    assert training.recipes[0].batch_size == 32


OVERRIDES = "beyond", "fashion", "cifar10_jpeg", "openml"


@pytest.mark.parametrize("name", OVERRIDES)
def test_configs_that_override_the_default_are_plans(name):
    config = copy.deepcopy(CONFIGS["config"])
    update_config(config, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))
    plan = Plan.checked(config)
    assert plan.baseline == ("No LS restarts+TempS" if name == "beyond" else None)


def test_a_baseline_is_a_control_that_trains_as_the_teacher_does():
    def control(**entry):
        named = {"name": "again", "label": "Again", "grid": {}, "restarts": 4, "control": True}
        return Plan(edited(NINE, lambda c: c["methods"].append(named | entry)))

    assert control(targets="no_ls").baseline == "Again"
    assert control(targets="no_ls", calibrators={"temperature": "joint"}).baseline == "Again+TempS"
    mixed = {"transform": "mixup", "grid": {"alpha": [1]}}
    assert control(targets="dis").baseline is control(targets="no_ls", **mixed).baseline is None
