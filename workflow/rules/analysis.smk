# The same rules rank, test, typeset and draw this run's metrics and the paper's printed Table III (study "published/").
SEEDS = f"{len(config['seeds'])} seed{'s' if len(config['seeds']) > 1 else ''}"
SOURCES = {
    "": f"averages over {SEEDS} of {CONFIG_FILE}",
    "published/": "the values that the paper prints, ranked again",
}
POOLS = {"all": "", "alone": "_alone"}  # with, and without the +TempS columns
DIAGRAMS = [
    (metric, pool, f"{figure}{ending}", kind)
    for figure, metric in paper.DIAGRAMS.items()
    for pool, ending in POOLS.items()
    for kind in ("pdf", "png")
]


RANKED = ["ranks", "average_ranks", "friedman", "pairwise"]


wildcard_constraints:
    study="published/|",


rule metrics:
    input:
        predictions=files(PREDICTIONS, CELLS),
        code=code("compute_metrics.py"),
    output:
        metrics="results/metrics.csv",
        intervals="results/intervals.csv",
    log:
        "results/logs/metrics.log",
    conda:
        "../../envs/stats.yaml"
    params:
        cells=CELLS,
        draws=config["bootstrap"],
    message:
        "Computing the metrics of every cell"
    script:
        "../../scripts/compute_metrics.py"


rule published_metrics:
    input:
        printed=f"{PRINTED}/table3.csv",
        code=code("published_metrics.py"),
    output:
        "results/published/metrics.csv",
    log:
        "results/logs/published/metrics.log",
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
    conda:
        "../../envs/stats.yaml"
    params:
        alpha=config["alpha"],
    message:
        "Ranking the methods and testing whether they differ"
    script:
        "../../scripts/rank_methods.py"


rule discrepancies:
    input:
        printed=f"{PRINTED}/table3.csv",
        printed_averages=f"{PRINTED}/table3_average_ranks.csv",
        ranks="results/published/ranks.csv",
        average_ranks="results/published/average_ranks.csv",
        code=code("discrepancies.py"),
    output:
        "results/published/discrepancies.csv",
    log:
        "results/logs/published/discrepancies.log",
    conda:
        "../../envs/stats.yaml"
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
        [diagram_file(*diagram) for diagram in DIAGRAMS],
    log:
        "results/logs/{study}critical_difference.log",
    conda:
        "../../envs/stats.yaml"
    params:
        diagrams=lambda w: [(metric_of(w.study, m), pool) for m, pool, *_ in DIAGRAMS],
    message:
        "Drawing the critical-difference diagrams {wildcards.study}"
    script:
        "../../scripts/critical_difference.py"


rule table3:
    input:
        ranks="results/{study}ranks.csv",
        average_ranks="results/{study}average_ranks.csv",
        intervals=lambda w: [] if w.study else "results/intervals.csv",
        code=code("table3.py"),
    output:
        tex="results/{study}table3.tex",
        csv="results/{study}table3.csv",
    log:
        "results/logs/{study}table3.log",
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=lambda w: [
            metric_of(w.study, m)
            for m in ("cross_entropy", "accuracy", "ece", "cwece")
        ],
        source=lambda w: SOURCES[w.study],
    message:
        "Typesetting Table III {wildcards.study}"
    script:
        "../../scripts/table3.py"


rule claims:
    input:
        unpack(claimed_about),
        published=[f"results/published/{table}.csv" for table in RANKED],
        ranks=[f"results/{table}.csv" for table in RANKED],
        printed=[f"{PRINTED}/table{n}.csv" for n in (1, 2, 5, 6)],
        printed4=f"{PRINTED}/table4.csv",
        code=code("claims.py"),
    output:
        csv="results/claims.csv",
        tex="results/claims.tex",
    log:
        "results/logs/claims.log",
    conda:
        "../../envs/stats.yaml"
    params:
        setups=SYNTHETIC["tables"] if SYNTHETIC else [],
        long_grid=SYNTHETIC["long_grid"] if SYNTHETIC else None,
    message:
        "Checking the paper's claims"
    script:
        "../../scripts/claims.py"
