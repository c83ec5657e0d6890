rule metrics:
    message:
        "Computing the metrics of every cell"
    input:
        predictions=[(CELL + "/predictions.safetensors").format(**cell) for cell in CELLS],
        code=code("compute_metrics.py"),
    output:
        "results/metrics.csv",
    params:
        cells=CELLS,
    log:
        "results/logs/metrics.log",
    conda:
        "../../envs/stats.yaml"
    script:
        "../../scripts/compute_metrics.py"
