"""How fast students of image networks train: the plain way, and as the study does it.

    python benchmarks/images.py [--device cpu] [--networks LeNet ResNet110 ...]
        [--precision bfloat16] [--cuda-graphs 1]

ILS students on made-up images of CIFAR-10's shape, with its crops and flips. The networks, their
batches, and how many students train at once are those of config/paper.yaml; on a CPU the networks
are shallower (DEPTHS). The plain way is that of plain.py, one student after another. Both ways run
in turns, each in a process of its own, which also tells its memory. The floor is the
multiplications that training cannot do without, at the speed of the device's best matrix product.
"""

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np
import torch
import yaml

import plain
from ils.job import keep_freed_memory
from ils.networks.build import build
from ils.plan.plan import Plan
from ils.targets.methods import ils
from ils.training import devices
from ils.training.costs import Sizes, forward_flops, made_up_cell, time_steps
from ils.training.step import Group

CONFIG = Path(__file__).parent.parent / "config/paper.yaml"
DEPTHS = {
    "ResNet110": {"depth": 20},
    "ResNet110SD": {"depth": 20},
    "DenseNet40": {"depth": 22},
    "ResNet32W": {"depth": 10, "widen": 4},
}
NETWORKS = ("LeNet", *DEPTHS)
SHAPE, CLASSES, AUGMENTATION = (3, 32, 32), 10, {"pad": 4, "flip": True}
POINT = {"p1": 0.9, "p2": 1.0, "temperature": 2.0}
TEMPERATURE, STEPS = 1.5, 200


def planned(name, device):
    """Return the `Architecture` of a network, shallower on a CPU, its `Recipe`, and how many
    students train at once."""
    plan = Plan(yaml.safe_load(CONFIG.read_text()))
    cell = next(cell for cell in plan.compared if cell.network == name)
    architecture = plan.cell_plan(cell).architecture
    shallower = DEPTHS.get(name, {}) if device == "cpu" else {}
    options = architecture.options | shallower
    at_once = plan.networks[name]["students_at_once"][device]
    return dataclasses.replace(architecture, options=options), plan.recipe(cell), at_once


def plain_model(architecture):
    """The plain network of an architecture."""
    options = architecture.options.items()
    options = {key: value for key, value in options if key not in ("padding", "variant")}
    return plain.MODELS[architecture.family](SHAPE, CLASSES, **options)


def clock(device):
    """Seconds on the GPU once it is done, on a CPU those of the process."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.process_time() if device == "cpu" else time.perf_counter()


def measure_plain(architecture, recipe, students, device, seconds, workers):
    """Images per second of the plain way."""
    model, teacher = (plain_model(architecture).to(device) for _ in range(2))
    teacher.eval()
    options = {"momentum": 0.9, "weight_decay": recipe.weight_decay, "nesterov": True}
    optimizer = torch.optim.SGD(model.parameters(), recipe.learning_rate, **options)
    rng, n = np.random.default_rng(0), recipe.batch_size * STEPS
    images, labels = rng.integers(0, 256, (n, *SHAPE), np.uint8), rng.integers(0, CLASSES, n)
    scale = [120] * 3, [60] * 3
    batches = plain.loader(images, labels, *scale, recipe.batch_size, workers, AUGMENTATION)

    def targets(x, labels):
        with torch.no_grad():
            return plain.ils(labels, teacher(x), TEMPERATURE, *POINT.values())

    times = []
    for _ in plain.train_epoch(model, batches, optimizer, device, targets):
        times.append(clock(device))
        if len(times) > 6 and times[-1] - times[5] > seconds:
            break
    return recipe.batch_size * (len(times) - 6) / (times[-1] - times[5])


def measure_ours(architecture, recipe, students, device, seconds, workers):
    """Images x students per second of the trainer."""
    keep_freed_memory()
    device = torch.device(device)
    sizes = Sizes(recipe.batch_size * STEPS, 2, 2, SHAPE, CLASSES, 1)
    cell = made_up_cell(sizes, AUGMENTATION, sizes.train, device)
    cell.enough = seconds
    logits = torch.randn(sizes.train, cell.train.views, CLASSES, device=device)
    cell.teacher_logits, cell.teacher_temperature = [logits], TEMPERATURE
    group = Group("ils", ils, [POINT] * students)
    return recipe.batch_size * students / time_steps(cell, architecture, [group], recipe)


def product_speed(device, seconds=2.0):
    """FLOP/s of a large matrix product, the best of many."""
    n = 1024 if device == "cpu" else 8192
    a, b, out = (torch.randn(n, n, device=device) for _ in range(3))
    best, stop = float("inf"), clock(device) + seconds
    while clock(device) < stop:
        start = clock(device)
        torch.mm(a, b, out=out)
        best = min(best, clock(device) - start)
    return 2 * n**3 / best


def megabytes(device):
    """The most memory that this process took on the device so far."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def apart(*arguments):
    """What a process of its own measures, ours with the large pages that the jobs get."""
    environment = os.environ | dict([devices.LARGE_PAGES]) if "ours" in arguments else os.environ
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def arguments_of(command_line):
    """Parse the command line; `workers` are then a number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    gpu = torch.cuda.is_available()
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if gpu else "cpu")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--students", type=int, help="at once, instead of the config's")
    parser.add_argument("--precision", help="instead of the config's")
    parser.add_argument("--cuda-graphs", type=int, choices=[0, 1], help="instead of the config's")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--workers",
        type=int,
        help="of the plain DataLoader; by default 0 on a CPU, all cores beside a GPU",
    )
    parser.add_argument("--measure", choices=["plain", "ours", "product"], help=argparse.SUPPRESS)
    arguments = parser.parse_args(command_line)
    if arguments.workers is None:
        arguments.workers = 0 if arguments.device == "cpu" else min(16, os.cpu_count())
    return arguments


def adjusted(architecture, arguments):
    """The architecture with what the command line says instead of the config."""
    changes = {}
    if arguments.precision is not None:
        changes["precision"] = {arguments.device: arguments.precision}
    if arguments.cuda_graphs is not None:
        changes["cuda_graphs"] = arguments.cuda_graphs
    return dataclasses.replace(architecture, **changes)


def measure(arguments):
    """What one process measures, as JSON on its last line."""
    device = arguments.device
    if arguments.measure == "product":
        return product_speed(device)
    architecture, recipe, at_once = planned(arguments.networks[0], device)
    way = {"plain": measure_plain, "ours": measure_ours}[arguments.measure]
    before = megabytes(device)
    options = device, arguments.seconds, arguments.workers
    students = arguments.students or at_once
    speed = way(adjusted(architecture, arguments), recipe, students, *options)
    return [speed, megabytes(device) - before]


def compare(name, arguments, options, ceiling):
    """Run both ways in turns; returns the row of a network, as text."""
    architecture, recipe, at_once = planned(name, arguments.device)
    architecture = adjusted(architecture, arguments)
    turns = [
        [apart(*options, "--networks", name, "--measure", way) for way in ("plain", "ours")]
        for _ in range(arguments.rounds)
    ]
    (theirs, their_memory), (ours, memory) = (max(turn[way] for turn in turns) for way in (0, 1))
    network = build(architecture.family, architecture.options, SHAPE, CLASSES, 1, 0)
    *_, flops = forward_flops(network, SHAPE)
    sizes = ", ".join(str(value) for value in architecture.options.values())
    return [
        f"{name} ({sizes})",
        str(recipe.batch_size),
        str(arguments.students or at_once),
        f"{theirs:,.0f}",
        f"{ours:,.0f}",
        f"{ours / theirs:.2f}",
        f"{their_memory:,.0f}, {memory:,.0f}",
        f"{3 * flops * ours / ceiling:.2f}",
    ]


def main():
    arguments = arguments_of(sys.argv[1:])
    torch.set_num_threads(1)
    if arguments.measure:
        print(json.dumps(measure(arguments)))
        return
    machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    what = torch.cuda.get_device_name() if arguments.device == "cuda" else machine
    ceiling = apart("--device", arguments.device, "--measure", "product")
    print(
        f"{what}, torch {torch.__version__}; best float32 matrix product "
        f"{ceiling / 1e9:,.0f} GFLOP/s; plain with {arguments.workers} workers"
    )
    print(
        "| network | batch | at once | plain, images/s | ours, images x students/s | ratio "
        "| plain, ours, MB | share of the ceiling |"
    )
    print("|---|---|---|---|---|---|---|---|")
    names = {*arguments.networks, "--networks"}
    options = [argument for argument in sys.argv[1:] if argument not in names]
    for name in arguments.networks:
        print(f"| {' | '.join(compare(name, arguments, options, ceiling))} |", flush=True)


if __name__ == "__main__":
    main()
