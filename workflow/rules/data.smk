rule dataset:
    message:
        "Preparing {wildcards.dataset}"
    input:
        code=code("prepare_dataset.py"),
    output:
        DATA,
    params:
        dataset=lambda w: {key: DATASETS[w.dataset][key] for key in ("name", "source", "options")},
    log:
        "results/logs/dataset/{dataset}.log",
    conda:
        "../../envs/stats.yaml"
    script:
        "../../scripts/prepare_dataset.py"


rule split:
    message:
        "Splitting {wildcards.dataset} by seed {wildcards.seed}"
    input:
        data=DATA,
        code=code("split_dataset.py"),
    output:
        SPLIT,
    params:
        dataset=lambda w: {key: DATASETS[w.dataset][key] for key in ("name", "test", "validation")},
    log:
        "results/logs/split/{dataset}-seed{seed}.log",
    conda:
        "../../envs/stats.yaml"
    script:
        "../../scripts/split_dataset.py"
