"""What a study will cost before it is trained: a few measured training steps, times its plan.

Counted are the training steps, validation after every epoch, the test predictions of all students
and the teachers' soft targets. Left out is what costs little beside them: the targets themselves
(Beta's needs one more forward pass a step), reading and writing, the start of jobs, the analysis,
and the synthetic study. `patience` is not foreseen: every student trains all its epochs.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from tqdm import tqdm

from ils.errors import UserError
from ils.job import log
from ils.plan.plan import Plan
from ils.plan.records import Cell
from ils.training.costs import Costs, Pair, Sizes, costs, step_seconds

AT_ONCE = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 42, 63, 125)  # many divide grids evenly
ALL = "compared", "teaching", "distilled"
Key = tuple[str, str, str]
Measure = Callable[[Pair, int], float]


def key_of(plan: Plan, cell: Cell) -> Key:
    """Dataset, network and recipe of a cell, which are measured once."""
    return cell.dataset, cell.network, plan.recipe_name(cell)


def pairs_of(
    plan: Plan, sizes: Mapping[str, Sizes], device: torch.device
) -> tuple[dict[Key, Pair], dict[Key, list]]:
    """Return {key: its `Pair`} and {key: the job of each cell trained}, in the config's order."""
    taught = (cell for student in plan.taught for cell in (student.teachers, student))
    pairs: dict[Key, Pair] = {}
    trained: dict[Key, list] = {}
    for cell in (*plan.compared, *taught):
        if (key := key_of(plan, cell)) not in pairs:
            cell_plan, recipe = plan.cell_plan(cell), plan.recipe(cell)
            on = device if cell_plan.device != "cpu" else torch.device("cpu")
            views, network = cell_plan.augmentation, cell_plan.architecture
            at_once = plan.networks[cell.network]["students_at_once"][on.type]
            pairs[key] = Pair(*key, sizes[cell.dataset], views, network, recipe, on, at_once)
            trained[key] = []
    for job in plan.trainings(*ALL):
        for cell in plan.batches[job["batch"]].cells:
            trained[key_of(plan, cell)].append(job)
    return pairs, trained


def measured_costs(pair: Pair, most: int, measure: Measure) -> Costs:
    """Return the `Costs` of a pair whose largest job trains `most` students."""
    at_once = min(pair.students_at_once, most)
    try:
        alone = measure(pair, 1)
        together = measure(pair, at_once) if at_once > 1 else alone
    except torch.OutOfMemoryError:
        raise UserError(
            f"network {pair.network}: {at_once} students do not fit into the memory of the "
            "device together; lower students_at_once.cuda"
        ) from None
    return costs(pair, alone, together, at_once)


def once(measure: Measure) -> Measure:
    """Let pairs whose steps differ in the number of classes alone be measured once."""
    seconds: dict[tuple, float] = {}

    def measured(pair, students):
        key = pair.network, pair.sizes.shape, *pair.augmentation.values(), pair.batch
        key = *key, pair.recipe.optimizer, students
        if key not in seconds:
            seconds[key] = measure(pair, students)
        return seconds[key]

    return measured


def teaching_cells(plan: Plan) -> Iterator[Cell]:
    """Every cell of every teaching method: each has soft targets of its own."""
    sources = {
        (source["batch"], source["method"])
        for batch in plan.batches
        for name in plan.rounds(batch)
        for source in plan.teachers(batch, name)
    }
    for batch, _ in sorted(sources):
        yield from plan.batches[batch].cells


def forecast(
    plan: Plan,
    sizes: Mapping[str, Sizes],
    device: torch.device,
    measure: Measure = step_seconds,
) -> list[dict[str, Any]]:
    """Forecast a study from the `Sizes` of each dataset; returns one mapping a pair, and a total.

    dataset, network, recipe; trainings; epochs of all students added up, and jobs that train;
    device_hours, and full_grid_hours, what these would be if no race dropped a student;
    longest_job_hours; hours, of one student among others that is trained to the end, and
    seconds_per_student_epoch; eflop, 10^18 floating-point operations;
    disk_gb, in 10^9 bytes, to which the total adds the prepared data and its splits; logits_gb of
    these are the students' logits, the border between training and analysis; device_gb, of the
    largest job in training, modelled; host_gb, what it asks a cluster for. A job of several pairs
    counts for each of them, and once in the total.
    """
    pairs, trained = pairs_of(plan, sizes, device)
    measure, known = once(measure), {}
    for key, pair in tqdm(pairs.items(), "measuring", unit="pair", leave=False, disable=None):
        most = max(job["students"] for job in trained[key])
        known[key] = measured_costs(pair, most, measure)
        at_once, together = known[key].at_once, known[key].together
        log.info("%s %s %s: %d students together take %.4f s a step", *key, at_once, together)
    taught = [key_of(plan, cell) for cell in teaching_cells(plan)]
    tested = {batch["batch"] for batch in plan.batches_of("compared", "distilled")}

    def seconds(job):
        cells = plan.batches[job["batch"]].cells
        return sum(of_cell(job, known[key_of(plan, cell)]) for cell in cells)

    def of_cell(job, pair):
        return pair.training(job["students"], pair.recipe.stages(job["racing"]))

    rows, of_logit = [], plan.bytes_of_logit
    for key, pair in known.items():
        jobs, teachers, s = trained[key], taught.count(key), pair.sizes
        students, viewed = sum(j["students"] for j in jobs), teachers * s.train * pair.views
        stages = [stage for j in jobs for stage in pair.recipe.stages(j["racing"])]
        epochs, views = sum(map(math.prod, stages)), pair.steps(viewed) * pair.alone
        full = sum(pair.training(j["students"]) for j in jobs) + views
        per_epoch = pair.epoch(pair.at_once) / pair.at_once
        columns = [
            len(plan.evaluation(batch).columns)
            for batch in tested
            for cell in plan.batches[batch].cells
            if key_of(plan, cell) == key
        ]
        stored = teachers * pair.soft_targets_bytes(of_logit) + sum(
            map(pair.predictions_bytes, columns)
        )
        stored += sum(pair.shard_bytes(j["students"], j["methods"]) for j in jobs)
        rows.append(
            dict(zip(("dataset", "network", "recipe"), key, strict=True))
            | {
                "trainings": students,
                "epochs": epochs,
                "jobs": len({(j["batch"], j["round"], j["shard"]) for j in jobs}),
                "device_hours": (sum(of_cell(j, pair) for j in jobs) + views) / 3600,
                "full_grid_hours": full / 3600,
                "longest_job_hours": max(map(seconds, jobs)) / 3600,
                "hours": per_epoch * pair.recipe.epochs / 3600,
                "seconds_per_student_epoch": per_epoch,
                "eflop": (pair.training_flops(students, epochs) + viewed * pair.flops[0]) / 1e18,
                "disk_gb": stored / 1e9,
                "logits_gb": students * (s.validation + s.test) * s.classes * 4 / 1e9,
                "device_gb": pair.device_bytes(most_teachers(plan, jobs), of_logit) / 1e9,
                "host_gb": max(plan.needs(j["batch"], j["round"])["mem_mb"] for j in jobs) / 1e3,
            }
        )
    return [*rows, total_of(plan, rows, sizes)]


def most_teachers(plan: Plan, jobs: list[dict]) -> int:
    """How many teachers' soft targets one of the jobs holds for a cell, at most."""
    return max(len(plan.teachers(job["batch"], job["round"])) for job in jobs)


def total_of(plan: Plan, rows: list[dict], sizes: Mapping[str, Sizes]) -> dict[str, Any]:
    """Return the last row of a forecast."""
    added = (
        "trainings",
        "epochs",
        "device_hours",
        "full_grid_hours",
        "eflop",
        "disk_gb",
        "logits_gb",
    )
    total: dict[str, Any] = {key: sum(row[key] for row in rows) for key in added}
    seeds = len({cell.seed for batch in plan.batches.values() for cell in batch.cells})
    for dataset in {row["dataset"] for row in rows}:
        s = sizes[dataset]
        of_sample = (
            math.prod(s.shape) * s.itemsize + 17 + 8 * seeds
        )  # input, label, id, mark; splits
        total["disk_gb"] += (s.train + s.validation + s.test) * of_sample / 1e9
    for key in ("longest_job_hours", "device_gb", "host_gb"):
        total[key] = max(row[key] for row in rows)
    return total | {"dataset": "all", "jobs": len(plan.trainings(*ALL))}


def speeds(
    plan: Plan,
    sizes: Mapping[str, Sizes],
    device: torch.device,
    measure: Measure = step_seconds,
) -> list[dict[str, Any]]:
    """Measure how fast each network trains by the number of students at once: a row a measurement.

    network, with the dataset and recipe of its first pair; students; step_seconds;
    samples_per_second, of all students together; configured, and suggested: the fewest students
    within 3 % of the fastest. More are tried up to the largest shard, until three numbers in a row
    were slower than the fastest or the device's memory ends.
    """
    pairs, trained = pairs_of(plan, sizes, device)
    first = {pair.network: pair for pair in reversed(pairs.values())}
    rows = []
    for network in dict.fromkeys(pair.network for pair in pairs.values()):
        keys = [key for key in pairs if key[1] == network]
        most = max(job["students"] for key in keys for job in trained[key])
        rows += network_speeds(first[network], most, measure)
    return rows


def network_speeds(pair: Pair, most: int, measure: Measure) -> list[dict[str, Any]]:
    """Return the rows of `speeds` of one network, whose largest job trains `most` students."""
    rows: list[dict[str, Any]] = []
    reached: list[float] = []
    for students in [number for number in AT_ONCE if number < most] + [most]:
        try:
            seconds = measure(pair, students)
        except torch.OutOfMemoryError:
            break
        reached.append(pair.batch * students / seconds)
        names = {"dataset": pair.dataset, "network": pair.network, "recipe": pair.recipe_name}
        row = names | {"device": pair.device.type, "students": students, "step_seconds": seconds}
        configured = students == min(most, pair.students_at_once)
        rows.append(row | {"samples_per_second": reached[-1], "configured": configured})
        if reached.index(max(reached)) < len(reached) - 3:
            break
    if not rows:
        raise UserError(
            f"network {pair.network}: one student does not fit into the memory of the device; "
            "use a smaller network or batch"
        )
    best = next(i for i, speed in enumerate(reached) if speed >= 0.97 * max(reached))
    return [row | {"suggested": i == best} for i, row in enumerate(rows)]
