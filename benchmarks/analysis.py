"""How long each rule of the analysis takes, from made-up predictions.

    python benchmarks/analysis.py [--size paper|default]

They are of the paper's size or of the default config's. The workflow itself runs, in a temporary
folder, one rule after another on one core; its start is among the seconds.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import yaml

import made_up
from ils.plan.plan import Plan

ROOT = Path(__file__).parent.parent
# dataset: (test samples, classes, networks), and the epochs of all
PAPER = {"CIFAR10": (10_000, 10, 5), "CIFAR100": (10_000, 100, 5), "SVHN": (26_032, 10, 1)}, 500
DEFAULT = (
    {"digits": (899, 10, 5), "wine": (89, 3, 1), "iris": (75, 3, 1), "breast_cancer": (285, 2, 2)},
    100,
)
P1, P2 = [0.975, 0.95, 0.925, 0.9, 0.85], [0.75, 1, 1.25, 1.5, 2]
EPSILON, TEMPERATURE = [0.01, 0.05, 0.1, 0.15, 0.2], [1, 2, 4, 8, 16]
PAPER_GRIDS = {
    "cls": {"epsilon": EPSILON, "beta": [0.1]},
    "ls": {"epsilon": EPSILON},
    "ils1": {"p1": P1, "p2": P2},
    "ils2": {"epsilon": EPSILON, "temperature": TEMPERATURE},
    "ils": {"p1": P1, "p2": P2, "temperature": TEMPERATURE},
}
TARGETS = {
    "metrics": "results/metrics.csv",
    "rank_methods": "results/ranks.csv",
    "critical_difference": "results/figures/fig12.pdf",
    "table3": "results/table3.tex",
    "calibration_figures": "results/figures/reliability/{pair}.pdf",
    "training_figures": "results/figures/grids/{pair}.pdf",
}


def study(size):
    """Return a config of that size, made from the default one, and its sizes."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    sizes, epochs = PAPER if size == "paper" else DEFAULT
    if size == "paper":
        for method in config["methods"]:
            method["grid"] = PAPER_GRIDS.get(method["name"], method["grid"])
    pairs = [(dataset, n) for dataset, (*_, networks) in sizes.items() for n in range(networks)]
    known = {dataset["name"] for dataset in config["datasets"]}
    config["datasets"] += [
        config["datasets"][0] | {"name": dataset} for dataset in sizes if dataset not in known
    ]
    networks = range(1 + max(n for _, n in pairs))
    config["networks"] = [config["networks"][0] | {"name": f"Network{n}"} for n in networks]
    config["experiments"] = [
        {"dataset": d, "network": f"Network{n}", "recipe": "images"} for d, n in pairs
    ]
    config["distillation"] = None
    return config, sizes, epochs


def make_predictions(folder, plan, sizes, epochs):
    """Write the predictions of all batches of cells where the workflow looks for them."""
    grids = {name: method["grid"] for name, method in plan.methods.items()}
    for batch in plan.batches.values():
        path = Path(folder, f"results/predictions/{batch.name}.safetensors")
        samples_and_classes = {cell: sizes[cell.dataset][:2] for cell in batch.cells}
        made_up.predictions(path, plan.columns, grids, samples_and_classes, epochs)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=["paper", "default"], default="paper")
    config, sizes, epochs = study(parser.parse_args().size)
    plan = Plan(config)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "study.yaml").write_text(yaml.safe_dump(config))
        make_predictions(folder, plan, sizes, epochs)
        options = {"snakefile": ROOT / "workflow/Snakefile", "directory": folder, "cores": 1}
        options |= {"configfile": f"{folder}/study.yaml"}
        workflow = [sys.executable, "-m", "snakemake", "--quiet", "progress", "rules"]
        workflow += [text for key, value in options.items() for text in (f"--{key}", str(value))]
        workflow += ["--allowed-rules", *TARGETS, "--"]
        for rule, target in TARGETS.items():
            start = time.perf_counter()
            command = [*workflow, target.format(pair="_".join(plan.pairs[0]))]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            print(f"{rule:22}{time.perf_counter() - start:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
