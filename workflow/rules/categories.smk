# Where results/report.html shows what. It lists categories by name.
SUMMARY, TABLE_III = "1. Summary", "2. Table III"
SYNTHETIC_STUDY, TABLE_IV = "3. Synthetic study", "4. Distillation"
PUBLISHED, CALIBRATION = "5. Published numbers", "6. Calibration"
HYPERPARAMETERS, TRAINING = "7. Hyperparameters", "8. Training"


def in_report(path, category, part, caption, **labels):
    """A file for results/report.html, in a part of a category; its caption is one of workflow/report/."""
    names = {name.capitalize(): value for name, value in labels.items()}
    caption = f"../report/{caption}.rst"
    return report(
        path, category=category, subcategory=part, caption=caption, labels=names
    )


def caption_file(name):
    """The sentence that says what an artefact shows."""
    name = "critical_difference" if name in paper.DIAGRAMS else name.rpartition("/")[2]
    return os.path.relpath(Path(workflow.basedir, f"report/{name}.rst"))


def metric_of(study, metric):
    """The paper's cwECE is not Eq. 2, and goes by another name."""
    return paper.PRINTED.get(metric, metric) if study else metric


def diagram_file(metric, pool, name, kind):
    """A diagram of either study; the report shows the PNG."""
    path = f"results/{{study}}figures/{name}.{kind}"
    if kind == "pdf":
        return path
    return in_report(
        path,
        lambda w: PUBLISHED if w.study else TABLE_III,
        "Critical-difference diagrams",
        "critical_difference",
        figure=name[3:5],
        metric=metric.replace("_", "-").replace("ece", "ECE"),
        columns={"all": "with TempS", "alone": "without TempS"}[pool],
    )


def numbered_figures(names):
    """The files of some figures; the report shows the PNGs."""
    pdfs, pngs = (
        [f"results/figures/{name}.{kind}" for name in names] for kind in ("pdf", "png")
    )
    return pdfs + [
        in_report(
            path,
            SYNTHETIC_STUDY,
            "Figures",
            name[:5],
            figure=name[3:],
            shows=SHOWN[name],
        )
        for path, name in zip(pngs, names)
    ]


def claimed_about(wildcards):
    """What the paper's claims are checked on beside ranks: synthetic models and arrays, and distilled students."""
    found = {"distillation": "results/distillation.csv"} if DISTILLATION else {}
    if SYNTHETIC:
        arrays = replicate_files(SYNTHETIC["tables"], "safetensors")
        found |= replicate_files(SYNTHETIC["tables"], "csv")
        found |= {f"arrays_{setup}": paths for setup, paths in arrays.items()}
    return found


def synthetic_inputs(wildcards):
    """What the sentences on the synthetic study are computed from."""
    if not SYNTHETIC:
        return {}
    arrays = replicate_files(SETUPS, "safetensors")
    models = replicate_files([SYNTHETIC["figures"]], "csv")
    return {f"arrays_{setup}": paths for setup, paths in arrays.items()} | {
        "tables": [f"results/table{n}.csv" for n in NUMERALS],
        "differences": "results/synthetic_differences.csv",
        "models": models[SYNTHETIC["figures"]],
        "curves": [
            f"results/{dataset}/curves.safetensors"
            for dataset in SYNTHETIC["tabular"]["datasets"]
        ],
    }


def figure_files(kind, dataset, network):
    """The files of one figure."""
    stem = f"results/figures/{kind}/{dataset}_{network}"
    return [f"{stem}.pdf", f"{stem}.png"]


def pair_figures(kind):
    """The files of one kind of figure, of all pairs; the report shows the PNGs."""
    category, part = PAIR_FIGURES[kind]
    found = []
    for dataset, network in EXPERIMENTS:
        pdf, png = figure_files(kind, dataset, network)
        names = {"dataset": dataset, "network": network}
        found += [pdf, in_report(png, category, part, kind, **names)]
    return found


def drawing_jobs(kinds, **common):
    """What each pair's drawing is told."""
    return [
        common
        | {
            "pair": f"{dataset}, {network}",
            "predictions": [
                PREDICTIONS.format(dataset=dataset, network=network, seed=seed)
                for seed in config["seeds"]
            ],
            "outputs": {kind: figure_files(kind, dataset, network) for kind in kinds},
        }
        for dataset, network in EXPERIMENTS
    ]
