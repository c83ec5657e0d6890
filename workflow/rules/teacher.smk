for batch, cells in BATCHES.items():

    rule:
        name:
            f"soft_targets_{batch}"
        input:
            data=files(DATA, cells),
            split=files(SPLIT, cells),
            shards=lambda w, cells=cells: shard_files(cells, w.method),
            code=code("soft_targets.py"),
        output:
            [SOFT_TARGETS.format(**cell, method="{method}") for cell in cells],
        log:
            f"results/logs/soft_targets/{batch}-{{method}}.log",
        priority: FIRST
        conda:
            "../../envs/torch.yaml"
        threads: 1
        resources:
            **asking(cells, teachers=1),
        params:
            jobs=lambda w, cells=cells: [
                of_cell(cell)
                | {"shards": shard_files([cell], w.method)}
                | {"output": SOFT_TARGETS.format(**cell, method=w.method)}
                for cell in cells
            ],
        message:
            f"Making soft targets of {{wildcards.method}} teachers: {where(cells)}"
        script:
            "../../scripts/soft_targets.py"
