# Table IV: students of another network learn from the selected students of several methods, all of a pair's in one job.
DISTILLATION_OUTPUTS = [
    "results/distillation.csv",
    *multiext("results/table4", ".tex", ".csv"),
]


if DISTILLATION:
    DISTILLED = f"{CELL}/distilled/students.safetensors"
    DISTILLED_PREDICTIONS = f"{CELL}/distilled/predictions.safetensors"
    TEACHERS = DISTILLATION["teachers"]

    rule distil:
        input:
            data=DATA,
            split=of_every_seed(SPLIT),
            teachers=[
                of_every_seed(SOFT_TARGETS, method=teacher) for teacher in TEACHERS
            ],
            code=code("train_students.py"),
        output:
            of_every_seed(DISTILLED),
        log:
            "results/logs/distil/{dataset}_{network}.log",
        priority: FIRST
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            **asking(students_of, teachers=len(TEACHERS)),
        params:
            jobs=lambda w: [distilling(cell) for cell in taught(w)],
        message:
            "Distilling students from {wildcards.network} teachers: {wildcards.dataset}"
        script:
            "../../scripts/train_students.py"

    rule evaluate_distilled:
        input:
            data=DATA,
            split=of_every_seed(SPLIT),
            students=of_every_seed(DISTILLED),
            code=code("evaluate.py"),
        output:
            of_every_seed(DISTILLED_PREDICTIONS),
        log:
            "results/logs/evaluate_distilled/{dataset}_{network}.log",
        priority: FIRST
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            **asking(students_of),
        params:
            jobs=lambda w: [testing_distilled(cell) for cell in taught(w)],
        message:
            "Testing the students of {wildcards.network} teachers: {wildcards.dataset}"
        script:
            "../../scripts/evaluate.py"

    rule distillation_metrics:
        input:
            predictions=files(DISTILLED_PREDICTIONS, TAUGHT),
            code=code("compute_metrics.py"),
        output:
            metrics="results/distillation.csv",
            intervals="results/distillation_intervals.csv",
        log:
            "results/logs/distillation_metrics.log",
        conda:
            "../../envs/stats.yaml"
        params:
            cells=[cell | {"student": student_of(cell)} for cell in TAUGHT],
            draws=config["bootstrap"],
        message:
            "Computing the metrics of distilled students"
        script:
            "../../scripts/compute_metrics.py"

    rule table4:
        input:
            metrics="results/distillation.csv",
            printed=f"{PRINTED}/table4.csv",
            code=code("table4.py"),
        output:
            tex="results/table4.tex",
            csv="results/table4.csv",
        log:
            "results/logs/table4.log",
        conda:
            "../../envs/stats.yaml"
        params:
            labels={name: METHODS[name]["label"] for name in TEACHERS},
        message:
            "Comparing distilled students with the paper's Table IV"
        script:
            "../../scripts/table4.py"
