"""How fast students of image networks train: the plain way, one after another, and as the study does it.

    python benchmarks/images.py [--device cpu] [--networks LeNet ResNet110 ...] [--precision bfloat16] [--cuda-graphs 1]

ILS students on made-up images of CIFAR-10's shape, with its crops and flips. The networks, their batches, and how many
students train at once are those of config/paper.yaml; on a CPU the networks are shallower (DEPTHS). The plain way is
that of plain.py. Both ways run in turns, each in a process of its own, which also tells its memory. The floor is the
multiplications that training cannot do without, at the speed of the device's best matrix product.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import numpy as np
import plain
import torch
import yaml
from ils.job import keep_freed_memory
from ils.networks.build import build
from ils.plan.checks import trained_as
from ils.training.forecast import Sizes, forward_flops, made_up_cell, parts_of, time_steps
from ils.training.trainer import devices

CONFIG = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
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


def entries(name, device):
    """The network's entry, shallower on a CPU, and its recipe."""
    experiment = next(e for e in CONFIG["experiments"] if e["network"] == name)
    _, network, recipe, _ = parts_of(CONFIG, experiment, torch.device(device))
    shallower = DEPTHS.get(name, {}) if device == "cpu" else {}
    return trained_as(network) | {"name": name, "options": network["options"] | shallower}, recipe


def plain_model(network):
    """The plain network of an entry."""
    options = {
        key: value for key, value in network["options"].items() if key not in ("padding", "variant")
    }
    return plain.MODELS[network["family"]](SHAPE, CLASSES, **options)


def clock(device):
    """Seconds on the GPU once it is done, on a CPU those of the process."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.process_time() if device == "cpu" else time.perf_counter()


def measure_plain(network, recipe, device, seconds, workers):
    """Images per second of the plain way."""
    model, teacher = (plain_model(network).to(device) for _ in range(2))
    teacher.eval()
    optimizer = torch.optim.SGD(
        model.parameters(),
        recipe.learning_rate,
        0.9,
        weight_decay=recipe.weight_decay,
        nesterov=True,
    )
    rng, n = np.random.default_rng(0), recipe.batch_size * STEPS
    images, labels = rng.integers(0, 256, (n, *SHAPE), np.uint8), rng.integers(0, CLASSES, n)
    batches = plain.loader(
        images, labels, [120] * 3, [60] * 3, recipe.batch_size, workers, AUGMENTATION
    )

    def targets(x, labels):
        with torch.no_grad():
            return plain.ils(labels, teacher(x), TEMPERATURE, *POINT.values())

    times = []
    for _ in plain.train_epoch(model, batches, optimizer, device, targets):
        times.append(clock(device))
        if len(times) > 6 and times[-1] - times[5] > seconds:
            break
    return recipe.batch_size * (len(times) - 6) / (times[-1] - times[5])


def measure_ours(network, recipe, device, seconds, workers):
    """Images x students per second of the trainer."""
    keep_freed_memory()
    students, device = network["students_at_once"][device], torch.device(device)
    sizes = Sizes(recipe.batch_size * STEPS, 2, 2, SHAPE, CLASSES, 1)
    cell = made_up_cell(sizes, AUGMENTATION, sizes.train, device)
    cell.enough = seconds
    views = (2 * AUGMENTATION["pad"] + 1) ** 2 * 2
    cell.teacher_logits, cell.teacher_temperature = (
        [torch.randn(sizes.train, views, CLASSES, device=device)],
        TEMPERATURE,
    )
    grid = {name: [value] * students for name, value in POINT.items()}
    return recipe.batch_size * students / time_steps(cell, network, "ils", grid, recipe, students)


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
    """The most memory that this process took: on the GPU, or on the CPU beyond what importing takes."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def apart(*arguments):
    """What a process of its own measures, ours with the large pages that the workflow's jobs get."""
    environment = os.environ | dict([devices.LARGE_PAGES]) if "ours" in arguments else os.environ
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu"
    )
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
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = arguments.device
    workers = (
        arguments.workers
        if arguments.workers is not None
        else 0
        if device == "cpu"
        else min(16, os.cpu_count())
    )
    if arguments.measure == "product":
        return print(json.dumps(product_speed(device)))
    given = {"students_at_once": arguments.students, "precision": arguments.precision}
    given = {key: {device: value} for key, value in given.items() if value is not None}
    given |= {"cuda_graphs": arguments.cuda_graphs} if arguments.cuda_graphs is not None else {}
    if arguments.measure:
        network, recipe = entries(arguments.networks[0], device)
        before = megabytes(device)
        speed = globals()[f"measure_{arguments.measure}"](
            network | given, recipe, device, arguments.seconds, workers
        )
        return print(json.dumps([speed, megabytes(device) - before]))

    what = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    )
    ceiling = apart("--device", device, "--measure", "product")
    print(
        f"{what}, torch {torch.__version__}; best float32 matrix product {ceiling / 1e9:,.0f} GFLOP/s; plain with {workers} workers"
    )
    print(
        "| network | batch | at once | plain, images/s | ours, images x students/s | ratio | plain, ours, MB | share of the ceiling |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.networks:
        network, recipe = entries(name, device)
        network |= given
        options = [
            argument
            for argument in sys.argv[1:]
            if argument not in arguments.networks and argument != "--networks"
        ]
        turns = [
            [apart(*options, "--networks", name, "--measure", way) for way in ("plain", "ours")]
            for _ in range(arguments.rounds)
        ]
        (theirs, their_memory), (ours, memory) = (
            max(turn[way] for turn in turns) for way in (0, 1)
        )
        *_, flops = forward_flops(
            build(network["family"], network["options"], SHAPE, CLASSES, 1, 0), SHAPE
        )
        sizes = ", ".join(str(value) for value in network["options"].values())
        row = [
            f"{name} ({sizes})",
            recipe.batch_size,
            network["students_at_once"][device],
            f"{theirs:,.0f}",
            f"{ours:,.0f}",
        ]
        row += [
            f"{ours / theirs:.2f}",
            f"{their_memory:,.0f}, {memory:,.0f}",
            f"{3 * flops * ours / ceiling:.2f}",
        ]
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
