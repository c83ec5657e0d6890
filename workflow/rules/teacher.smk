rule soft_targets:
    input:
        data=DATA,
        split=SPLIT,
        shards=lambda w: shard_files(w, config["teacher"]),
        code=code("soft_targets.py"),
    output:
        SOFT_TARGETS,
    log:
        "results/logs/soft_targets/{dataset}-{network}-seed{seed}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        device=config["device"],
        augmentation=augmentation_of,
        network=network_of,
        bounds=config["temperature_bounds"],
    message:
        "Making soft targets: {wildcards.dataset} {wildcards.network} seed {wildcards.seed}"
    script:
        "../../scripts/soft_targets.py"
