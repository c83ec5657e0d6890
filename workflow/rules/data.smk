rule dataset:
    input:
        lambda w: [path for path in plan.local_files(w.dataset) if os.path.isfile(path)],
        code=code("prepare_dataset.py"),
    output:
        DATA,
    log:
        "results/logs/dataset/{dataset}.log",
    priority: plan.first
    localrule: True
    conda:
        "../../envs/torch.yaml"
    params:
        dataset=lambda w: plan.dataset(w.dataset),
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
    priority: plan.first
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        dataset=lambda w: plan.split(w.dataset),
    message:
        "Splitting {wildcards.dataset} by seed {wildcards.seed}"
    script:
        "../../scripts/split_dataset.py"
