for batch, cells in BATCHES.items():

    rule:
        name:
            f"soft_targets_{batch}"
        input:
            data=files(DATA, cells),
            split=files(SPLIT, cells),
            shards=shard_files(cells, config["teacher"]),
            code=code("soft_targets.py"),
        output:
            files(SOFT_TARGETS, cells),
        log:
            f"results/logs/soft_targets/{batch}.log",
        conda:
            "../../envs/torch.yaml"
        params:
            jobs=[
                of_cell(cell)
                | {"shards": shard_files([cell], config["teacher"])}
                | {"output": SOFT_TARGETS.format(**cell)}
                for cell in cells
            ],
        message:
            f"Making soft targets: {where(cells)}"
        script:
            "../../scripts/soft_targets.py"
