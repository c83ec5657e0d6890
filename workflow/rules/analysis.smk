rule metrics:
    input:
        predictions=[PREDICTIONS.format(**cell) for cell in CELLS],
        code=code("compute_metrics.py"),
    output:
        "results/metrics.csv",
    log:
        "results/logs/metrics.log",
    conda:
        "../../envs/stats.yaml"
    params:
        cells=CELLS,
    message:
        "Computing the metrics of every cell"
    script:
        "../../scripts/compute_metrics.py"
