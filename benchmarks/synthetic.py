"""How fast the small networks of the synthetic study train.

    python benchmarks/synthetic.py [--setup as_written] [--rounds 3]

One after another, side by side, and at the floor. All students of one replicate (teacher, LS, ILS1,
ILS2, ILS, sinusoidal) are trained the plain way (one nn.Module after another, autograd,
torch.optim.Adam, one thread) and as the study does it, in turns, so that both meet the same
machine. The floor is the multiplications that training cannot do without, at the speed of the same
batched products alone.
"""

import argparse
import itertools
import os
import platform
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import torch
import yaml

from ils.plan.synthetic import SyntheticPlan
from ils.synthetic.gaussians import replicate
from ils.synthetic.perceptrons import train
from ils.synthetic.study import SIZES, Task, needs_teacher

CONFIG = Path(__file__).parent.parent / "config/config.yaml"


def plain(task, targets, learning_rate, max_epochs, patience):
    """Train one student as a script would; return its best epoch and the epochs it ran."""
    widths = task.network.widths
    layers = [
        layer
        for sizes in itertools.pairwise(widths)
        for layer in (torch.nn.Linear(*sizes), torch.nn.ReLU())
    ]
    model = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for linear, (weight, bias) in zip(layers[::2], task.network.layers(task.initial[None])):
            linear.weight.copy_(weight[0].T)
            linear.bias.copy_(bias[0, 0])
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    labels = torch.from_numpy(task.data.validation.y)
    best, best_epoch = float("inf"), 0
    for epoch in range(1, max_epochs + 1):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(task.x), targets).backward()
        optimizer.step()
        with torch.no_grad():
            ce = torch.nn.functional.cross_entropy(model(task.x_validation), labels).item()
        if ce < best:
            best, best_epoch = ce, epoch
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        if epoch - best_epoch >= patience:
            break
    model.load_state_dict(kept)
    return best_epoch, epoch


def flops_per_epoch(widths, training, validation):
    """Multiplications and additions of the matrix products.

    They go forward on all samples, backward on the training ones.
    """
    products = [2 * a * b for a, b in itertools.pairwise(widths)]
    return sum(products) * (training + validation) + training * (2 * sum(products) - products[0])


def product_speed(students, samples, width, seconds=1.0):
    """FLOP/s of the batched product of a hidden layer, the best of many."""
    a, w = torch.randn(students, samples, width), torch.randn(students, width, width)
    out = torch.empty(students, samples, width)
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.perf_counter()
        torch.bmm(a, w, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * students * samples * width * width / best


def all_students(name):
    """Return a `Task` of one replicate of a setup, and the targets (G, N, K) of its students."""
    plan = SyntheticPlan(yaml.safe_load(CONFIG.read_text())["synthetic"])
    setup, methods, section = plan.setup(name), plan.methods(name), plan.section
    sizes = {key: setup.get(key, section[key]) for key in SIZES}
    data = replicate(setup["geometry"], section["seed"], 0, **sizes)
    classes, bounds = len(setup["geometry"]["classes"]), section["temperature_bounds"]
    task = Task(data, setup["hidden"], classes, bounds, section["training"])
    grids = task.train(task.grids([method for method in methods if not needs_teacher(method)]))
    wanted = task.grids(methods, **task.teacher_inputs(grids["no_ls"]))
    return task, torch.cat([targets for _, targets in wanted.values()]).float()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setup", default="as_written")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task, targets = all_students(arguments.setup)
    network, training = task.network, task.training
    options = {key: value for key, value in training.items() if key != "students_at_once"}
    plain(task, targets[0], **options)  # the first optimizer costs a second of imports

    labels = torch.from_numpy(task.data.validation.y)
    one_by_one, side_by_side, plain_epochs = [], [], []
    for part in targets.chunk(arguments.rounds):
        start = time.perf_counter()
        trained = train(
            network, task.initial, task.x, targets, task.x_validation, labels, **training
        )
        side_by_side.append(time.perf_counter() - start)
        start = time.perf_counter()
        plain_epochs += [plain(task, student, **options) for student in part]
        one_by_one.append(time.perf_counter() - start)
    count, ours, theirs = len(targets), min(side_by_side), sum(one_by_one)
    patience, most = options["patience"], options["max_epochs"]
    epochs = sum(min(int(epoch) + patience, most) for epoch in trained.best_epoch)
    samples = len(task.x), len(task.x_validation)
    speed = product_speed(training["students_at_once"], sum(samples), network.widths[1])
    floor = epochs * flops_per_epoch(network.widths, *samples) / speed
    same = sum(a == b for a, (b, _) in zip(trained.best_epoch.tolist(), plain_epochs))
    capability = torch.backends.cpu.get_cpu_capability()
    print(f"{platform.machine()}, {capability}, torch {torch.__version__}, 1 thread")
    print(
        f"{arguments.setup}: {count} students, {epochs / count:.1f} epochs each; "
        f"the same best epoch {same}/{count} (float32)"
    )
    print(
        f"one after another {count / theirs:7.1f} students/s  "
        f"{1e6 * theirs / sum(e for _, e in plain_epochs):6.0f} us a student's epoch"
    )
    print(
        f"side by side      {count / ours:7.1f} students/s  {1e6 * ours / epochs:6.0f} us   "
        f"{theirs / ours:.2f} times as fast"
    )
    print(
        f"floor             {count / floor:7.1f} students/s  {1e6 * floor / epochs:6.0f} us   "
        f"at {speed / 1e9:.0f} GFLOP/s; side by side takes {ours / floor:.2f} of it"
    )


if __name__ == "__main__":
    main()
