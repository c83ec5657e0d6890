"""What soft targets in half precision change: a study with each setting, cell by cell.

    python benchmarks/half_precision.py [--folder FOLDER] [--seeds 2] [--cores 1]

The default's tables x MLP and digits x LeNet with all its methods, without distillation and the
synthetic study; what is there is not trained again. Prints, of the columns whose students learn
from a teacher, how often the same student is selected and how far the test metrics move, beside how
far another seed moves them; and the bytes of the soft targets.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from studies import ROOT, run_study

PRECISIONS = "float32", "float16"
CELL = ["dataset", "network", "method", "seed"]
METRICS = ["cross_entropy", "accuracy", "ece", "cwece"]


def study(precision: str, seeds: int) -> dict:
    """The config."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    networks = "MLP", "LeNet"
    entries = [e | {"seeds": seeds} for e in config["experiments"] if e["network"] in networks]
    own = {"seeds": list(range(seeds)), "distillation": None, "synthetic": None}
    return config | own | {"experiments": entries, "soft_targets_precision": precision}


def metrics(config: dict, folder: Path, cores: int) -> pd.DataFrame:
    """Run a study up to its metrics."""
    run_study(config, folder, ["results/metrics.csv"], cores)
    return pd.read_csv(folder / "results/metrics.csv", float_precision="round_trip")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache/ils_half_precision")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--cores", type=int, default=1)
    options = parser.parse_args()
    folders = {precision: options.folder.absolute() / precision for precision in PRECISIONS}
    full, half = (
        metrics(study(precision, options.seeds), folder, options.cores).set_index(CELL)
        for precision, folder in folders.items()
    )
    half = half.loc[full.index]
    moved = (half[METRICS] - full[METRICS]).abs()
    taught = moved.gt(0).any(axis=1).groupby("method").transform("any")
    same = (half["point"] == full["point"])[taught].mean()
    cells = taught.sum()
    print(f"{cells} of {len(full)} cells are of columns that learn from a teacher")
    print(f"the same grid point is selected in {same:.1%} of them")
    print("| metric | mean change | absolute: mean | largest | between seeds |")
    print("|---|---|---|---|---|")
    for name in METRICS:
        change = (half[name] - full[name])[taught]
        error = change.std(ddof=1) / np.sqrt(cells)
        spread = full[name][taught].groupby(CELL[:-1]).std(ddof=1).mean()
        numbers = f"{change.mean():+.6f} ± {error:.6f} | {moved[name][taught].mean():.6f}"
        print(f"| {name} | {numbers} | {moved[name][taught].max():.6f} | {spread:.6f} |")
    for precision, folder in folders.items():
        files = (folder / "results/soft_targets").rglob("*.safetensors")
        print(f"{precision}: {sum(f.stat().st_size for f in files):,} bytes of soft targets")


if __name__ == "__main__":
    main()
