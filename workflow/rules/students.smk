# One job trains one shard of a method's grid in one cell. The teacher is a method too, one that needs no teacher.
rule students:
    input:
        unpack(taught_by),
        data=DATA,
        split=SPLIT,
        code=code("train_students.py"),
    output:
        SHARD,
    log:
        "results/logs/students/{dataset}-{network}-seed{seed}-{method}-{shard}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        device=config["device"],
        augmentation=augmentation_of,
        network=network_of,
        recipe=recipe_of,
        method=method_of,
        bounds=config["temperature_bounds"],
    message:
        "Training {wildcards.method} students, shard {wildcards.shard}: {wildcards.dataset} {wildcards.network} seed {wildcards.seed}"
    script:
        "../../scripts/train_students.py"


rule evaluate:
    input:
        unpack(lambda w: {method: shard_files(w, method) for method in METHODS}),
        data=DATA,
        split=SPLIT,
        code=code("evaluate.py"),
    output:
        PREDICTIONS,
    log:
        "results/logs/evaluate/{dataset}-{network}-seed{seed}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        device=config["device"],
        augmentation=augmentation_of,
        network=network_of,
        columns=COLUMNS,
        methods=list(METHODS),
        bounds=config["temperature_bounds"],
    message:
        "Selecting and testing all methods: {wildcards.dataset} {wildcards.network} seed {wildcards.seed}"
    script:
        "../../scripts/evaluate.py"
