# Figures of each dataset x network pair, drawn from its predictions; one process draws those of all pairs.
rule calibration_figures:
    input:
        predictions=files(PREDICTIONS, plan.predicted(sum(plan.drawn_pairs, []))),
        code=code("calibration_figures.py"),
    output:
        [
            in_report(*output)
            for output in artefacts.pair_figures("reliability", "classwise").items()
        ],
    log:
        "results/logs/calibration_figures.log",
    conda:
        "../../envs/stats.yaml"
    params:
        pairs=plan.drawn_pairs,
        columns=[column["column"] for column in plan.columns],
        uses=uses("calibration_figures.py"),
    message:
        "Drawing the reliability diagrams of every pair"
    script:
        "../../scripts/calibration_figures.py"


rule training_figures:
    input:
        predictions=files(PREDICTIONS, plan.predicted(sum(plan.drawn_pairs, []))),
        code=code("training_figures.py"),
    output:
        [
            in_report(*output)
            for output in artefacts.pair_figures("grids", "training").items()
        ],
    log:
        "results/logs/training_figures.log",
    conda:
        "../../envs/stats.yaml"
    params:
        pairs=plan.drawn_pairs,
        columns=plan.columns,
        hyperparameters={name: list(m["grid"]) for name, m in plan.methods.items()},
    message:
        "Drawing the grids and training curves of every pair"
    script:
        "../../scripts/training_figures.py"
