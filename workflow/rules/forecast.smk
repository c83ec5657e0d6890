# Not part of `all`: what is measured on the device of the machine that the job runs on, before the study.
for measurement, what in {
    "forecast": "Measuring training steps of every pair to forecast the study",
    "students_at_once": "Measuring how many students of each network train fastest together",
}.items():

    rule:
        name:
            measurement
        input:
            data=[DATA.format(dataset=name) for name in UNEXPECTED],
            code=code(f"{measurement}.py"),
        output:
            f"results/{measurement}.csv",
        log:
            f"results/logs/{measurement}.log",
        conda:
            "../../envs/torch.yaml"
        resources:
            gpu=study.gpus(config, NETWORKS.values()),
        params:
            config={key: value for key, value in config.items() if key != "synthetic"},
            data=UNEXPECTED,
            code=fingerprint("networks", *(n["family"] for n in NETWORKS.values())),
        message:
            what
        script:
            f"../../scripts/{measurement}.py"
