"""All that a GPU has to tell: one command for the day that one is at hand.

    python benchmarks/gpu.py [--dry] [--minutes 25] [--data /usr/share/datasets/fashion-mnist]

Runs part after part, each in a process of its own: the tests that take a device (ILS_TEST_DEVICE),
images.py in several precisions with and without graphs, how many students of each of
config/paper.yaml's networks train fastest together, a forecast of that study, and LeNet on
Fashion-MNIST on the GPU and the CPU. What a part finds is written to benchmarks/gpu/<part>.json at
once. The same command later goes on with the parts that are not there yet; delete a file to measure
it again. A part that fails is named and the rest goes on. At the end benchmarks/GPU.md is written,
and what to write into paper.yaml printed. --dry: the same at a tiny size on the CPU, in under two
minutes, into a temporary folder.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np
import torch
import yaml

import images
import same_results
from ils.data.sources import idx
from ils.data.splits import split
from ils.plan.plan import Plan
from ils.training import costs
from ils.training.forecast import forecast, network_speeds, pairs_of

HERE = Path(__file__).parent
WAYS = {
    "float32": [],
    "tf32": ["--precision", "tf32"],
    "tf32, graphs": ["--precision", "tf32", "--cuda-graphs", "1"],
    "bfloat16": ["--precision", "bfloat16"],
    "bfloat16, graphs": ["--precision", "bfloat16", "--cuda-graphs", "1"],
}
OWED = "Owed: not measured on a GPU yet.\n"


def study(dry):
    """The plan of paper.yaml, of LeNet alone if `dry`."""
    config = yaml.safe_load(images.CONFIG.read_text())
    if dry:
        config["experiments"] = [e for e in config["experiments"] if e["network"] == "LeNet"][:1]
        config["distillation"] = None
        costs.TimedCell.enough = 0.0
    return Plan(config)


def device_of(dry):
    """The device that is measured."""
    return torch.device("cpu" if dry else "cuda")


def device(dry, data):
    """The device and what drives it."""
    found = {"torch": torch.__version__, "CUDA": torch.version.cuda, "device": "CPU: a dry run"}
    if not dry:
        properties = torch.cuda.get_device_properties(0)
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        found |= {"device": properties.name, "driver": driver.split()[0]}
        found |= {"memory, GB": round(properties.total_memory / 1e9, 1)}
    return found


def tests(dry, data):
    """The tests that take a device."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/training/test_on_device.py"]
    environment = os.environ | {"ILS_TEST_DEVICE": device_of(dry).type}
    done = subprocess.run(
        command + ["-k", "lenet"] * dry,
        cwd=HERE.parent,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-3000:])
    return {"said": done.stdout.splitlines()[-1]}


def speed(way, dry, data):
    """The table of images.py."""
    command = [sys.executable, HERE / "images.py", "--device", device_of(dry).type, *WAYS[way]]
    command += ["--rounds", "1", "--seconds", "0.1" if dry else "4"]
    # Coins are drawn anew each step: there is nothing to record.
    without = [name for name in images.NETWORKS if name != "ResNet110SD" or "graphs" not in way]
    command += ["--networks", *(["LeNet"] if dry else without)]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True)
    return {"table": done.stdout}


def at_once(network, dry, data):
    """The rows of `forecast.network_speeds`."""
    plan = study(dry)
    pairs, trained = pairs_of(plan, costs.known_sizes(plan, {}), device_of(dry))
    keys = [key for key in pairs if key[1] == network]
    most = max(job["students"] for key in keys for job in trained[key])
    rows = network_speeds(pairs[keys[0]], 2 if dry else most, costs.step_seconds)
    return {"rows": rows}


def whole_study(dry, data):
    """The rows of `forecast.forecast`."""
    plan = study(dry)
    return {"rows": forecast(plan, costs.known_sizes(plan, {}), device_of(dry))}


def agreement(dry, data):
    """LeNet on Fashion-MNIST by seed: test cross-entropy and accuracy of the teacher and the ILS
    student on the CPU and on the device, in float32, tf32 and bfloat16, (seed, 4, 2, 2)."""
    seeds, sizes = 3, {"name": "Fashion-MNIST", "test": 1, "validation": 3000, "train": 12000}
    if dry:
        rng = np.random.default_rng(0)
        inputs, labels = rng.integers(0, 256, (90, 1, 28, 28), np.uint8), np.arange(90) % 10
        official, seeds = np.arange(90) >= 70, 1
        sizes |= {"validation": 20, "train": 50}
    else:
        inputs, labels, official, *_ = idx(folder=data)
    arrays = {"inputs": inputs, "labels": labels, "ids": np.arange(len(labels))}
    found = []
    for seed in range(seeds):
        task = arrays, split(inputs, labels, official, seed, **sizes), seed
        on = functools.partial(same_results.our_way, *task)
        precisions = ["float32"] if dry else ["float32", "tf32", "bfloat16"]
        found.append([on(), *(on(precision, device_of(dry)) for precision in precisions)])
    return {"results": found}


def parts(dry):
    """Every part by name, in the order that they run in: what is needed most comes first."""
    networks = dict.fromkeys(key[1] for key in pairs_of(study(dry), Known(), device_of(True))[0])
    listed = {"device": device, "tests": tests, "agreement": agreement, "forecast": whole_study}
    listed |= {
        f"speed, {way}": functools.partial(speed, way) for way in list(WAYS)[: 1 if dry else 5]
    }
    return listed | {f"at once, {name}": functools.partial(at_once, name) for name in networks}


class Known(dict):
    """Sizes that nobody looks at."""

    def __missing__(self, name):
        return None


def apart(part, arguments, seconds):
    """What a part finds, in a process of its own that ends after so many seconds."""
    command = [sys.executable, __file__, "--part", part, "--data", arguments.data]
    command += ["--dry"] * arguments.dry
    done = subprocess.run(command, capture_output=True, text=True, timeout=max(seconds, 1))
    if done.returncode:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.splitlines()[-1])


def run(arguments, folder):
    """Run the parts whose files are not there; returns {part: what it found}, {part: why not}."""
    end = time.monotonic() + 60 * arguments.minutes
    found, failed = {}, {}
    for part in parts(arguments.dry):
        file = folder / f"{part.replace(', ', '-').replace(' ', '_')}.json"
        if not file.exists():
            start = time.monotonic()
            if start > end:
                failed[part] = "no time left; the same command goes on with it"
                continue
            try:
                result = apart(part, arguments, end - start)
            except (subprocess.SubprocessError, ValueError, IndexError) as error:
                failed[part] = str(error).splitlines()[0]
                print(f"{part}: failed: {failed[part]}", flush=True)
                continue
            temporary = file.with_suffix(".tmp")
            temporary.write_text(json.dumps(result, indent=1) + "\n")
            temporary.replace(file)
            print(f"{part}: {time.monotonic() - start:.0f} s", flush=True)
        found[part] = json.loads(file.read_text())
    return found, failed


def table(rows, columns):
    """Rows, mappings, as a Markdown table of some of their columns."""
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [row.get(column, "") for column in columns]
        texts = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells]
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def agreement_table(results):
    """How far the device is from the CPU: means over seeds, and of the differences by seed."""
    by_seed = np.array(results)
    ways = ["CPU, float32", *(f"GPU, {p}" for p in ("float32", "tf32", "bfloat16"))]
    rows = []
    for student, who in enumerate(("No LS", "ILS")):
        for kind, what in enumerate(("cross-entropy", "accuracy")):
            numbers = by_seed[:, :, student, kind].T
            row = {"": f"{who}, {what}", ways[0]: numbers[0].mean()}
            row["between its seeds"] = np.ptp(numbers[0])
            for way, difference in zip(ways[1:], numbers[1:] - numbers[0], strict=False):
                spread = f" ({difference.min():+.4f} to {difference.max():+.4f})"
                row[f"{way} − CPU"] = f"{difference.mean():+.4f}{spread}"
            rows.append(row)
    return table(rows, list(rows[0]))


def to_write(found):
    """What paper.yaml should say by these measurements, line by line."""
    lines = []
    for part, result in found.items():
        if part.startswith("at once, "):
            best = next(row["students"] for row in result["rows"] if row["suggested"])
            lines.append(f"networks, {part[9:]}: students_at_once.cuda: {best}")
    for row in found.get("forecast", {"rows": []})["rows"]:
        if "hours" in row:
            lines.append(
                f"experiments, {row['dataset']} x {row['network']}: hours: {row['hours']:.3g}"
            )
    return lines


HEAD = """# Measured on a GPU

Written by `python benchmarks/gpu.py`, on one GPU in at most 25 minutes at a time; the same command
goes on where it ended. `docs/gpu.md` says what was checked without a GPU.
"""


def page(found, failed):
    """The text of GPU.md: what was measured, and what is owed."""
    tried = [row for p, r in found.items() if p.startswith("at once") for row in r["rows"]]
    speeds = [f"### {p[7:]}\n\n{r['table']}" for p, r in found.items() if p.startswith("speed")]
    columns = "network", "students", "samples_per_second", "configured", "suggested"
    costs = "dataset", "network", "trainings", "jobs", "device_hours", "hours", "eflop", "device_gb"
    sections = {
        "The device": [f"- {name}: {value}\n" for name, value in found.get("device", {}).items()],
        "Tests on the device": [found["tests"]["said"] + "\n"] if "tests" in found else [],
        "Speed: `benchmarks/images.py`": speeds,
        "How many students train together": [table(tried, columns)] if tried else [],
        "Forecast of `config/paper.yaml`": [
            table(result["rows"], costs) for part, result in found.items() if part == "forecast"
        ],
        "LeNet on Fashion-MNIST, on the CPU and on the GPU": [
            agreement_table(result["results"])
            for part, result in found.items()
            if part == "agreement"
        ],
        "What to write into `config/paper.yaml`": [f"- {line}\n" for line in to_write(found)],
    }
    if failed:
        sections["What failed or was left"] = [f"- {part}: {why}\n" for part, why in failed.items()]
    texts = (f"\n## {title}\n\n{''.join(said) or OWED}" for title, said in sections.items())
    return HEAD + "".join(texts)


def arguments_of(command_line):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="everything, tiny, on the CPU")
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args(command_line)


def main(command_line):
    arguments = arguments_of(command_line)
    if arguments.part:
        torch.set_num_threads(1)
        result = parts(arguments.dry)[arguments.part](arguments.dry, arguments.data)
        print(json.dumps(result))
        return
    if not arguments.dry and not torch.cuda.is_available():
        sys.exit("torch sees no CUDA device; --dry runs everything at a tiny size on the CPU")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if arguments.dry else HERE / "gpu"
        folder.mkdir(exist_ok=True)
        found, failed = run(arguments, folder)
        file = (folder if arguments.dry else HERE) / "GPU.md"
        file.write_text(page(found, failed))
        print(file.read_text() if arguments.dry else f"written: {file}")
    print("\n".join(["To write into config/paper.yaml:", *to_write(found)]))
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
