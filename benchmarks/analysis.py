"""How long each rule of the analysis takes, from made-up predictions of the paper's size or of the default config's.

    python benchmarks/analysis.py [--size paper|default]

The workflow itself runs, in a temporary folder, one rule after another on one core; its start is among the seconds.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

import made_up
import yaml
from ils.plan.plan import Plan

# dataset: (test samples, classes, networks), and the epochs of all
PAPER = {"CIFAR10": (10_000, 10, 5), "CIFAR100": (10_000, 100, 5), "SVHN": (26_032, 10, 1)}, 500
DEFAULT = (
    {"digits": (899, 10, 5), "wine": (89, 3, 1), "iris": (75, 3, 1), "breast_cancer": (285, 2, 2)},
    100,
)
P1, P2, EPSILON = (
    [0.975, 0.95, 0.925, 0.9, 0.85],
    [0.75, 1, 1.25, 1.5, 2],
    [0.01, 0.05, 0.1, 0.15, 0.2],
)
PAPER_GRIDS = {
    "cls": {"epsilon": EPSILON, "beta": [0.1]},
    "ls": {"epsilon": EPSILON},
    "ils1": {"p1": P1, "p2": P2},
    "ils2": {"epsilon": EPSILON, "temperature": [1, 2, 4, 8, 16]},
    "ils": {"p1": P1, "p2": P2, "temperature": [1, 2, 4, 8, 16]},
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
    config["networks"] = [
        config["networks"][0] | {"name": f"Network{n}"} for n in range(1 + max(n for _, n in pairs))
    ]
    config["experiments"] = [
        {"dataset": d, "network": f"Network{n}", "recipe": "images"} for d, n in pairs
    ]
    config["distillation"] = None
    return config, sizes, epochs


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=["paper", "default"], default="paper")
    config, sizes, epochs = study(parser.parse_args().size)
    grids = {method["name"]: method["grid"] for method in config["methods"]}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "study.yaml").write_text(yaml.safe_dump(config))
        plan = Plan(config)
        for batch in plan.batches.values():
            made_up.predictions(
                Path(folder, f"results/predictions/{batch.name}.safetensors"),
                plan.columns,
                grids,
                {cell: sizes[cell.dataset][:2] for cell in batch.cells},
                epochs,
            )
        workflow = [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(ROOT / "workflow/Snakefile"),
            "--directory",
            folder,
        ]
        workflow += [
            "--configfile",
            f"{folder}/study.yaml",
            "--cores",
            "1",
            "--quiet",
            "progress",
            "rules",
            "--allowed-rules",
            *TARGETS,
            "--",
        ]
        first = config["experiments"][0]
        for rule, target in TARGETS.items():
            start = time.perf_counter()
            command = [*workflow, target.format(pair=f"{first['dataset']}_{first['network']}")]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            print(f"{rule:22}{time.perf_counter() - start:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
