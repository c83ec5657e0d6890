"""What a config may say of hyperparameters: whose they are, that none lacks, and their ranges."""

import math

from ils.errors import UserError
from ils.plan.entries import functions_of
from ils.plan.plugins import plugins
from ils.plan.schema import one_of, shown

# Hyperparameters that must lie in a range; others may be any finite number. One of a function that
# needs another range than others of its name is "function.name".
RANGES = {
    "epsilon": (0, 1, "from 0 to 1"),
    "temperature": (math.ulp(0), math.inf, "above 0"),
    "alpha": (0, 1, "from 0 to 1"),
    "beta": (0, math.inf, "0 or more"),
    "p1": (0, 1, "from 0 to 1"),
    "p2": (0, math.inf, "0 or more"),
    "weight": (0, 1, "from 0 to 1"),
    "teacher_temperature": (math.ulp(0), math.inf, "above 0"),
    "student_temperature": (math.ulp(0), math.inf, "above 0"),
    "times_t_squared": (0, 1, "0 or 1"),
    "gamma": (0, math.inf, "0 or more"),
    "margin": (0, math.inf, "0 or more"),
    "mbls.alpha": (0, math.inf, "0 or more"),
    "mixup.alpha": (0, math.inf, "0 or more"),
    "decay": (0, 1, "from 0 to 1"),
    "samples": (1, math.inf, "a whole number, 1 or more"),
}
WHOLE = {"samples"}


def check_options(key, options, plugin, what):
    """Raise UserError unless the mapping `options` has all required options of a plugin and no
    unknown ones."""
    for name in options:
        known = plugin.options or {f"(this {what} takes none)"}
        one_of(f"{key}.{name}", name, known)
    if missing := plugin.required - set(options):
        raise UserError(f"config: {key}: {what} lacks {', '.join(sorted(missing))}")


def check_grids(entries, known):
    """Check the target functions of {key: entry}, of the plugins `known`, their transforms,
    hyperparameters and their ranges."""
    inputs = plugins("target_input")
    for key, entry in entries.items():
        one_of(f"{key}.targets", entry["targets"], set(known))
        own = {"targets": known[entry["targets"]]}
        if "transform" in entry:
            one_of(f"{key}.transform", entry["transform"], set(plugins("transform")))
            own["transform"] = plugins("transform")[entry["transform"]]
        for of, plugin in own.items():
            for name in plugin.inputs:
                one_of(f"{key}.{of}: parameters of {entry[of]!r}", name, set(inputs))
        if "transform" in entry:
            check_transform(entry, key, own["targets"], own["transform"])
        check_inputs(entry.get("inputs", {}), {n for p in own.values() for n in p.inputs}, key)
        check_hyperparameters(entry, key)


def check_transform(entry, key, targets, transform):
    """Check that a transform has what it looks at, and leaves targets that make sense."""
    key, names = f"config: {key}.transform: {entry['transform']!r}", targets.inputs
    for name in transform.inputs:
        if "network" in plugins("target_input")[name].inputs:
            raise UserError(
                f"{key} looks at {name}, but comes before the students see the mini-batch; "
                "look at something else"
            )
    if taught := [name for name in (*names, *transform.inputs) if "teacher" in name]:
        raise UserError(
            f"{key} changes the samples, but the method looks at {taught[0]}, of the samples as "
            "they were; choose targets without a teacher, or no transform"
        )
    if transform.traits.get("mixes_labels") and targets.traits.get("one_class"):
        raise UserError(
            f"{key} mixes the labels, but targets {entry['targets']!r} need each of one class; "
            "choose another of the two"
        )


def check_hyperparameters(entry, key):
    """Check that each hyperparameter is one of a single function of the method's, all are there and
    lie in their ranges."""
    functions = functions_of(entry)
    of: dict[str, list[tuple[str, str]]] = {}
    for kind, function, plugin in functions:
        for name in plugin.options:
            of.setdefault(name, []).append((kind, function))
    options = entry["grid"] | entry.get("inherit", {})
    what = " with ".join(f"{kind} {name!r}" for kind, name, _ in functions if kind != "inputs")
    required = {n for kind, _, plugin in functions if kind != "inputs" for n in plugin.required}
    plugin = functions[0][2]._replace(required=frozenset(required), optional=frozenset(of))
    check_options(f"{key}.grid", options, plugin, what)
    for name in options:
        if len(of[name]) > 1:
            takers = " and of ".join(f"{kind} {function!r}" for kind, function in of[name])
            raise UserError(
                f"config: {key}.grid.{name}: is a hyperparameter of {takers}; rename one of them"
            )
        if name in entry.get("inputs", {}).get(of[name][0][1], {}):
            raise UserError(
                f"config: {key}.grid.{name}: is under inputs, too; remove one of the two"
            )
    check_ranges(entry["grid"], f"{key}.grid", {name: takers[0][1] for name, takers in of.items()})


def check_ranges(grid, key, functions=()):
    """Check the values of hyperparameters; functions: {hyperparameter: the function that it is
    of}."""
    functions = dict(functions)
    for name, values in grid.items():
        anything = RANGES.get(name, (-math.inf, math.inf, "a finite number"))
        low, high, words = RANGES.get(f"{functions.get(name)}.{name}", anything)
        for j, value in enumerate(values):
            if not low <= value <= high or (name in WHOLE and not isinstance(value, int)):
                raise UserError(f"config: {key}.{name}[{j}]: {shown(value)} must be {words}")


def check_inputs(options, looked_at, key):
    """Check the options of what a target function looks at."""
    inputs = plugins("target_input")
    for name, of_input in options.items():
        one_of(f"{key}.inputs.{name}", name, set(looked_at))
        check_options(f"{key}.inputs.{name}", of_input, inputs[name], f"input {name!r}")
