"""How fast the small networks of the synthetic study train: one after another, side by side, and at the floor.

    python benchmarks/synthetic.py [--setup as_written] [--rounds 3]

All students of one replicate (teacher, LS, ILS1, ILS2, ILS, sinusoidal) are trained the plain way (one nn.Module after
another, autograd, torch.optim.Adam, one thread) and as the study does it, in turns, so that both meet the same machine.
The floor is the multiplications that training cannot do without, at the speed of the same batched products alone.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import torch
import yaml
from ils.synthetic.gaussians import replicate
from ils.synthetic.perceptrons import train
from ils.synthetic.study import Task, needs_teacher


def plain(task, targets, learning_rate, max_epochs, patience):
    """Train one student as a script would; return its best epoch and the epochs it ran."""
    widths = task.network.widths
    layers = [
        layer
        for sizes in zip(widths, widths[1:])
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
    """Multiplications and additions of the matrix products: forward on all samples, backward on the training ones."""
    products = [2 * a * b for a, b in zip(widths, widths[1:])]
    return sum(products) * (training + validation) + training * (2 * sum(products) - products[0])


def product_speed(students, samples, width, seconds=1.0):
    """FLOP/s of the batched product of a hidden layer, the best of many."""
    a, w, out = (
        torch.randn(students, samples, width),
        torch.randn(students, width, width),
        torch.empty(students, samples, width),
    )
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.perf_counter()
        torch.bmm(a, w, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * students * samples * width * width / best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setup", default="as_written")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())["synthetic"]
    setup = next(s for s in config["setups"] if s["name"] == arguments.setup)
    geometry = next(g for g in config["geometries"] if g["name"] == setup["geometry"])
    sizes = {
        key: setup.get(key, config[key])
        for key in ("training_per_class", "validation_per_class", "test_per_class")
    }
    data = replicate(geometry, config["seed"], 0, **sizes)
    task = Task(
        data,
        setup["hidden"],
        len(geometry["classes"]),
        config["temperature_bounds"],
        config["training"],
    )
    methods = [method for method in config["methods"] if method["name"] in setup["methods"]]
    grids = task.train(task.grids([method for method in methods if not needs_teacher(method)]))
    wanted = task.grids(methods, **task.teacher_inputs(grids["no_ls"]))
    targets = torch.cat([targets for _, targets in wanted.values()]).float()
    options = {key: value for key, value in config["training"].items() if key != "students_at_once"}
    plain(task, targets[0], **options)  # the first optimizer costs a second of imports

    labels = torch.from_numpy(data.validation.y)
    one_by_one, side_by_side, epochs, plain_epochs = [], [], [], []
    for part in targets.chunk(arguments.rounds):
        start = time.perf_counter()
        trained = train(
            task.network,
            task.initial,
            task.x,
            targets,
            task.x_validation,
            labels,
            **config["training"],
        )
        side_by_side.append(time.perf_counter() - start)
        start = time.perf_counter()
        plain_epochs += [plain(task, student, **options) for student in part]
        one_by_one.append(time.perf_counter() - start)
    count, ours, theirs = len(targets), min(side_by_side), sum(one_by_one)
    ran = [
        min(int(epoch) + options["patience"], options["max_epochs"]) for epoch in trained.best_epoch
    ]
    speed = product_speed(
        config["training"]["students_at_once"],
        len(task.x) + len(task.x_validation),
        setup["hidden"][0],
    )
    floor = (
        sum(ran) * flops_per_epoch(task.network.widths, len(task.x), len(task.x_validation)) / speed
    )
    same = sum(a == b for a, (b, _) in zip(trained.best_epoch.tolist(), plain_epochs))
    print(
        f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}, 1 thread"
    )
    print(
        f"{arguments.setup}: {count} students, {sum(ran) / count:.1f} epochs each; the same best epoch {same}/{count} (float32)"
    )
    print(
        f"one after another {count / theirs:7.1f} students/s  {1e6 * theirs / sum(e for _, e in plain_epochs):6.0f} us a student's epoch"
    )
    print(
        f"side by side      {count / ours:7.1f} students/s  {1e6 * ours / sum(ran):6.0f} us   {theirs / ours:.2f} times as fast"
    )
    print(
        f"floor             {count / floor:7.1f} students/s  {1e6 * floor / sum(ran):6.0f} us   at {speed / 1e9:.0f} GFLOP/s; side by side takes {ours / floor:.2f} of it"
    )


if __name__ == "__main__":
    main()
