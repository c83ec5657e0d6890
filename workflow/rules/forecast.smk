# Not part of `all`: what the study will cost on the machine that this job runs on.
rule forecast:
    input:
        data=[DATA.format(dataset=name) for name in UNEXPECTED],
        code=code("forecast.py"),
    output:
        "results/forecast.csv",
    log:
        "results/logs/forecast.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=study.gpus(config, NETWORKS.values()),
    params:
        config={key: value for key, value in config.items() if key != "synthetic"},
        data=UNEXPECTED,
        code=fingerprint("networks", *(n["family"] for n in NETWORKS.values())),
    message:
        "Measuring training steps of every pair to forecast the study"
    script:
        "../../scripts/forecast.py"
