# What the run says of each two columns, of the claims' size, and of how sure it can be; and of the paper's claims.
rule decide:
    input:
        metrics="results/metrics.csv",
        equal_budget="results/equal_budget.csv",
        code=code("decide.py"),
    output:
        comparisons="results/comparisons.csv",
        power="results/power.csv",
        variance="results/variance.csv",
    log:
        "results/logs/decide.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=plan.ranked,
        headline=config["headline"],
    message:
        "Comparing the methods over datasets"
    script:
        "../../scripts/decide.py"


rule claims:
    input:
        unpack(lambda w: artefacts.files_of_claims()),
        published=expand(
            "results/published/{table}.csv",
            table=["ranks", "average_ranks", "friedman"],
        ),
        metrics="results/metrics.csv",
        printed=[own(f"config/published/table{n}.csv") for n in (1, 2, 5, 6)],
        printed4=own("config/published/table4.csv"),
        code=code("claims.py"),
    output:
        csv="results/claims.csv",
        tex="results/claims.tex",
    log:
        "results/logs/claims.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        setups=plan.synthetic.tables if plan.synthetic else [],
        others=plan.synthetic.others if plan.synthetic else {},
        long_grid=plan.synthetic.section["long_grid"] if plan.synthetic else None,
        metrics=plan.required,
    message:
        "Checking the paper's claims"
    script:
        "../../scripts/claims.py"


rule decision_figures:
    input:
        metrics="results/metrics.csv",
        equal_budget="results/equal_budget.csv",
        comparisons="results/comparisons.csv",
        claims="results/claims.csv",
        code=code("decision_figures.py"),
    output:
        [in_report(*output) for output in artefacts.decision_figures().items()],
    log:
        "results/logs/decision_figures.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        metrics=plan.shown,
    message:
        "Drawing the comparisons and the claims"
    script:
        "../../scripts/decision_figures.py"


# The first thing in the report and the document, and the last on the terminal.
rule found:
    input:
        metrics="results/metrics.csv",
        comparisons="results/comparisons.csv",
        power="results/power.csv",
        claims="results/claims.csv",
        code=code("found.py"),
    output:
        paragraph=in_report(FOUND, artefacts.summary("What was found", "found")),
        verdicts="results/verdicts.rst",
    log:
        "results/logs/found.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        baseline=plan.baseline,
        metrics=plan.shown,
    message:
        "Writing what was found"
    script:
        "../../scripts/found.py"


onsuccess:
    if os.path.isfile(FOUND):
        logger.info(f"\n{Path(FOUND).read_text(encoding='utf-8')}")
