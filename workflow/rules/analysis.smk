rule metrics:
    input:
        predictions=files(PREDICTIONS, CELLS),
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


rule rank_methods:
    input:
        metrics="results/metrics.csv",
        code=code("rank_methods.py"),
    output:
        ranks="results/ranks.csv",
        average_ranks="results/average_ranks.csv",
        friedman="results/friedman.csv",
        nemenyi="results/nemenyi.csv",
    log:
        "results/logs/rank_methods.log",
    conda:
        "../../envs/stats.yaml"
    params:
        alpha=config["alpha"],
    message:
        "Ranking the methods and testing whether they differ"
    script:
        "../../scripts/rank_methods.py"


rule critical_difference:
    input:
        average_ranks="results/average_ranks.csv",
        friedman="results/friedman.csv",
        code=code("critical_difference.py"),
    output:
        report(
            multiext("results/figures/{figure}", ".pdf", ".png"),
            category="Table III",
            caption="../report/critical_difference.rst",
        ),
    log:
        "results/logs/critical_difference/{figure}.log",
    conda:
        "../../envs/stats.yaml"
    params:
        metric=lambda w: DIAGRAMS[w.figure],
    message:
        "Drawing the critical-difference diagram {wildcards.figure}"
    script:
        "../../scripts/critical_difference.py"


rule table3:
    input:
        ranks="results/ranks.csv",
        average_ranks="results/average_ranks.csv",
        code=code("table3.py"),
    output:
        "results/table3.tex",
    log:
        "results/logs/table3.log",
    conda:
        "../../envs/stats.yaml"
    params:
        config=Path(workflow.configfiles[-1]).name,
        seeds=len(config["seeds"]),
    message:
        "Typesetting Table III"
    script:
        "../../scripts/table3.py"
