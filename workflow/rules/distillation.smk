# Table IV: students of another network learn from the best students of several methods, all of a pair's in one job.
use rule train_students as distil with:
    log:
        "results/logs/distil/{batch}-{round}-{shard}.log",
    wildcard_constraints:
        round=DISTILLED,
    message:
        "Distilling students: {wildcards.batch}"


use rule metrics as distillation_metrics with:
    input:
        predictions=files(PREDICTIONS, plan.predicted(plan.taught)),
        code=code("compute_metrics.py"),
    output:
        metrics="results/distillation.csv",
        intervals="results/distillation_intervals.csv",
    log:
        "results/logs/distillation_metrics.log",
    params:
        cells=plan.taught,
        draws=config["label_draws"],
        metrics=plan.metrics,
        metric_code=plan.metric_code,
        uses=uses("compute_metrics.py"),
    message:
        "Computing the metrics of distilled students"


rule table4:
    input:
        metrics="results/distillation.csv",
        printed=own("config/published/table4.csv"),
        code=code("table4.py"),
    output:
        tex="results/table4.tex",
        csv="results/table4.csv",
    log:
        "results/logs/table4.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=plan.required,
        labels={t: plan.methods[t]["label"] for t in plan.distillation["teachers"]},
    message:
        "Comparing distilled students with the paper's Table IV"
    script:
        "../../scripts/table4.py"
