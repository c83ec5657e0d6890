# Not part of `all`: what is measured on the device of the machine that the job runs on, before the study.
rule measurement:
    input:
        data=[DATA.format(dataset=name) for name in UNEXPECTED],
        code=lambda w: code(f"{w.measurement}.py"),
    output:
        "results/{measurement}.csv",
    log:
        "results/logs/{measurement}.log",
    wildcard_constraints:
        measurement="forecast|students_at_once",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=study.gpus(config, NETWORKS.values()),
    params:
        config={key: value for key, value in config.items() if key != "synthetic"},
        data=UNEXPECTED,
        code=fingerprint("networks", *(n["family"] for n in NETWORKS.values())),
    message:
        "Measuring training steps of the networks: {wildcards.measurement}"
    script:
        "../../scripts/{wildcards.measurement}.py"
