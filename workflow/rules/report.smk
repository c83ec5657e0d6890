# What readers get: tables as pages, the document with everything in the paper's order, and what ran.
import shutil

import yaml

REPORT_OUTPUTS = [
    "results/provenance.json",
    "results/summary.json",
    "results/reproduction.tex",
]
REPORT_OUTPUTS += expand(
    "results/pages/{name}.html", name=[*artefacts.pages, "provenance"]
)
if shutil.which("pdflatex"):
    REPORT_OUTPUTS.append("results/reproduction.pdf")
elif workflow.is_main_process:
    logger.info(
        "No pdflatex: results/reproduction.tex is made and not results/reproduction.pdf; "
        "for that install TeX Live (texlive-latex-recommended) and run again."
    )


rule pages:
    input:
        tables=expand("results/{name}.csv", name=artefacts.pages),
        captions=[
            own(f"workflow/report/{page.caption}.rst")
            for page in artefacts.pages.values()
        ],
        code=code("pages.py"),
    output:
        [
            in_report(f"results/pages/{name}.html", page)
            for name, page in artefacts.pages.items()
        ],
    log:
        "results/logs/pages.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        titles=artefacts.page_titles,
    message:
        "Writing tables as pages"
    script:
        "../../scripts/pages.py"


# In the environment that trains: its versions decide the numbers.
rule provenance:
    input:
        results=expand("results/{name}.csv", name=artefacts.pages),
        caption=own("workflow/report/provenance.rst"),
        code=code("provenance.py"),
    output:
        json="results/provenance.json",
        html=in_report(
            "results/pages/provenance.html",
            artefacts.summary("Config and versions", "provenance"),
        ),
    log:
        "results/logs/provenance.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=plan.gpus(*plan.networks),
    params:
        config=plan.config,
        settings=yaml.safe_dump(plan.config, default_flow_style=None, width=110),
        config_file=CONFIG_FILE,
        repository=os.path.relpath(ROOT),
    message:
        "Writing down what ran"
    script:
        "../../scripts/provenance.py"


# REPRODUCTION.md is filled from the default run's, and other runs are compared with it: `make page`.
rule summarise:
    input:
        tables=expand("results/{name}.csv", name=artefacts.summed_up),
        found=FOUND,
        provenance="results/provenance.json",
        code=code("summarise.py"),
    output:
        "results/summary.json",
    log:
        "results/logs/summarise.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    message:
        "Summing the run up"
    script:
        "../../scripts/summarise.py"


rule reproduction:
    input:
        unpack(lambda w: artefacts.files_of_sentences()),
        typeset=expand("results/{name}.tex", name=artefacts.typeset),
        drawn=[
            f"results/{name}.pdf"
            for names in artefacts.drawings.values()
            for name in names
        ],
        found=FOUND,
        claims="results/claims.csv",
        comparisons="results/comparisons.csv",
        ours=["results/average_ranks.csv", "results/friedman.csv"],
        printed=[
            "results/published/average_ranks.csv",
            "results/published/friedman.csv",
        ],
        discrepancies="results/published/discrepancies.csv",
        distillation=["results/distillation.csv"] if plan.distillation else [],
        provenance="results/provenance.json",
        captions=[
            own(f"workflow/report/{artefacts.caption(name)}.rst")
            for name in artefacts.drawings
        ],
        code=code("reproduction.py"),
    output:
        "results/reproduction.tex",
    log:
        "results/logs/reproduction.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    params:
        figures=artefacts.drawings,
        metrics=plan.shown,
        own=artefacts.own,
        tables=artefacts.typeset,
        synthetic=plan.synthetic and plan.synthetic.findings(),
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
            artefacts.summary("All tables and figures", "reproduction"),
        ),
    log:
        "results/logs/reproduction_pdf.log",
    localrule: True
    conda:
        "../../envs/stats.yaml"
    message:
        "Compiling the document"
    script:
        "../../scripts/compile_document.py"


# Before the first job of a run of one's own; none of a dry run, or of a module.
onstart:
    if not workflow.touch:
        todo = studies.made_by(workflow.dag.needrun_jobs())
        done = studies.made_by(workflow.dag.jobs) - todo
        study = studies.identity(plan.config, CONFIG_FILE)
        try:
            moved = studies.begin(study, done, todo)
        except OSError as error:
            raise WorkflowError(f"results/: {error.strerror}; make it writable")
        if moved:
            logger.warning(moved)
    # By its default of 100 jobs a second Snakemake (9.27.1) leaves behind each job a timer that looks all ready jobs through
    # once a second: in a study of some hundred a quarter of a core, and more the longer it runs.
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
