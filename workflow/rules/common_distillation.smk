# What the distillation's rules are told.
def of_every_seed(pattern, **fields):
    """The files of a pair in every seed of the distillation, dataset and network left open."""
    fields = {"dataset": "{dataset}", "network": "{network}"} | fields
    return [pattern.format(seed=seed, **fields) for seed in DISTILLATION["seeds"]]


def taught(wildcards):
    """The cells of a pair that teaches."""
    pair = wildcards.dataset, wildcards.network
    return [cell for cell in TAUGHT if (cell["dataset"], cell["network"]) == pair]


def student_of(cell):
    """The network that learns from a cell's."""
    return TRAINED[cell["dataset"], cell["network"]]["student"]


def students_of(wildcards):
    """The cells of a pair that teaches, and whom."""
    return [cell | {"student": student_of(cell)} for cell in taught(wildcards)]


def of_student(cell):
    """What jobs on the distilled students of a cell are told."""
    common = of_cell(cell | {"network": student_of(cell)})
    return common | {"job": f"{common['job']} taught by {cell['network']}"}


def distilling(cell):
    """The training of a cell's students, which share all but their teachers."""
    method = study.distillation_method(config)
    kept = {key: method[key] for key in ("targets", "grid", "inputs")}
    of_targets = fingerprint("methods", method["targets"])
    return of_student(cell) | {
        "recipe": recipe_of(cell, "student_recipe"),
        "seed": cell["seed"],
        "method": kept
        | {"temperature_scaling": "none", "shards": 1, "apart": "teacher"}
        | {"code": of_targets},
        "shard": 0,
        "soft_targets": [SOFT_TARGETS.format(**cell, method=m) for m in TEACHERS],
        "inherited": {},
        "output": DISTILLED.format(**cell),
    }


def testing_distilled(cell):
    """The test of a cell's students: of each teacher the best by validation cross-entropy."""
    columns = [
        {"column": teacher, "method": "distilled", "scaling": "none"}
        | {"among": {"teacher": number}}
        for number, teacher in enumerate(TEACHERS)
    ]
    return of_student(cell) | {
        "shards": {"distilled": [DISTILLED.format(**cell)]},
        "columns": columns,
        "output": DISTILLED_PREDICTIONS.format(**cell),
    }
