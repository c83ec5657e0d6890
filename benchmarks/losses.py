"""What a loss costs: a training step of 25 students of each method, in turns with hard labels.

    python benchmarks/losses.py [--rounds 7]

Through the trainer itself, on made-up samples of a table (20 features, 3 classes, a perceptron of
two hidden layers of 64, batch 16); the median of the rounds.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import torch
import yaml

from ils.plan.plan import Plan
from ils.plan.plugins import load
from ils.training.costs import STEPS, Sizes, made_up_cell, time_steps
from ils.training.step import Group

STUDENTS, BATCH, SHAPE, CLASSES = 25, 16, (20,), 3
METHODS = {  # name: target function, transform, a point of its grid
    "no_ls": ("no_ls", None, {}),
    "ls": ("ls", None, {"epsilon": 0.1}),
    "bs_soft": ("bs_soft", None, {"beta": 0.95}),
    "focal": ("focal", None, {"gamma": 2.0}),
    "dual_focal": ("dual_focal", None, {"gamma": 2.0}),
    "mbls": ("mbls", None, {"margin": 3.0, "alpha": 0.1}),
    "confidence_penalty": ("confidence_penalty", None, {"beta": 0.1}),
    "online_ls": ("online_ls", None, {"alpha": 0.5}),
    "mixup": ("no_ls", "mixup", {"alpha": 0.2}),
}


def group(name):
    """The students of a method."""
    targets, transform, point = METHODS[name]
    transform = load("transform", transform) if transform else None
    return Group(name, load("method", targets), [point] * STUDENTS, {}, transform)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    root = Path(__file__).parent.parent
    plan = Plan(yaml.safe_load((root / "config/config.yaml").read_text(encoding="utf-8")))
    cell = next(cell for cell in plan.compared if plan.recipe_name(cell) == "tables")
    architecture, recipe = plan.cell_plan(cell).architecture, plan.recipe(cell)
    sizes = Sizes(BATCH * STEPS, 2, 2, SHAPE, CLASSES, 4)
    seconds = {name: [] for name in METHODS}
    for _ in range(rounds):
        for name, times in seconds.items():
            data = made_up_cell(sizes, {"pad": 0, "flip": False}, sizes.train, torch.device("cpu"))
            times.append(time_steps(data, architecture, [group(name)], recipe))
    base = statistics.median(seconds["no_ls"])
    print("| method | µs a step | × hard labels |\n|---|---|---|")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"| {name} | {1e6 * median:.0f} | {median / base:.2f} |")


if __name__ == "__main__":
    main()
