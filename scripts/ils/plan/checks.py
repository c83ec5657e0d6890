"""What a config may say: checked once, before any job. Needs only jsonschema."""

import re

from ils.errors import UserError
from ils.plan.entries import ROUND, by_name, columns, teaching_methods
from ils.plan.grids import RESTART
from ils.plan.hyperparameters import check_grids, check_options, check_ranges
from ils.plan.metrics import REQUIRED, metrics
from ils.plan.plugins import plugins
from ils.plan.records import UNCALIBRATED
from ils.plan.schema import check_keys, check_schema, one_of, short, shown


def listed(entries, section):
    """Return {key: entry} of a list in the config, by which a message names an entry."""
    return {f"{section}[{i}]": entry for i, entry in enumerate(entries)}


def check_inheritance(methods, key):
    """Check what methods inherit: a hyperparameter that the other one searches, and, along the way,
    never from itself."""
    for i, entry in enumerate(methods.values()):
        for name, source in entry.get("inherit", {}).items():
            place = f"{key}[{i}].inherit.{name}"
            one_of(place, source, {m["name"] for m in methods.values() if name in m["grid"]})
            if name in entry["grid"]:
                raise UserError(
                    f"config: {place}: {name} is in the grid, too; remove one of the two"
                )
        todo, ancestors = set(entry.get("inherit", {}).values()), set()
        while todo:
            ancestors |= todo
            sources = {
                source for name in todo for source in methods[name].get("inherit", {}).values()
            }
            # A source that is unknown is reported at its own method.
            todo = sources & set(methods) - ancestors
        if (name := entry["name"]) in ancestors:
            raise UserError(
                f"config: {key}[{i}].inherit: {name!r} inherits from itself, "
                "by way of other methods; break the ring"
            )


def check_betas(methods):
    """Check that a = (1 - alpha - epsilon) / epsilon of the Beta method will be above 0, whatever
    epsilon is selected."""
    for i, entry in enumerate(methods.values()):
        if entry["targets"] == "beta":
            owners = {
                name: methods[entry.get("inherit", {}).get(name, entry["name"])]
                for name in ("alpha", "epsilon")
            }
            alpha, epsilon = (max(owner["grid"][name]) for name, owner in owners.items())
            if alpha + epsilon >= 1:
                raise UserError(
                    f"config: methods[{i}]: alpha {alpha} and epsilon {epsilon} must add up to "
                    "less than 1 (a > 0)"
                )


def check_methods(config):
    """Check the methods, and that the teacher is one that needs none itself."""
    known = plugins("method")
    check_grids(listed(config["methods"], "methods"), known)
    methods = by_name(config, "methods")
    check_inheritance(methods, "methods")
    for i, entry in enumerate(config["methods"]):
        if re.fullmatch(ROUND + r"\d+", entry["name"]):
            raise UserError(
                f"config: methods[{i}].name: {entry['name']!r} names a round; rename it"
            )
        if RESTART in entry["grid"] | entry.get("inherit", {}):
            raise UserError(
                f"config: methods[{i}].targets: {entry['targets']!r} has a hyperparameter "
                f"{RESTART!r}, the name of a student's initial weights; rename it"
            )
    check_betas(methods)
    if sum(not entry.get("control") for entry in methods.values()) < 2:
        raise UserError(
            "config: methods: fewer than two are no controls; ranks need two methods or more"
        )
    teacher = methods[config["teacher"]]
    if known[teacher["targets"]].needs_teacher or teacher.get("inherit"):
        raise UserError(
            f"config: teacher: the targets of {config['teacher']!r} need a teacher themselves; "
            "choose another"
        )


def check_halving(config):
    """Check after which epochs of a recipe students race, and that each race has its share."""
    for i, recipe in enumerate(config["recipes"]):
        if halving := recipe.get("halving"):
            key, epochs = f"recipes[{i}].halving", halving["epochs"]
            if len(epochs) != len(halving["keep"]):
                raise UserError(
                    f"config: {key}.keep: has {len(halving['keep'])} shares for {len(epochs)} "
                    "epochs; give one for each"
                )
            if any(a >= b for a, b in zip(epochs, [*epochs[1:], recipe["epochs"]])):
                raise UserError(
                    f"config: {key}.epochs: {shown(epochs)} must ascend and end before the "
                    f"recipe's last epoch, {recipe['epochs']}"
                )


def check_calibrators(config):
    """Check the calibrators, their options, and which of them the methods name."""
    plugin, names = plugins("calibrator"), by_name(config, "calibrators")
    labels: dict[str, str] = {}
    for i, entry in enumerate(config["calibrators"]):
        key, options = f"calibrators[{i}]", entry.get("options", {})
        if entry["name"] == UNCALIBRATED:
            raise UserError(
                f"config: {key}.name: {UNCALIBRATED!r} means no calibrator; rename this one"
            )
        if (other := labels.setdefault(entry["label"], entry["name"])) != entry["name"]:
            raise UserError(
                f"config: {key}.label: {entry['label']!r} is that of {other!r}, too; "
                "labels must differ"
            )
        one_of(f"{key}.fit", entry["fit"], set(plugin))
        check_options(
            f"{key}.options", options, plugin[entry["fit"]], f"calibrator {entry['fit']!r}"
        )
        if "bounds" in options:
            check_bounds(options["bounds"], f"{key}.options.bounds")
    for i, entry in enumerate(config["methods"]):
        for name in entry.get("calibrators", {}):
            known = set(names) or {"(there are no calibrators)"}
            one_of(f"methods[{i}].calibrators.{name}", name, known)


def check_distillation(config):
    """Check what the distillation's entries say of each other and of the rest of the config."""
    section = config["distillation"]
    known, methods = plugins("method"), by_name(config, "methods")
    check_grids({"distillation": section | {"inherit": {"teacher": None}}}, known)
    if "teacher" in section["grid"]:
        raise UserError(
            "config: distillation.grid.teacher: "
            "say in distillation.teachers which methods teach, not here"
        )
    if "teachers_logits" not in known[section["targets"]].inputs:
        raise UserError(
            f"config: distillation.targets: {section['targets']!r} looks at no teachers_logits; "
            "use distil"
        )
    for name, grid in section.get("grids", {}).items():
        one_of(f"distillation.grids.{name}", name, teaching_methods(config))
        check_grids({f"distillation.grids.{name}": methods[name] | {"grid": grid}}, known)
    check_betas(
        methods
        | {name: methods[name] | {"grid": grid} for name, grid in section.get("grids", {}).items()}
    )
    check_pairs(config, section["pairs"], "distillation.pairs")
    recipes = {
        (e["dataset"], e["network"]): (e["recipe"], e.get("hours")) for e in config["experiments"]
    }
    for i, pair in enumerate(section["pairs"]):
        theirs = recipes.get(
            (pair["dataset"], pair["network"]), (pair["recipe"], pair.get("hours"))
        )
        if theirs != (pair["recipe"], pair.get("hours")):
            raise UserError(
                f"config: distillation.pairs[{i}]: "
                f"{pair['dataset']} with {pair['network']} is one of the experiments, too; "
                "give both the same recipe and hours"
            )


def check_synthetic(config):
    """Check what the synthetic study's entries say of each other."""
    section = config["synthetic"]
    inputs = {"onehot", "teacher_logits", "teacher_temperature"}  # what a target may look at there
    methods = plugins("method").items()
    usable = {name: plugin for name, plugin in methods if inputs.issuperset(plugin.inputs)}
    check_grids(listed(section["methods"], "synthetic.methods"), usable)
    known = {kind: set(by_name(section, kind)) for kind in ("geometries", "methods", "setups")}
    for i, entry in enumerate(section["methods"]):
        if (name := entry["name"]) in ("no_ls", "ls") and entry["targets"] != name:
            raise UserError(
                f"config: synthetic.methods[{i}].targets: must be {name}, as the name says; "
                "rename the method"
            )
    check_ranges(section["long_grid"], "synthetic.long_grid")
    check_geometries(section["geometries"])
    for i, setup in enumerate(section["setups"]):
        key = f"synthetic.setups[{i}]"
        one_of(f"{key}.geometry", setup["geometry"], known["geometries"])
        for name in setup["methods"]:
            one_of(f"{key}.methods", name, known["methods"])
        if missing := {"no_ls", "ls"} - set(setup["methods"]):
            raise UserError(
                f"config: {key}.methods: lacks {', '.join(sorted(missing))}, "
                "which every setup needs"
            )
    for name in (*section["tables"], section["figures"]):
        one_of("synthetic.tables, synthetic.figures", name, known["setups"])
    one_of("synthetic.figure5", section["figure5"], known["geometries"])
    shown = by_name(section, "setups")[section["figures"]]
    if not shown.get("long_grid") or "ils1" not in shown["methods"]:
        raise UserError(
            "config: synthetic.figures: "
            f"setup {shown['name']!r} needs method ils1 (Figure 4) and long_grid: true (Figure 11)"
        )
    check_bounds(section["temperature_bounds"], "synthetic.temperature_bounds")


def check_metrics(config):
    """Check that the metrics are known, and that the claims have theirs."""
    names = by_name(config, "metrics")
    for i, name in enumerate(names):
        one_of(f"metrics[{i}].name", name, set(plugins("metric")))
    metrics()  # what their decorators say
    if missing := [name for name in REQUIRED if name not in names]:
        raise UserError(
            f"config: metrics: lacks {', '.join(missing)}, which the paper's claims are about; "
            "add it, with shown: false if Table III shall not have it"
        )
    if not any(entry.get("shown", True) for entry in names.values()):
        raise UserError("config: metrics: none is shown; Table III needs one or more")


def check_geometries(geometries):
    """Check that the covariances are some, and that the weights of a class add up."""
    for i, geometry in enumerate(geometries):
        (a, b), (c, d) = geometry["covariance"]
        if b != c or a <= 0 or a * d <= b * b:
            raise UserError(
                f"config: synthetic.geometries[{i}].covariance: "
                "is not symmetric and positive definite"
            )
        for j, parts in enumerate(geometry["classes"]):
            if abs(sum(part["weight"] for part in parts) - 1) > 1e-9:
                raise UserError(
                    f"config: synthetic.geometries[{i}].classes[{j}]: the weights must add up to 1"
                )


def check_bounds(bounds, key):
    low, high = bounds
    if not low < high:
        raise UserError(
            f"config: {key}: the lower bound {shown(low)} is not below the upper bound "
            f"{shown(high)}"
        )


NAMED = {  # what entries that train a network name: in which section that is
    **{"dataset": "datasets", "network": "networks", "recipe": "recipes"},
    **{"student": "networks", "student_recipe": "recipes"},
}


def references(config):
    """List all names by which a section means entries of another: (key, name, that section)."""
    found = [("teacher", config["teacher"], "methods")]
    distillation, synthetic = config["distillation"], config["synthetic"]
    pairs = listed(config["experiments"], "experiments")
    if distillation:
        pairs |= listed(distillation["pairs"], "distillation.pairs")
        found += [("distillation.teachers", name, "methods") for name in distillation["teachers"]]
    for key, entry in pairs.items():
        named = NAMED.keys() & entry
        found += [(f"{key}.{name}", entry[name], NAMED[name]) for name in NAMED if name in named]
    if synthetic:
        datasets = synthetic["tabular"]["datasets"]
        found += [("synthetic.tabular.datasets", name, "datasets") for name in datasets]
    return found


def check_references(config):
    """Raise one UserError for all sections that name what others do not have."""
    sections = {"methods", *NAMED.values()}
    names = {section: {entry["name"] for entry in config[section]} for section in sections}
    broken: dict[str, tuple] = {}
    for reference in references(config):
        key, name, section = reference
        if name not in names[section]:
            broken.setdefault(re.sub(r"\[\d+\]", "", key), reference)
    if not broken:
        return
    for section in sorted(sections):  # an entry that has another's name is the nearer mistake
        by_name(config, section)
    (key, name, section), *others = broken.values()
    try:
        one_of(key, name, names[section])
    except UserError as error:
        optional = {place.split(".")[0] for place in broken} & {"distillation", "synthetic"}
        nulls = " and ".join(f"`{place}: null`" for place in sorted(optional))
        more = f"; the same of {short(', '.join(k for k, *_ in others), 180)}" if others else ""
        remedy = f"; correct this, or leave it out with {nulls}" if nulls else ""
        raise UserError(f"{short(str(error), 220)}{more}{remedy}") from None


def check(config, schema):
    """Raise UserError unless `config` is one that the workflow can run from its first job to its
    last."""
    check_keys(config)
    check_schema(config, schema)
    check_references(config)
    check_methods(config)
    check_metrics(config)
    for section, decorator, kind in (
        ("datasets", "source", "source"),
        ("networks", "network", "family"),
    ):
        known = plugins(decorator)
        for i, entry in enumerate(config[section]):
            one_of(f"{section}[{i}].{kind}", entry[kind], set(known))
            check_options(
                f"{section}[{i}].options",
                entry["options"],
                known[entry[kind]],
                f"{kind} {entry[kind]!r}",
            )
    check_halving(config)
    check_pairs(config, config["experiments"], "experiments")
    check_calibrators(config)
    labels = [column["column"] for column in columns(config, controls=True)]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(
                f"config: methods: {label!r} is the label of two columns; labels must differ"
            )
    check_bounds(config["teacher_temperature_bounds"], "teacher_temperature_bounds")
    if config["distillation"]:
        check_distillation(config)
    if config["synthetic"]:
        check_synthetic(config)


def check_pairs(config, entries, key):
    """Check entries that train a network on a dataset: that none is there twice, and their
    hours."""
    pairs: set[tuple[str, str]] = set()
    joined: dict[str, tuple[str, str]] = {}
    for i, entry in enumerate(entries):
        pair = entry["dataset"], entry["network"]
        if pair in pairs:
            raise UserError(f"config: {key}[{i}]: {pair[0]} with {pair[1]} is listed twice")
        pairs.add(pair)
        if (other := joined.setdefault("_".join(pair), pair)) != pair:
            raise UserError(
                f"config: {key}[{i}]: the files of {pair[0]} with {pair[1]} and of {other[0]} "
                f"with {other[1]} would have the same names; rename one"
            )
        if entry.get("hours", 0) > config["hours_per_job"]:
            raise UserError(
                f"config: {key}[{i}].hours: {shown(entry['hours'])} is more than hours_per_job "
                f"({shown(config['hours_per_job'])}), but one student cannot be split over jobs; "
                "raise hours_per_job"
            )
