# The paper's chain: a teacher, its temperature, its soft targets, the students, their logits. A batch is some cells
# (dataset x network x seed) that one process trains, one after another; its files hold each under the cell's name. A
# round is the methods whose students train together: those that need the same, or one alone.
rule train_students:
    input:
        data=lambda w: files(DATA, plan.cells(w.batch)),
        splits=SPLITS,
        soft_targets=lambda w: files(SOFT_TARGETS, plan.teachers(w.batch, w.round)),
        fits=lambda w: files(TEMPERATURES, plan.fits(w.batch, w.round)),
        code=code("train_students.py"),
    output:
        students=STUDENTS,
        test_logits=TEST_LOGITS,
    log:
        "results/logs/train_students/{batch}-{round}-{shard}.log",
    wildcard_constraints:
        round=plan.among(*plan.later_rounds),
    priority: lambda w: plan.urgency(w.batch, w.round)
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **resources_of(lambda w: plan.needs(w.batch, w.round)),
    params:
        training=lambda w: plan.training(w.batch, w.round),
    message:
        "Training {wildcards.round} students, shard {wildcards.shard}: {wildcards.batch}"
    script:
        "../../scripts/train_students.py"


# A teacher is a student without a teacher.
use rule train_students as train_teacher with:
    log:
        "results/logs/train_teacher/{batch}-{round}-{shard}.log",
    wildcard_constraints:
        round=plan.among(plan.round_of(plan.teacher)),
    message:
        "Training the teachers, {wildcards.round}, shard {wildcards.shard}: {wildcards.batch}"


rule fit_temperature:
    input:
        students=lambda w: files(STUDENTS, plan.shards(w.batch, w.round)),
        code=code("fit_temperature.py"),
    output:
        TEMPERATURES,
    log:
        "results/logs/fit_temperature/{batch}-{round}.log",
    priority: plan.first
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        cells=lambda w: plan.cells_of(w.batch),
        methods=lambda w: plan.fitted(w.batch, w.round),
        bounds=config["teacher_temperature_bounds"],
        uses=uses("fit_temperature.py"),
    message:
        "Fitting the temperatures of {wildcards.round}: {wildcards.batch}"
    script:
        "../../scripts/fit_temperature.py"


rule soft_targets:
    input:
        data=lambda w: files(DATA, plan.cells(w.batch)),
        splits=SPLITS,
        students=lambda w: files(STUDENTS, plan.shards_of(w.batch, w.method)),
        code=code("soft_targets.py"),
    output:
        SOFT_TARGETS,
    log:
        "results/logs/soft_targets/{batch}-{method}.log",
    priority: plan.first
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        **resources_of(lambda w: plan.needs(w.batch)),
    params:
        cells=lambda w: plan.cell_plans(w.batch),
        precision=config["soft_targets_precision"],
    message:
        "Making soft targets of {wildcards.method} teachers: {wildcards.batch}"
    script:
        "../../scripts/soft_targets.py"


# The analysis begins: the only rule that reads the test logits.
rule evaluate:
    input:
        students=lambda w: files(STUDENTS, plan.all_shards(w.batch)),
        test_logits=lambda w: files(TEST_LOGITS, plan.all_shards(w.batch)),
        code=code("evaluate.py"),
    output:
        PREDICTIONS,
    log:
        "results/logs/evaluate/{batch}.log",
    priority: plan.first
    conda:
        "../../envs/stats.yaml"
    params:
        evaluation=lambda w: plan.evaluation(w.batch),
        metric_code=plan.metric_code,
        uses=uses("evaluate.py"),
    message:
        "Selecting and testing the students of all methods: {wildcards.batch}"
    script:
        "../../scripts/evaluate.py"
