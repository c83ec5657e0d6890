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
        data=lambda w: files(DATA, plan.cells(w.batch)),
        code=code("split_datasets.py"),
    output:
        SPLITS,
    log:
        "results/logs/split/{batch}.log",
    priority: plan.first
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        splits=lambda w: plan.splits(w.batch),
    message:
        "Splitting the data: {wildcards.batch}"
    script:
        "../../scripts/split_datasets.py"
