# What a search of so many trainings reaches: who searches more finds the better by chance.
rule grid_metrics:
    input:
        predictions=files(PREDICTIONS, plan.predicted(plan.compared)),
        code=code("grid_metrics.py"),
    output:
        "results/grid_metrics.csv",
    log:
        "results/logs/grid_metrics.log",
    conda:
        "../../envs/stats.yaml"
    params:
        cells=plan.compared,
        labels={name: method["label"] for name, method in plan.methods.items()},
        scalings=plan.scalings,
        uses=uses("grid_metrics.py"),
    message:
        "Listing the metrics of every student"
    script:
        "../../scripts/grid_metrics.py"


rule budget:
    input:
        metrics="results/grid_metrics.csv",
        code=code("budget.py"),
    output:
        budget="results/budget.csv",
        equal="results/equal_budget.csv",
        figures=[in_report(*output) for output in artefacts.budget().items()],
    log:
        "results/logs/budget.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=plan.budgeted,
        columns=plan.searched,
        reference=(plan.reference,),
        pairs=plan.matched,
        uses=uses("budget.py"),
    message:
        "Comparing the methods by what so many trainings reach"
    script:
        "../../scripts/budget.py"
