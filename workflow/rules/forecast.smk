# Not part of `all`: what is measured on the device of the machine that the job runs on, before the study.
MEASURING = {
    "resources": {"gpu": study.gpus(config, NETWORKS.values())},
    "params": {
        "config": {key: value for key, value in config.items() if key != "synthetic"},
        "data": UNEXPECTED,
        "code": fingerprint("networks", *(n["family"] for n in NETWORKS.values())),
    },
}


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
        **MEASURING["resources"],
    params:
        **MEASURING["params"],
    message:
        "Measuring training steps of every pair to forecast the study"
    script:
        "../../scripts/forecast.py"


rule students_at_once:
    input:
        data=[DATA.format(dataset=name) for name in UNEXPECTED],
        code=code("students_at_once.py"),
    output:
        "results/students_at_once.csv",
    log:
        "results/logs/students_at_once.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        **MEASURING["resources"],
    params:
        **MEASURING["params"],
    message:
        "Measuring how many students of each network train fastest together"
    script:
        "../../scripts/students_at_once.py"
