# The six-Gaussian task: some replicates of one setup a job, then the tables and figures of all.
SETUPS = study.by_name(SYNTHETIC, "setups")
GEOMETRIES = study.by_name(SYNTHETIC, "geometries")
DRAWN = ("seed", "training_per_class", "validation_per_class", "test_per_class")
SHOWN = {  # by each figure
    "fig01": "density, a training sample",
    "fig02a": "highest probability, No LS",
    "fig02b": "highest probability, LS",
    "fig02c": "other probabilities, No LS",
    "fig02d": "other probabilities, LS",
    "fig04": "best epsilon",
    "fig05": "density, drawn apart",
    "fig06": "best epsilon, Bayes-optimal",
    "fig07": "best epsilon, No LS+TempS",
    "fig08": "true class's probability",
    "fig09": "best epsilon, real tables",
    "fig10": "true class's probability, real tables",
    "fig11": "loss over P1 and P2",
}
TABULAR_FIGURES = ["fig09", "fig10"]
SYNTHETIC_FIGURES = [name for name in SHOWN if name not in TABULAR_FIGURES]
SYNTHETIC_OUTPUTS = [
    *expand("results/table{table}.{kind}", table=[1, 2, 5, 6], kind=["tex", "csv"]),
    *multiext("results/synthetic_differences", ".tex", ".csv"),
    *expand(
        "results/figures/{figure}.{kind}",
        figure=SHOWN,
        kind=["pdf", "png"],
    ),
]


wildcard_constraints:
    setup="|".join(map(re.escape, SETUPS)),
    first=r"\d+",
    last=r"\d+",


rule synthetic_replicates:
    input:
        code=code("synthetic_replicates.py"),
    output:
        models="results/synthetic/{setup}/replicates{first}-{last}.csv",
        figures="results/synthetic/{setup}/replicates{first}-{last}.safetensors",
    log:
        "results/logs/synthetic/{setup}-{first}-{last}.log",
    priority: urgency_of_setup
    conda:
        "../../envs/torch.yaml"
    params:
        setup=setup_of,
        methods=methods_of_setup,
        options=replicate_options,
    message:
        "Synthetic study, {wildcards.setup}: replicates {wildcards.first} to {wildcards.last}"
    script:
        "../../scripts/synthetic_replicates.py"


rule synthetic_table:
    input:
        unpack(lambda w: replicate_files(SYNTHETIC["tables"], "csv")),
        printed=f"{PRINTED}/table{{table}}.csv",
        code=code("synthetic_table.py"),
    output:
        tex="results/table{table}.tex",
        csv="results/table{table}.csv",
    log:
        "results/logs/synthetic/table{table}.log",
    wildcard_constraints:
        table="[1256]",
    conda:
        "../../envs/stats.yaml"
    params:
        setups=SYNTHETIC["tables"],
        methods=SYNTHETIC["methods"],
    message:
        "Comparing the synthetic study with the paper's table {wildcards.table}"
    script:
        "../../scripts/synthetic_table.py"


rule synthetic_differences:
    input:
        unpack(lambda w: replicate_files(SYNTHETIC["tables"], "csv")),
        code=code("synthetic_differences.py"),
    output:
        tex="results/synthetic_differences.tex",
        csv="results/synthetic_differences.csv",
    log:
        "results/logs/synthetic/differences.log",
    conda:
        "../../envs/stats.yaml"
    params:
        setups=SYNTHETIC["tables"],
        methods=SYNTHETIC["methods"],
    message:
        "Computing paired differences between methods over the replicates"
    script:
        "../../scripts/synthetic_differences.py"


rule synthetic_figures:
    input:
        unpack(lambda w: replicate_files(SETUPS, "safetensors")),
        models=replicate_files([SYNTHETIC["figures"]], "csv")[SYNTHETIC["figures"]],
        code=code("synthetic_figures.py"),
    output:
        numbered_figures(SYNTHETIC_FIGURES),
    log:
        "results/logs/synthetic/figures.log",
    conda:
        "../../envs/stats.yaml"
    params:
        setups=list(SETUPS),
        shown=SYNTHETIC["figures"],
        geometry=GEOMETRIES[SETUPS[SYNTHETIC["figures"]]["geometry"]],
        other_geometry=GEOMETRIES[SYNTHETIC["figure5"]],
        long_grid=SYNTHETIC["long_grid"],
        sizes={key: SYNTHETIC[key] for key in DRAWN},
    message:
        "Drawing the figures of the synthetic study"
    script:
        "../../scripts/synthetic_figures.py"


rule tabular_curves:
    input:
        data=DATA,
        code=code("tabular_curves.py"),
    output:
        "results/{dataset}/curves.safetensors",
    log:
        "results/logs/tabular_curves/{dataset}.log",
    conda:
        "../../envs/torch.yaml"
    params:
        dataset=split_of,
        methods=[m for m in SYNTHETIC["methods"] if m["targets"] in ("no_ls", "ls")],
        options=SYNTHETIC["tabular"]
        | {k: SYNTHETIC[k] for k in ("temperature_bounds", "training")}
        | {"code": fingerprint("methods", "no_ls", "ls")},
    message:
        "Training No LS and LS networks on splits of {wildcards.dataset} for the best-epsilon curves"
    script:
        "../../scripts/tabular_curves.py"


rule tabular_figures:
    input:
        curves=expand(
            "results/{dataset}/curves.safetensors",
            dataset=SYNTHETIC["tabular"]["datasets"],
        ),
        code=code("tabular_figures.py"),
    output:
        numbered_figures(TABULAR_FIGURES),
    log:
        "results/logs/tabular_curves/figures.log",
    conda:
        "../../envs/stats.yaml"
    message:
        "Drawing the best-epsilon curves on real tables"
    script:
        "../../scripts/tabular_figures.py"
