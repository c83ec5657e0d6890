# One job trains one shard of a method's grid in one batch of cells. The teacher is a method too, one without a teacher.
for batch, cells in BATCHES.items():

    rule:
        name:
            f"students_{batch}"
        input:
            lambda w, cells=cells: learnt_from(cells, w),
            data=files(DATA, cells),
            split=files(SPLIT, cells),
            code=code("train_students.py"),
        output:
            [SHARD.format(**c, method="{method}", shard="{shard}") for c in cells],
        log:
            f"results/logs/students/{batch}-{{method}}-{{shard}}.log",
        priority: lambda w, cells=cells: urgency_of_students(cells, w)
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            **asking(cells, teachers=1, students=most_students),
        params:
            jobs=lambda w, cells=cells: [training_of(cell, w) for cell in cells],
        message:
            f"Training {{wildcards.method}} students, shard {{wildcards.shard}}: {where(cells)}"
        script:
            "../../scripts/train_students.py"

    if cells[0] not in CELLS:
        continue  # its networks only teach

    rule:
        name:
            f"evaluate_{batch}"
        input:
            data=files(DATA, cells),
            split=files(SPLIT, cells),
            shards=[file for method in METHODS for file in shard_files(cells, method)],
            code=code("evaluate.py"),
        output:
            files(PREDICTIONS, cells),
        log:
            f"results/logs/evaluate/{batch}.log",
        priority: FIRST
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            **asking(cells),
        params:
            jobs=[
                of_cell(cell)
                | {"shards": {m: shard_files([cell], m) for m in METHODS}}
                | {"columns": COLUMNS, "output": PREDICTIONS.format(**cell)}
                for cell in cells
            ],
        message:
            f"Selecting and testing all methods: {where(cells)}"
        script:
            "../../scripts/evaluate.py"
