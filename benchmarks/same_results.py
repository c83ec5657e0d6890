"""Do students trained the fast way come out as those trained the plain way?

    python benchmarks/same_results.py [--data /usr/share/datasets/fashion-mnist] [--seeds 5]

LeNet on real Fashion-MNIST. For each seed both ways train a No LS teacher and an ILS student on the
same split, with crops and flips, keep the epoch of the lowest validation cross-entropy, and look at
the official test split at the end. Ours trains the student as one of five in a network, on stored
soft targets; the plain way as plain.py says. They share no random number but the split, so their
test cross-entropies agree only as two samples do: the difference of their means is given with its
standard error. A third way is ours in bfloat16, which differs from ours in float32 in nothing but
that, so their differences are taken by seed.
"""

import argparse
import copy
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np
import torch
import torch.nn.functional as F

import plain
from ils.data.sources import idx
from ils.data.splits import split
from ils.job import keep_freed_memory
from ils.networks.build import build
from ils.plan.records import Recipe
from ils.targets.methods import ils, no_ls
from ils.training.cell import CellData, predict
from ils.training.step import Group
from ils.training.trainer import train

TRAIN, VALIDATION, AUGMENTATION = 12000, 3000, {"pad": 2, "flip": True}
RECIPE = Recipe("sgd", 0.05, 0.9, True, 1e-4, [6, 8], 0.1, 128, 9, None)
POINT, TEMPERATURE = {"p1": 0.975, "p2": 2.0, "temperature": 2.0}, 1.5


def scores(logits, labels):
    """Cross-entropy and accuracy of logits (N, K)."""
    accuracy = (logits.argmax(1) == labels).float().mean()
    return F.cross_entropy(logits, labels).item(), accuracy.item()


def plain_way(data, parts, seed):
    """Test cross-entropy and accuracy of the teacher and the student."""
    torch.manual_seed(seed)

    def loader(part, augmentation=None):
        images, labels = data["inputs"][parts[part]], data["labels"][parts[part]]
        scale = parts["mean"], parts["std"]
        return plain.loader(images, labels, *scale, RECIPE.batch_size, 0, augmentation)

    loaders = {part: loader(part) for part in ("validation", "test")}
    batches = loader("train", AUGMENTATION)

    @torch.no_grad()
    def tested(model, part):
        model.eval()
        logits, labels = map(torch.cat, zip(*((model(x), y) for x, y in loaders[part])))
        return scores(logits, labels)

    def fit(targets):
        model = plain.lenet((1, 28, 28), 10)
        options = {"momentum": 0.9, "weight_decay": RECIPE.weight_decay, "nesterov": True}
        optimizer = torch.optim.SGD(model.parameters(), RECIPE.learning_rate, **options)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, RECIPE.milestones, RECIPE.decay)
        best = float("inf")
        for _ in range(RECIPE.epochs):
            for _ in plain.train_epoch(model, batches, optimizer, "cpu", targets):
                pass
            schedule.step()
            if (ce := tested(model, "validation")[0]) < best:
                best, kept = ce, copy.deepcopy(model)
        return kept

    def soft(x, labels):
        with torch.no_grad():
            return plain.ils(labels, teacher(x), TEMPERATURE, *POINT.values())

    teacher = fit(lambda x, labels: F.one_hot(labels, 10).float()).eval()
    return tested(teacher, "test"), tested(fit(soft), "test")


def our_way(data, parts, seed, precision="float32", device="cpu"):
    """The same of ours."""
    cell = CellData(data, parts, AUGMENTATION, torch.device(device))
    test, labels = cell.samples("test"), cell.labels("test")

    def fit(targets, point, students):
        network = build("lenet", {}, (1, 28, 28), 10, students, seed, precision)
        group = Group(targets.__name__, targets, [point] * students)
        train(network, cell, [group], RECIPE, seed, group.method)
        return network  # at its best epoch

    def tested(network):
        return scores(predict(network, test)[0], labels)

    teacher = fit(no_ls, {}, 1)
    n = len(cell.train)
    views = (torch.full((n,), view, device=device) for view in range(cell.train.views))
    logits = [predict(teacher, cell.train, view)[0] for view in views]
    cell.teacher_logits, cell.teacher_temperature = [torch.stack(logits, 1)], TEMPERATURE
    return tested(teacher), tested(fit(ils, POINT, 5))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    raw = idx(folder=arguments.data)
    data = {"inputs": raw.inputs, "labels": raw.labels, "ids": np.arange(len(raw.labels))}
    # The official test split is used as it is, whatever its size.
    sizes = {"name": "Fashion-MNIST", "test": 1, "validation": VALIDATION, "train": TRAIN}
    results = []
    for seed in range(arguments.seeds):
        parts = split(raw.inputs, raw.labels, raw.official_test, seed, **sizes)
        task = data, parts, seed
        results.append([plain_way(*task), our_way(*task), our_way(*task, "bfloat16")])
        print(f"seed {seed}: {results[-1]}", file=sys.stderr)
    print_table(np.array(results))


def print_table(results):
    """Print results (seed, way, teacher or student, cross-entropy or accuracy) as Markdown."""
    heads = ["", "plain", "ours", "ours − plain", "in its standard errors"]
    print(f"|{' | '.join(heads)} | ours in bfloat16 − ours, by seed |\n|---|---|---|---|---|---|")
    for student, who in enumerate(("No LS", "ILS")):
        for kind, (what, *shown) in enumerate((("cross-entropy", 1, 4), ("accuracy, %", 100, 2))):
            theirs, ours, rounded = results[:, :, student, kind].T
            difference = ours.mean() - theirs.mean()
            error = ((ours.var(ddof=1) + theirs.var(ddof=1)) / len(ours)) ** 0.5
            row = [f"{who}, {what}", mean(theirs, *shown), mean(ours, *shown)]
            row += [with_error(difference, error, *shown, "+"), f"{difference / error:+.1f}"]
            row += [mean(rounded - ours, *shown, "+")]
            print(f"| {' | '.join(row)} |")


def mean(values, scale, digits, sign=""):
    """The mean of values (N,) and its standard error."""
    return with_error(values.mean(), values.std(ddof=1) / len(values) ** 0.5, scale, digits, sign)


def with_error(value, error, scale, digits, sign=""):
    """A value and its standard error in words."""
    return f"{scale * value:{sign}.{digits}f} ± {scale * error:.{digits}f}"


if __name__ == "__main__":
    main()
