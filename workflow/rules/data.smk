rule dataset:
    input:
        local_files,
        code=code("prepare_dataset.py"),
    output:
        DATA,
    log:
        "results/logs/dataset/{dataset}.log",
    priority: FIRST
    conda:
        "../../envs/torch.yaml"
    params:
        dataset=dataset_of,
    message:
        "Preparing {wildcards.dataset}"
    script:
        "../../scripts/prepare_dataset.py"


rule split:
    input:
        data=DATA,
        code=code("split_dataset.py"),
    output:
        SPLIT,
    log:
        "results/logs/split/{dataset}-seed{seed}.log",
    priority: FIRST
    conda:
        "../../envs/stats.yaml"
    params:
        dataset=split_of,
    message:
        "Splitting {wildcards.dataset} by seed {wildcards.seed}"
    script:
        "../../scripts/split_dataset.py"
