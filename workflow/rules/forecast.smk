# Not part of `all`: what is measured on the device of the machine that the job runs on, before the study.
rule forecast:
    input:
        data=expand(DATA, dataset=plan.unexpected),
        code=code("forecast.py"),
    output:
        "results/forecast.csv",
    log:
        "results/logs/forecast.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=plan.gpus(*plan.networks),
    params:
        **plan.measuring,
    message:
        "Measuring training steps of every pair to forecast the study"
    script:
        "../../scripts/forecast.py"


rule students_at_once:
    input:
        data=expand(DATA, dataset=plan.unexpected),
        code=code("students_at_once.py"),
    output:
        "results/students_at_once.csv",
    log:
        "results/logs/students_at_once.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=plan.gpus(*plan.networks),
    params:
        **plan.measuring,
    message:
        "Measuring how many students of each network train fastest together"
    script:
        "../../scripts/students_at_once.py"
