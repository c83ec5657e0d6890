"""The config's lists of entries, and what follows from them alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from ils.columns import joined
from ils.errors import UserError
from ils.plan.plugins import Plugin, plugins
from ils.plan.records import UNCALIBRATED

Config = Mapping[str, Any]


def by_name(config: Config, section: str) -> dict[str, Any]:
    """Return {name: entry} of a list of mappings, refusing two entries of one name."""
    entries: dict[str, Any] = {}
    for i, entry in enumerate(config[section]):
        if (name := entry["name"]) in entries:
            raise UserError(
                f"config: {section}[{i}].name: {name!r} is used twice; names must differ"
            )
        entries[name] = entry
    return entries


def ordered(value: Any) -> Any:
    """Return `value` with the keys of every mapping in it sorted: their order in a file is free."""
    if isinstance(value, Mapping):
        return {key: ordered(value[key]) for key in sorted(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def columns(config: Config, controls: bool = False) -> list[dict[str, Any]]:
    """List the columns of Table III, {column, method, calibrator, reading}: each method as trained,
    then as calibrated, in the order of the config's calibrators.

    controls: with those of control methods, which are no columns of the table.
    """
    table = []
    for entry in config["methods"]:
        if entry.get("control") and not controls:
            continue
        label, readings = entry["label"], entry.get("calibrators", {})
        names = {UNCALIBRATED: label}
        names |= {c["name"]: joined(label, c["label"]) for c in config["calibrators"]}
        for calibrator, column in names.items():
            if calibrator in {UNCALIBRATED, *readings}:
                reading = readings.get(calibrator, "selected")
                row = {"column": column, "method": entry["name"]}
                table.append(row | {"calibrator": calibrator, "reading": reading})
    return table


def functions_of(entry: Config) -> list[tuple[str, str, Plugin]]:
    """List the functions that a method's hyperparameters may be of, by the key that names them: its
    target function and transform, and the inputs that these look at."""
    own = [("targets", entry["targets"], plugins("method")[entry["targets"]])]
    if name := entry.get("transform"):
        own.append(("transform", name, plugins("transform")[name]))
    names = dict.fromkeys(name for *_, plugin in own for name in plugin.inputs)
    return own + [("inputs", name, plugins("target_input")[name]) for name in names]


def used_calibrators(config: Config) -> list[dict[str, Any]]:
    """The entries of the calibrators that some method names."""
    used = {name for entry in config["methods"] for name in entry.get("calibrators", {})}
    return [entry for entry in config["calibrators"] if entry["name"] in used]


def pairs_of(config: Config) -> dict[tuple[str, str], Any]:
    """Return {(dataset, network): entry} of all pairs that are trained, to teach or be compared."""
    pairs: dict[tuple[str, str], Any] = {}
    teaching = (config["distillation"] or {"pairs": []})["pairs"]
    for entry in teaching + config["experiments"]:
        pair = entry["dataset"], entry["network"]
        pairs[pair] = pairs.get(pair, {}) | entry
    return pairs


def needed_by(config: Config, names: Iterable[str]) -> set[str]:
    """All methods that must be trained before others: their teacher, those that they inherit from,
    and theirs."""
    methods, known = by_name(config, "methods"), plugins("method")
    needed: set[str] = set()
    todo = set(names)
    while todo:
        entries = [methods[name] for name in todo]
        sources = {source for entry in entries for source in entry.get("inherit", {}).values()}
        if any(known[entry["targets"]].needs_teacher for entry in entries):
            sources.add(config["teacher"])
        todo = sources - needed
        needed |= todo
    return needed


def teaching_methods(config: Config) -> set[str]:
    """The methods that cells which only teach train: the distillation's teachers, and theirs."""
    teachers = config["distillation"]["teachers"] if config["distillation"] else []
    return {*teachers, *needed_by(config, teachers)}


def distilled_method(config: Config) -> dict[str, Any]:
    """The distillation as an entry of `methods` whose grid goes over its teachers, too."""
    section = config["distillation"]
    grid = {"teacher": list(range(len(section["teachers"])))} | section["grid"]
    kept = {"targets": section["targets"], "inputs": section.get("inputs", {})}
    return kept | {"name": DISTILLED, "grid": grid}


DISTILLED = "distilled"  # the method of distillation's students
ROUND = "round"  # of the names of rounds: round1, round2, ...
