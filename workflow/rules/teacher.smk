def soft_targets_of(wildcards):
    """The soft targets, for a method whose targets look at the teacher."""
    inputs = TARGETS[METHODS[wildcards.method]["targets"]].inputs
    return {"soft_targets": SOFT_TARGETS.format(**wildcards)} if any("teacher" in name for name in inputs) else {}


rule soft_targets:
    message:
        "Making soft targets: {wildcards.dataset} {wildcards.network} seed {wildcards.seed}"
    input:
        data=DATA,
        split=SPLIT,
        shards=lambda w: shard_files(w, config["teacher"]),
        code=code("soft_targets.py"),
    output:
        SOFT_TARGETS,
    params:
        device=config["device"],
        augmentation=augmentation_of,
        network=network_of,
        bounds=config["temperature_bounds"],
    log:
        "results/logs/soft_targets/{dataset}-{network}-seed{seed}.log",
    conda:
        "../../envs/torch.yaml"
    script:
        "../../scripts/soft_targets.py"
