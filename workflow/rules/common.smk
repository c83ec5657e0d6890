# The checked config, its cells, and what several stages need.
import functools
import os
import re
import sys
from pathlib import Path

import yaml
from snakemake.logging import logger

REPOSITORY = Path(workflow.basedir).parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from ils import config as study
from ils import paper
from ils.errors import UserError
from ils.plugins import fingerprint, modules_of, plugins

fingerprint = functools.cache(fingerprint)  # hundreds of jobs ask for the same few

try:
    study.check(
        config,
        yaml.safe_load(
            Path(workflow.basedir, "schemas", "config.schema.yaml").read_text()
        ),
    )
except UserError as error:
    raise WorkflowError(str(error))

config = study.ordered(config)
DATASETS = study.by_name(config, "datasets")
NETWORKS = study.by_name(config, "networks")
RECIPES = study.by_name(config, "recipes")
METHODS = study.by_name(config, "methods")
EXPERIMENTS = {(e["dataset"], e["network"]): e for e in config["experiments"]}
CELLS = study.cells(config)
BATCHES = study.batches(config)
COLUMNS = study.columns(config)
TARGETS = plugins("methods", "method")
SYNTHETIC = config["synthetic"]
# Datasets of the experiments whose sizes are not known before they are prepared.
UNEXPECTED = [
    name
    for name in dict.fromkeys(cell["dataset"] for cell in CELLS)
    if "expect" not in DATASETS[name]
]

if workflow.is_main_process:
    logger.info(study.summary(config))

CELL = "results/{dataset}/{network}/seed{seed}"
DATA = "results/{dataset}/data.safetensors"
SPLIT = "results/{dataset}/seed{seed}/split.safetensors"
SHARD = f"{CELL}/{{method}}/shard{{shard}}.safetensors"
SOFT_TARGETS = f"{CELL}/soft_targets.safetensors"
PREDICTIONS = f"{CELL}/predictions.safetensors"
# The user's, before the one that the Snakefile names.
CONFIG_FILE = Path((workflow.overwrite_configfiles or workflow.configfiles)[-1]).name
PRINTED = os.path.relpath(REPOSITORY / "config/published")


wildcard_constraints:
    dataset="|".join(map(re.escape, DATASETS)),
    network="|".join(map(re.escape, NETWORKS)),
    method="|".join(map(re.escape, METHODS)),
    seed=r"\d+",
    shard=r"\d+",


@functools.cache
def code(script):
    """The library files that a script of scripts/ uses: an edit to one of them reruns the rule.

    Relative, so that a clone that moves to another folder has nothing to do again.
    """
    return [
        os.path.relpath(path) for path in modules_of(REPOSITORY / "scripts" / script)
    ]


def dataset_of(wildcards):
    """What decides a dataset's file, its source's code included."""
    dataset = DATASETS[wildcards.dataset]
    kept = {
        k: dataset[k] for k in ("name", "source", "options", "expect") if k in dataset
    }
    return kept | {"code": fingerprint("datasets", dataset["source"], "check")}


def local_files(wildcards):
    """The files that a dataset's options name: a newer one is prepared again."""
    options = DATASETS[wildcards.dataset]["options"].values()
    return [
        value for value in options if isinstance(value, str) and os.path.isfile(value)
    ]


def split_of(wildcards):
    """What decides a dataset's splits, beside the seed."""
    dataset = DATASETS[wildcards.dataset]
    return {
        k: dataset[k] for k in ("name", "test", "validation", "train") if k in dataset
    }


def files(pattern, cells):
    """The file of each cell."""
    return [pattern.format(**cell) for cell in cells]


def where(cells):
    """The cells of a batch in words."""
    pairs = ", ".join(f"{cell['dataset']} {cell['network']}" for cell in cells)
    return f"{pairs}, seed {cells[0]['seed']}"


def shards(cells, method):
    """How many jobs train the grid of a method in each cell of a batch."""
    experiment = EXPERIMENTS[cells[0]["dataset"], cells[0]["network"]]
    return study.shards(METHODS[method], study.students_per_job(config, experiment))


def shard_files(cells, method):
    """The files of all shards of a method, the cells of a batch one after another."""
    return [
        SHARD.format(**cell, method=method, shard=shard)
        for cell in cells
        for shard in range(shards(cells, method))
    ]


def of_cell(cell):
    """What every job on a cell is told: files, names, and the smallest part of the config that decides its results."""
    network = NETWORKS[cell["network"]]
    kept = {key: network[key] for key in ("family", "options", "students_at_once")}
    return {
        "data": DATA.format(**cell),
        "split": SPLIT.format(**cell),
        "job": f"{cell['dataset']} {cell['network']} seed {cell['seed']}",
        "device": config["device"],
        "augmentation": DATASETS[cell["dataset"]]["augmentation"],
        "network": kept
        | {"code": fingerprint("networks", network["family"], "build", "restore")},
        "bounds": config["temperature_bounds"],
    }


def recipe_of(cell):
    """The cell's training recipe, without its name: renaming one retrains nothing."""
    recipe = RECIPES[EXPERIMENTS[cell["dataset"], cell["network"]]["recipe"]]
    return {key: value for key, value in recipe.items() if key != "name"}


def needs_teacher(method):
    """Whether the targets of a method look at the teacher."""
    return TARGETS[METHODS[method]["targets"]].needs_teacher


def training_of(cell, wildcards):
    """One training on a cell: a shard of a method's grid, the code of its targets, and whom it learns from."""
    method = METHODS[wildcards.method]
    inherited = method.get("inherit", {})
    soft_targets = SOFT_TARGETS.format(**cell)
    kept = {key: method[key] for key in ("targets", "grid", "temperature_scaling")}
    common = of_cell(cell)
    return common | {
        "job": f"{common['job']} {method['name']}",
        "recipe": recipe_of(cell),
        "seed": cell["seed"],
        "method": kept
        | {
            "inputs": method.get("inputs", {}),
            "shards": shards([cell], method["name"]),
            "code": fingerprint("methods", method["targets"]),
        },
        "shard": int(wildcards.shard),
        "soft_targets": soft_targets if needs_teacher(method["name"]) else None,
        "inherited": {
            name: shard_files([cell], source) for name, source in inherited.items()
        },
        "output": SHARD.format(**cell, **wildcards),
    }


def learnt_from(cells, wildcards):
    """The soft targets of a method with a teacher, and the students that it inherits from."""
    teachers = files(SOFT_TARGETS, cells) if needs_teacher(wildcards.method) else []
    sources = METHODS[wildcards.method].get("inherit", {}).values()
    return teachers + [file for s in sources for file in shard_files(cells, s)]


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


def replicate_options(wildcards):
    """What decides a replicate beside its setup and methods, the code of the targets included."""
    keys = (*DRAWN, "temperature_bounds", "training")
    options = {key: SYNTHETIC[key] for key in keys}
    if SETUPS[wildcards.setup].get("long_grid"):
        options["long_grid"] = SYNTHETIC["long_grid"]
    used = {method["targets"] for method in methods_of_setup(wildcards)} | {"ils1"}
    return options | {"code": fingerprint("methods", *sorted(used))}
