# The six-Gaussian task: some replicates of one setup a job, then the tables and figures of all.
rule synthetic_replicates:
    input:
        code=code("synthetic_replicates.py"),
    output:
        models=MODELS,
        figures=SUMS,
    log:
        "results/logs/synthetic/{setup}-{first}-{last}.log",
    priority: lambda w: plan.synthetic.urgency(w.setup)
    conda:
        "../../envs/torch.yaml"
    params:
        setup=lambda w: plan.synthetic.setup(w.setup),
        methods=lambda w: plan.synthetic.methods(w.setup),
        options=lambda w: plan.synthetic.options(w.setup),
    message:
        "Synthetic study, {wildcards.setup}: replicates {wildcards.first} to {wildcards.last}"
    script:
        "../../scripts/synthetic_replicates.py"


rule synthetic_table:
    input:
        unpack(lambda w: plan.synthetic.files(MODELS, plan.synthetic.tables)),
        printed=lambda w: own(f"config/published/table{w.table}.csv"),
        code=code("synthetic_table.py"),
    output:
        tex="results/table{table}.tex",
        csv="results/table{table}.csv",
    log:
        "results/logs/synthetic/table{table}.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        setups=plan.synthetic.tables,
        methods=plan.synthetic.section["methods"],
    message:
        "Comparing the synthetic study with the paper's table {wildcards.table}"
    script:
        "../../scripts/synthetic_table.py"


rule synthetic_differences:
    input:
        unpack(lambda w: plan.synthetic.files(MODELS, plan.synthetic.tables)),
        code=code("synthetic_differences.py"),
    output:
        tex="results/synthetic_differences.tex",
        csv="results/synthetic_differences.csv",
    log:
        "results/logs/synthetic/differences.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        setups=plan.synthetic.tables,
        methods=plan.synthetic.section["methods"],
    message:
        "Computing paired differences between methods over the replicates"
    script:
        "../../scripts/synthetic_differences.py"


rule synthetic_figures:
    input:
        unpack(lambda w: plan.synthetic.files(SUMS, plan.synthetic.setups)),
        models=files(MODELS, plan.synthetic.replicates(plan.synthetic.shown)),
        code=code("synthetic_figures.py"),
    output:
        [
            in_report(*output)
            for output in artefacts.synthetic_figures(tabular=False).items()
        ],
    log:
        "results/logs/synthetic/figures.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        **plan.synthetic.figures(),
        setups=list(plan.synthetic.setups),
    message:
        "Drawing the figures of the synthetic study"
    script:
        "../../scripts/synthetic_figures.py"


rule tabular_curves:
    input:
        data=DATA,
        code=code("tabular_curves.py"),
    output:
        CURVES,
    log:
        "results/logs/tabular_curves/{dataset}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        **plan.synthetic.curves(),
        dataset=lambda w: plan.split(w.dataset),
    message:
        "Training No LS and LS networks on splits of {wildcards.dataset} for the best-epsilon curves"
    script:
        "../../scripts/tabular_curves.py"


rule tabular_figures:
    input:
        curves=expand(CURVES, dataset=plan.synthetic.datasets),
        code=code("tabular_figures.py"),
    output:
        [
            in_report(*output)
            for output in artefacts.synthetic_figures(tabular=True).items()
        ],
    log:
        "results/logs/tabular_curves/figures.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    message:
        "Drawing the best-epsilon curves on real tables"
    script:
        "../../scripts/tabular_figures.py"
