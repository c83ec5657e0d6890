# The six-Gaussian task: some replicates of one setup a job, then the tables and figures of all.
SYNTHETIC = config["synthetic"]
SETUPS = study.by_name(SYNTHETIC, "setups")


wildcard_constraints:
    setup="|".join(map(re.escape, SETUPS)),
    first=r"\d+",
    last=r"\d+",


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
    geometry = study.by_name(SYNTHETIC, "geometries")[setup["geometry"]]
    return setup | {"geometry": geometry}


def methods_of_setup(wildcards):
    names = SETUPS[wildcards.setup]["methods"]
    return [method for method in SYNTHETIC["methods"] if method["name"] in names]


def replicate_options(wildcards):
    """What decides a replicate beside its setup and methods, the code of the targets included."""
    keys = (
        "seed",
        "training_per_class",
        "validation_per_class",
        "test_per_class",
        "temperature_bounds",
        "training",
    )
    options = {key: SYNTHETIC[key] for key in keys}
    if SETUPS[wildcards.setup].get("long_grid"):
        options["long_grid"] = SYNTHETIC["long_grid"]
    used = {method["targets"] for method in methods_of_setup(wildcards)} | {"ils1"}
    return options | {"code": fingerprint("methods", *sorted(used))}


rule synthetic_replicates:
    input:
        code=code("synthetic_replicates.py"),
    output:
        models="results/synthetic/{setup}/replicates{first}-{last}.csv",
        figures="results/synthetic/{setup}/replicates{first}-{last}.safetensors",
    log:
        "results/logs/synthetic/{setup}-{first}-{last}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        setup=setup_of,
        methods=methods_of_setup,
        options=replicate_options,
    message:
        "Synthetic study, {wildcards.setup}: replicates {wildcards.first} to {wildcards.last}"
    script:
        "../../scripts/synthetic_replicates.py"
