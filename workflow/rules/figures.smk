# Figures of each dataset x network pair, drawn from its predictions; one process draws those of all pairs.
PAIR_FIGURES = {
    "reliability": (CALIBRATION, "Confidence (Eq. 1)"),
    "classwise": (CALIBRATION, "Classwise (Eq. 2)"),
    "grids": (HYPERPARAMETERS, "Grids"),
    "training": (TRAINING, "Curves"),
}


rule calibration_figures:
    input:
        predictions=files(PREDICTIONS, CELLS),
        code=code("calibration_figures.py"),
    output:
        pair_figures("reliability"),
        pair_figures("classwise"),
    log:
        "results/logs/calibration_figures.log",
    conda:
        "../../envs/stats.yaml"
    params:
        jobs=drawing_jobs(
            ["reliability", "classwise"],
            columns=[column["column"] for column in COLUMNS],
        ),
    message:
        "Drawing the reliability diagrams of every pair"
    script:
        "../../scripts/calibration_figures.py"


rule training_figures:
    input:
        predictions=files(PREDICTIONS, CELLS),
        code=code("training_figures.py"),
    output:
        pair_figures("grids"),
        pair_figures("training"),
    log:
        "results/logs/training_figures.log",
    conda:
        "../../envs/stats.yaml"
    params:
        jobs=drawing_jobs(
            ["grids", "training"],
            columns=COLUMNS,
            hyperparameters={name: list(m["grid"]) for name, m in METHODS.items()},
        ),
    message:
        "Drawing the grids and training curves of every pair"
    script:
        "../../scripts/training_figures.py"
