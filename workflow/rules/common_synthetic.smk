# What the synthetic study's rules are told.
def replicate_files(setups, kind):
    """The files of all jobs of some setups: {setup: [paths]}."""
    step, count = SYNTHETIC["replicates_per_job"], SYNTHETIC["replicates"]
    jobs = [(first, min(first + step, count) - 1) for first in range(0, count, step)]
    return {
        setup: [f"results/synthetic/{setup}/replicates{a}-{b}.{kind}" for a, b in jobs]
        for setup in setups
    }


def setup_of(wildcards):
    """A setup with its geometry in place of its name."""
    setup = SETUPS[wildcards.setup]
    return setup | {"geometry": GEOMETRIES[setup["geometry"]]}


def methods_of_setup(wildcards):
    names = SETUPS[wildcards.setup]["methods"]
    return [method for method in SYNTHETIC["methods"] if method["name"] in names]


def urgency_of_setup(wildcards):
    """The priority of a setup: what its students' layers add up to, on the scale of a grid's students; small ones follow these."""
    setup = SETUPS[wildcards.setup]
    grids = [method["grid"] for method in methods_of_setup(wildcards)]
    grids += [SYNTHETIC["long_grid"]] if setup.get("long_grid") else []
    return sum(map(study.points, grids)) * len(setup["hidden"]) / 100


def replicate_options(wildcards):
    """What decides a replicate beside its setup and methods, the code of the targets included."""
    keys = (*DRAWN, "temperature_bounds", "training")
    options = {key: SYNTHETIC[key] for key in keys}
    if SETUPS[wildcards.setup].get("long_grid"):
        options["long_grid"] = SYNTHETIC["long_grid"]
    used = {method["targets"] for method in methods_of_setup(wildcards)} | {"ils1"}
    return options | {"code": fingerprint("methods", *sorted(used))}
