# What readers get: tables as pages, the document with everything in the paper's order, and what ran.
import shutil

RANKINGS = {
    "average_ranks": "Average ranks",
    "friedman": "Friedman's tests",
    "pairwise": "Pairwise tests",
}
NUMERALS = {"1": "I", "2": "II", "5": "V", "6": "VI"}
# Tables that the report shows as pages: {csv under results/: (category, title)}.
PAGES = {
    "claims": (SUMMARY, "Claims and verdicts"),
    "table3": (TABLE_III, "Table III"),
    "metrics": (TABLE_III, "Metrics of every cell"),
    "intervals": (TABLE_III, "Errors and intervals"),
    "published/table3": (PUBLISHED, "Table III, ranked again"),
    "published/discrepancies": (PUBLISHED, "Contradictions"),
}
if DISTILLATION:
    PAGES["table4"] = TABLE_IV, "Table IV"
    PAGES["distillation"] = TABLE_IV, "Metrics of every student"
    PAGES["distillation_intervals"] = TABLE_IV, "Errors and intervals"
PAGES |= {name: (TABLE_III, title) for name, title in RANKINGS.items()}
PAGES |= {f"published/{name}": (PUBLISHED, title) for name, title in RANKINGS.items()}
if SYNTHETIC:
    PAGES |= {f"table{n}": (SYNTHETIC_STUDY, f"Table {NUMERALS[n]}") for n in NUMERALS}
    PAGES["synthetic_differences"] = SYNTHETIC_STUDY, "Paired differences"
# The document's figures, {artefact: files without their ending}.
DRAWINGS = {
    name: [
        f"{study}figures/{name}{ending}"
        for ending in POOLS.values()
        for study in SOURCES
    ]
    for name in paper.DIAGRAMS
}
if SYNTHETIC:
    for name in SHOWN:
        DRAWINGS.setdefault(name[:5], []).append(f"figures/{name}")
TYPESET = ["claims", "table3", "published/table3"]  # the document's tables
if SYNTHETIC:
    TYPESET += [*(f"table{n}" for n in NUMERALS), "synthetic_differences"]
if DISTILLATION:
    TYPESET.append("table4")
REPORT_OUTPUTS = ["results/provenance.json", "results/reproduction.tex"]
REPORT_OUTPUTS += [f"results/pages/{name}.html" for name in [*PAGES, "provenance"]]
if shutil.which("pdflatex"):
    REPORT_OUTPUTS.append("results/reproduction.pdf")
else:

    onsuccess:
        logger.info(
            "No pdflatex: results/reproduction.tex is there; install TeX Live "
            "(texlive-latex-recommended) and run again for results/reproduction.pdf."
        )


rule pages:
    input:
        tables=[f"results/{name}.csv" for name in PAGES],
        captions=[caption_file(name) for name in PAGES],
        code=code("pages.py"),
    output:
        [
            in_report(
                f"results/pages/{name}.html",
                category,
                None if category == SUMMARY else "Tables",
                name.rpartition("/")[2],
                table=title,
            )
            for name, (category, title) in PAGES.items()
        ],
    log:
        "results/logs/pages.log",
    conda:
        "../../envs/stats.yaml"
    params:
        titles=[
            title + (" (printed values)" if name.startswith("published/") else "")
            for name, (_, title) in PAGES.items()
        ],
    message:
        "Writing tables as pages"
    script:
        "../../scripts/pages.py"


# In the environment that trains: its versions decide the numbers.
rule provenance:
    input:
        results=[f"results/{name}.csv" for name in PAGES],
        caption=caption_file("provenance"),
        code=code("provenance.py"),
    output:
        json="results/provenance.json",
        html=in_report(
            "results/pages/provenance.html",
            SUMMARY,
            None,
            "provenance",
            table="Config and versions",
        ),
    log:
        "results/logs/provenance.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=max(network.get("gpu", 0) for network in NETWORKS.values()),
    params:
        config=config,
        settings=yaml.safe_dump(config, default_flow_style=None, width=110),
        config_file=CONFIG_FILE,
        repository=os.path.relpath(REPOSITORY),
    message:
        "Writing down what ran"
    script:
        "../../scripts/provenance.py"


rule reproduction:
    input:
        unpack(synthetic_inputs),
        typeset=[f"results/{name}.tex" for name in TYPESET],
        drawn=[f"results/{f}.pdf" for files in DRAWINGS.values() for f in files],
        claims="results/claims.csv",
        ours=["results/average_ranks.csv", "results/friedman.csv"],
        printed=[
            "results/published/average_ranks.csv",
            "results/published/friedman.csv",
        ],
        discrepancies="results/published/discrepancies.csv",
        distillation=["results/distillation.csv"] if DISTILLATION else [],
        provenance="results/provenance.json",
        captions=[caption_file(name) for name in DRAWINGS],
        code=code("reproduction.py"),
    output:
        "results/reproduction.tex",
    log:
        "results/logs/reproduction.log",
    conda:
        "../../envs/stats.yaml"
    params:
        figures=DRAWINGS,
        synthetic=SYNTHETIC
        and {
            "tables": [f"table{n}" for n in NUMERALS],
            "setups": list(SETUPS),
            "shown": SYNTHETIC["figures"],
            "long_grid": SYNTHETIC["long_grid"],
        },
    message:
        "Writing the document of all tables and figures"
    script:
        "../../scripts/reproduction.py"


rule reproduction_pdf:
    input:
        rules.reproduction.input.drawn,
        rules.reproduction.input.typeset,
        document="results/reproduction.tex",
        code=code("compile_document.py"),
    output:
        in_report(
            "results/reproduction.pdf",
            SUMMARY,
            None,
            "reproduction",
            table="All tables and figures",
        ),
    log:
        "results/logs/reproduction_pdf.log",
    conda:
        "../../envs/stats.yaml"
    message:
        "Compiling the document"
    script:
        "../../scripts/compile_document.py"
