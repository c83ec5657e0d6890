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

from ils.plan import checks as study
from ils import paper
from ils.training import devices
from ils.errors import UserError
from ils.plan.plugins import fingerprint, modules_of, plugins

os.environ.setdefault(*devices.LARGE_PAGES)  # jobs inherit it

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
TAUGHT = study.cells(config, "distillation")
TRAINED = study.trained(config)
BATCHES = study.batches(config)
COLUMNS = study.columns(config)
TARGETS = plugins("methods", "method")
SYNTHETIC, DISTILLATION = config["synthetic"], config["distillation"]
# Datasets whose networks are trained and whose sizes are not known before they are prepared.
UNEXPECTED = [
    name
    for name in dict.fromkeys(cell["dataset"] for cell in CELLS + TAUGHT)
    if "expect" not in DATASETS[name]
]

if workflow.is_main_process:
    logger.info(study.summary(config))
    # Without a number Snakemake would start as many GPU jobs as there are cores. A cluster (_nodes) counts its own.
    here = workflow.global_resources["_nodes"].value is None
    gpus = devices.count(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if here and gpus and "gpu" not in workflow.global_resources:
        workflow.register_resource("gpu", gpus)

# Priorities: what others wait for, then the long jobs, so that short ones fill the cores at the end. Where networks run on
# GPUs, all that leads to predictions comes before the synthetic study, and no GPU stands idle for want of a core.
NETWORKS_FIRST = 1000 * study.gpus(config, NETWORKS.values())
FIRST = NETWORKS_FIRST + 100

CELL = "results/{dataset}/{network}/seed{seed}"
DATA = "results/{dataset}/data.safetensors"
SPLIT = "results/{dataset}/seed{seed}/split.safetensors"
SHARD = f"{CELL}/{{method}}/shard{{shard}}.safetensors"
SOFT_TARGETS = f"{CELL}/{{method}}/soft_targets.safetensors"
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


def asking(cells, teachers=0, students=lambda cells, wildcards: 1):
    """The resources of a job on these cells, or on those that a function of the wildcards returns.

    At every further attempt it asks for more memory and time. students: how many of them one job trains.
    """

    def needed(wildcards):
        those = cells(wildcards) if callable(cells) else cells
        return study.needs(config, those, students(those, wildcards), teachers)

    return {
        "gpu": lambda wildcards: needed(wildcards)["gpu"],
        "mem_mb": lambda wildcards, attempt: attempt * needed(wildcards)["mem_mb"],
        "runtime": lambda wildcards, attempt: attempt * needed(wildcards)["runtime"],
    }


def most_students(cells, wildcards):
    """How many students the larger shards of a method's grid train in each cell."""
    grid = study.grid_of(config, cells[0], wildcards.method)
    return -(-study.points(grid) // shards(cells, wildcards.method))


def urgency_of_students(cells, wildcards):
    """The priority of training a method: the teacher first, then the larger the grid the earlier."""
    if wildcards.method == config["teacher"]:
        return FIRST
    return NETWORKS_FIRST + most_students(cells, wildcards)


def where(cells):
    """The cells of a batch in words."""
    pairs = ", ".join(f"{cell['dataset']} {cell['network']}" for cell in cells)
    return f"{pairs}, seed {cells[0]['seed']}"


def shards(cells, method):
    """How many jobs train the grid of a method in each cell of a batch."""
    pair = TRAINED[cells[0]["dataset"], cells[0]["network"]]
    grid = study.grid_of(config, cells[0], method)
    return study.shards(grid, study.students_per_job(config, pair))


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
    return {
        "data": DATA.format(**cell),
        "split": SPLIT.format(**cell),
        "job": f"{cell['dataset']} {cell['network']} seed {cell['seed']}",
        "device": study.device_of(config, network),
        "augmentation": DATASETS[cell["dataset"]]["augmentation"],
        "network": study.trained_as(network)
        | {"code": fingerprint("networks", network["family"], "build", "restore")},
        "bounds": config["temperature_bounds"],
    }


def recipe_of(cell, key="recipe"):
    """The training recipe that a cell's pair names under `key`, without its name: renaming one retrains nothing."""
    recipe = RECIPES[TRAINED[cell["dataset"], cell["network"]][key]]
    return {key: value for key, value in recipe.items() if key != "name"}


def teachers_of(cells, method):
    """The files of the soft targets that a method's targets look at, if any."""
    if not TARGETS[METHODS[method]["targets"]].needs_teacher:
        return []
    return [SOFT_TARGETS.format(**cell, method=config["teacher"]) for cell in cells]


def training_of(cell, wildcards):
    """One training on a cell: a shard of a method's grid, the code of its targets, and whom it learns from."""
    method = METHODS[wildcards.method]
    inherited = method.get("inherit", {})
    kept = {key: method[key] for key in ("targets", "temperature_scaling")}
    common = of_cell(cell)
    return common | {
        "job": f"{common['job']} {method['name']}",
        "recipe": recipe_of(cell),
        "seed": cell["seed"],
        "method": kept
        | {
            "grid": study.grid_of(config, cell, method["name"]),
            "inputs": method.get("inputs", {}),
            "shards": shards([cell], method["name"]),
            "code": fingerprint("methods", method["targets"]),
        },
        "shard": int(wildcards.shard),
        "soft_targets": teachers_of([cell], method["name"]),
        "inherited": {
            name: shard_files([cell], source) for name, source in inherited.items()
        },
        "output": SHARD.format(**cell, **wildcards),
    }


def learnt_from(cells, wildcards):
    """The soft targets of a method with a teacher, and the students that it inherits from."""
    sources = METHODS[wildcards.method].get("inherit", {}).values()
    inherited = [file for source in sources for file in shard_files(cells, source)]
    return teachers_of(cells, wildcards.method) + inherited
