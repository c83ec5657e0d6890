# The same rules rank, test, typeset and draw this run's metrics and the paper's printed Table III (study "published/").
rule metrics:
    input:
        predictions=files(PREDICTIONS, plan.predicted(plan.compared)),
        code=code("compute_metrics.py"),
    output:
        metrics="results/metrics.csv",
        intervals="results/intervals.csv",
    log:
        "results/logs/metrics.log",
    conda:
        "../../envs/stats.yaml"
    params:
        cells=plan.compared,
        draws=config["label_draws"],
        metrics=plan.metrics,
        metric_code=plan.metric_code,
        uses=uses("compute_metrics.py"),
    message:
        "Computing the metrics of every cell"
    script:
        "../../scripts/compute_metrics.py"


rule published_metrics:
    input:
        printed=own("config/published/table3.csv"),
        code=code("published_metrics.py"),
    output:
        "results/published/metrics.csv",
    log:
        "results/logs/published/metrics.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    message:
        "Reading the paper's Table III"
    script:
        "../../scripts/published_metrics.py"


rule rank_methods:
    input:
        metrics="results/{study}metrics.csv",
        code=code("rank_methods.py"),
    output:
        ranks="results/{study}ranks.csv",
        average_ranks="results/{study}average_ranks.csv",
        friedman="results/{study}friedman.csv",
        pairwise="results/{study}pairwise.csv",
    log:
        "results/logs/{study}rank_methods.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=lambda w: plan.required if w.study else plan.ranked,
        alpha=config["alpha"],
    message:
        "Ranking the methods and testing whether they differ"
    script:
        "../../scripts/rank_methods.py"


rule discrepancies:
    input:
        printed=own("config/published/table3.csv"),
        printed_averages=own("config/published/table3_average_ranks.csv"),
        ranks="results/published/ranks.csv",
        average_ranks="results/published/average_ranks.csv",
        code=code("discrepancies.py"),
    output:
        "results/published/discrepancies.csv",
    log:
        "results/logs/published/discrepancies.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=plan.required,
    message:
        "Looking for contradictions in the paper's Table III"
    script:
        "../../scripts/discrepancies.py"


rule critical_difference:
    input:
        average_ranks="results/{study}average_ranks.csv",
        friedman="results/{study}friedman.csv",
        code=code("critical_difference.py"),
    output:
        [in_report(*output) for output in artefacts.diagrams().items()],
    log:
        "results/logs/{study}critical_difference.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        diagrams=lambda w: artefacts.drawn_by(w.study, artefacts.ranked_by),
    message:
        "Drawing the critical-difference diagrams {wildcards.study}"
    script:
        "../../scripts/critical_difference.py"


if artefacts.own:

    use rule critical_difference as own_critical_difference with:
        input:
            average_ranks="results/average_ranks.csv",
            friedman="results/friedman.csv",
            code=code("critical_difference.py"),
        output:
            [in_report(*output) for output in artefacts.own_diagrams().items()],
        log:
            "results/logs/own_critical_difference.log",
        params:
            diagrams=artefacts.drawn_by("", artefacts.own),
        message:
            "Drawing the critical-difference diagrams of this study's own metrics"


rule table3:
    input:
        ranks="results/{study}ranks.csv",
        average_ranks="results/{study}average_ranks.csv",
        intervals=lambda w: [] if w.study else "results/intervals.csv",
        code=code("table3.py"),
    output:
        tex="results/{study}table3.tex",
        long="results/{study}table3_long.tex",
        csv="results/{study}table3.csv",
    log:
        "results/logs/{study}table3.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=lambda w: artefacts.table3(w.study),
        source=lambda w: artefacts.sources[w.study],
    message:
        "Typesetting Table III {wildcards.study}"
    script:
        "../../scripts/table3.py"
