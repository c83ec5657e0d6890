"""The config: checked once, before any job, and expanded into cells and table columns. Needs only jsonschema."""

import difflib
import math

from ils.errors import UserError
from ils.plugins import plugins

# Hyperparameters that must lie in a range; others may be any finite number.
RANGES = {
    "epsilon": (0, 1, "from 0 to 1"),
    "temperature": (math.ulp(0), math.inf, "above 0"),
    "alpha": (0, 1, "from 0 to 1"),
    "beta": (0, math.inf, "0 or more"),
    "p1": (0, 1, "from 0 to 1"),
    "p2": (0, math.inf, "0 or more"),
}


def one_of(key, name, allowed):
    """Raise UserError unless `name` is one of `allowed`, suggesting the nearest."""
    if name not in allowed:
        near = difflib.get_close_matches(str(name), allowed, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UserError(f"config: {key}: {name!r} is none of {', '.join(sorted(allowed))}{hint}")


def check_options(key, given, plugin, what):
    """Raise UserError unless the mapping `given` has all required options of a plugin and no unknown ones."""
    for name in given:
        one_of(f"{key}.{name}", name, plugin.required | plugin.optional or {f"(this {what} takes none)"})
    if missing := plugin.required - set(given):
        raise UserError(f"config: {key}: {what} lacks {', '.join(sorted(missing))}")


def by_name(config, section):
    """Return {name: entry} of a list of mappings, refusing two entries of one name."""
    entries = {}
    for i, entry in enumerate(config[section]):
        if entry["name"] in entries:
            raise UserError(f"config: {section}[{i}].name: {entry['name']!r} is used twice; names must differ")
        entries[entry["name"]] = entry
    return entries


def check_schema(config, schema):
    """Raise UserError for the first violation of the JSON schema, naming the key and what is allowed there."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    key = error.json_path.removeprefix("$.").removeprefix("$") or "(top level)"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = sorted(set(error.instance) - set(known))[0]
        one_of(f"{key}.{unknown}".removeprefix("(top level)."), unknown, set(known))
    raise UserError(f"config: {key}: {error.message}")


def check_grids(entries, section, known):
    """Check each method's target function, one of the plugins `known`, its hyperparameters and their ranges."""
    for i, entry in enumerate(entries):
        key = f"{section}[{i}]"
        one_of(f"{key}.targets", entry["targets"], set(known))
        given = entry["grid"] | entry.get("inherit", {})
        check_options(f"{key}.grid", given, known[entry["targets"]], f"targets {entry['targets']!r}")
        for name, values in entry["grid"].items():
            low, high, words = RANGES.get(name, (-math.inf, math.inf, "a finite number"))
            for j, value in enumerate(values):
                if not (low <= value <= high and math.isfinite(value)):
                    raise UserError(f"config: {key}.grid.{name}[{j}]: {value} must be {words}")


def check_inputs(options, looked_at, key):
    """Check the options of what a target function looks at."""
    inputs = plugins("target_inputs", "target_input")
    for name, given in options.items():
        one_of(f"{key}.{name}", name, set(looked_at))
        check_options(f"{key}.{name}", given, inputs[name], f"input {name!r}")


def check_beta(entry, methods, key):
    """Check that a = (1 - alpha - epsilon) / epsilon of the Beta method will be above 0, whatever epsilon is selected."""
    inherited = entry.get("inherit", {})
    alpha, epsilon = (
        max((methods[inherited[name]] if name in inherited else entry)["grid"][name]) for name in ("alpha", "epsilon")
    )
    if alpha + epsilon >= 1:
        raise UserError(f"config: {key}: alpha {alpha} and epsilon {epsilon} must add up to less than 1 (a > 0)")


def check_methods(config):
    """Check the methods, and that the teacher is one that needs none itself."""
    known = plugins("methods", "method")
    check_grids(config["methods"], "methods", known)
    methods = by_name(config, "methods")
    for i, entry in enumerate(config["methods"]):
        for name, source in entry.get("inherit", {}).items():
            one_of(f"methods[{i}].inherit.{name}", source, {m["name"] for m in methods.values() if name in m["grid"]})
        options = entry.get("inputs", {})
        check_inputs(options, known[entry["targets"]].inputs, f"methods[{i}].inputs")
        if entry["targets"] == "beta":
            check_beta(entry, methods, f"methods[{i}]")
    one_of("teacher", config["teacher"], set(methods))
    teacher = methods[config["teacher"]]
    if known[teacher["targets"]].needs_teacher or teacher.get("inherit"):
        raise UserError(f"config: teacher: the targets of {config['teacher']!r} need a teacher themselves; choose another")


def check_synthetic(config):
    """Check what the synthetic study's entries say of each other."""
    section = config["synthetic"]
    given = {"onehot", "teacher_logits", "teacher_temperature"}  # what a target may look at there
    usable = {name: plugin for name, plugin in plugins("methods", "method").items() if given.issuperset(plugin.inputs)}
    check_grids(section["methods"], "synthetic.methods", usable)
    known = {kind: set(by_name(section, kind)) for kind in ("geometries", "methods", "setups")}
    for i, geometry in enumerate(section["geometries"]):
        for j, parts in enumerate(geometry["classes"]):
            if abs(sum(part["weight"] for part in parts) - 1) > 1e-9:
                raise UserError(f"config: synthetic.geometries[{i}].classes[{j}]: the weights must add up to 1")
    for i, setup in enumerate(section["setups"]):
        key = f"synthetic.setups[{i}]"
        one_of(f"{key}.geometry", setup["geometry"], known["geometries"])
        for name in setup["methods"]:
            one_of(f"{key}.methods", name, known["methods"])
        if missing := {"no_ls", "ls"} - set(setup["methods"]):
            raise UserError(f"config: {key}.methods: lacks {', '.join(sorted(missing))}, which every setup needs")
    for name in (*section["tables"], section["figures"]):
        one_of("synthetic.tables, synthetic.figures", name, known["setups"])
    one_of("synthetic.figure5", section["figure5"], known["geometries"])
    shown = by_name(section, "setups")[section["figures"]]
    if not shown.get("long_grid") or "ils1" not in shown["methods"]:
        raise UserError(f"config: synthetic.figures: setup {shown['name']!r} needs method ils1 (Figure 4) and long_grid: true (Figure 11)")
    for name in section["tabular"]["datasets"]:
        one_of("synthetic.tabular.datasets", name, {entry["name"] for entry in config["datasets"]})
    check_bounds(section["temperature_bounds"], "synthetic.temperature_bounds")


def check_bounds(bounds, key):
    low, high = bounds
    if not low < high:
        raise UserError(f"config: {key}: the lower bound {low} is not below the upper bound {high}")


def check(config, schema):
    """Raise UserError unless `config` is one that the workflow can run from its first job to its last."""
    check_schema(config, schema)
    check_methods(config)
    for section, module, decorator, kind in (
        ("datasets", "datasets", "source", "source"),
        ("networks", "networks", "network", "family"),
    ):
        known = plugins(module, decorator)
        for i, entry in enumerate(config[section]):
            one_of(f"{section}[{i}].{kind}", entry[kind], set(known))
            check_options(f"{section}[{i}].options", entry["options"], known[entry[kind]], f"{kind} {entry[kind]!r}")
    names = {section: by_name(config, section) for section in ("datasets", "networks", "recipes")}
    pairs = set()
    for i, experiment in enumerate(config["experiments"]):
        for section, entries in names.items():
            one_of(f"experiments[{i}].{section[:-1]}", experiment[section[:-1]], set(entries))
        pair = experiment["dataset"], experiment["network"]
        if pair in pairs:
            raise UserError(f"config: experiments[{i}]: {pair[0]} with {pair[1]} is listed twice")
        pairs.add(pair)
        if experiment.get("hours", 0) > config["hours_per_job"]:
            raise UserError(
                f"config: experiments[{i}].hours: {experiment['hours']} is more than hours_per_job "
                f"({config['hours_per_job']}), but one student cannot be split over jobs; raise hours_per_job"
            )
    labels = [column["column"] for column in columns(config)]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"config: methods: {label!r} is the label of two columns; labels must differ")
    check_bounds(config["temperature_bounds"], "temperature_bounds")
    if config["synthetic"]:
        check_synthetic(config)


def ordered(value):
    """Return `value` with the keys of every mapping in it sorted, so that their order in a file changes nothing."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def cells(config):
    """List the cells, {dataset, network, seed}: what is trained once for each method."""
    return [
        {"dataset": experiment["dataset"], "network": experiment["network"], "seed": seed}
        for experiment in config["experiments"]
        for seed in config["seeds"]
    ]


def students_per_job(config, experiment):
    """How many students of a pair one job trains: as many as fit into `hours_per_job`, a whole grid without `hours`."""
    if "hours" not in experiment:
        return math.inf
    return math.floor(config["hours_per_job"] / experiment["hours"] + 1e-9)


def batches(config):
    """Return {name: cells} of the cells that one job trains after another; see `cells_per_job`.

    Cells of one job share their seed and their students per job. The name of a batch of one cell is the cell's.
    """
    per_job = {(e["dataset"], e["network"]): students_per_job(config, e) for e in config["experiments"]}
    groups = {}
    for cell in cells(config):
        groups.setdefault((cell["seed"], per_job[cell["dataset"], cell["network"]]), []).append(cell)
    found = {}
    for (seed, _), group in groups.items():
        for start in range(0, len(group), config["cells_per_job"]):
            batch = group[start : start + config["cells_per_job"]]
            words = list(batch[0].values())[:2] if len(batch) == 1 else ["cells", len(found)]
            found["_".join(map(str, [*words, f"seed{seed}"]))] = batch
    return found


def columns(config):
    """List the columns of Table III, {column, method, scaling}: each method, then its +TempS where it has one."""
    found = []
    for entry in config["methods"]:
        label, scaling = entry["label"], entry["temperature_scaling"]
        found.append({"column": label, "method": entry["name"], "scaling": "none"})
        if scaling != "none":
            found.append({"column": f"{label}+TempS", "method": entry["name"], "scaling": scaling})
    return found


def points(method):
    """The number of students in a method's grid."""
    return math.prod(len(values) for values in method["grid"].values())


def shards(method, students_per_job):
    """The number of jobs that train a method's grid."""
    return max(1, math.ceil(points(method) / students_per_job))


def training_jobs(config):
    """List the jobs that train, {cells, method, students}: so many students of the method in each of the cells."""
    experiments = {(e["dataset"], e["network"]): e for e in config["experiments"]}
    found = []
    for batch in batches(config).values():
        per_job = students_per_job(config, experiments[batch[0]["dataset"], batch[0]["network"]])
        for method in config["methods"]:
            jobs = shards(method, per_job)
            small, larger = divmod(points(method), jobs)  # the sizes of shards differ by at most one
            found += [
                {"cells": batch, "method": method["name"], "students": small + (shard < larger)} for shard in range(jobs)
            ]
    return found


def summary(config):
    """The size of the study in one line."""
    jobs = training_jobs(config)
    trainings = sum(len(job["cells"]) * job["students"] for job in jobs)
    return (
        f"{len(config['experiments'])} pairs x {len(config['seeds'])} seeds, {len(columns(config))} columns: "
        f"{trainings:,} trainings in {len(jobs):,} jobs"
    )
