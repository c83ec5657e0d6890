"""How often intervals of metrics cover the truth: ours, and those of the plain bootstrap.

    python benchmarks/coverage.py [--replicates 300] [--draws 200]

Labels come from softmax(z) of normal logits z, predictions are softmax(z / T): calibrated at T = 1,
overconfident below, underconfident above. The truth is the value of the same metric on 200,000
samples, with the labels' probabilities in the place of labels. "percentile" and "pivot" are
intervals of the plain bootstrap, from samples drawn again, the latter cut at 0. All are asked for
95 %.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np
import pandas as pd

from ils.evaluation import analytic, noise
from ils.evaluation.measures import measure
from ils.evaluation.metrics import (
    BINS,
    bin_index,
    equal_mass_index,
    even_weights,
    mesh_of,
    smooth_error,
    sums,
)
from ils.plan.metrics import metrics
from ils.probabilities import log_softmax, softmax, true_class

SCENARIOS = list(itertools.product((3, 10), (100, 500, 2000), (0.7, 1, 1.5, 2)))
SCALE = 2.0  # of the normal logits
NAMES = "accuracy", "cross_entropy", "ece", "cwece", "cwece_printed", "brier", "smece", "ace"
KNOWN = tuple(metrics()[name] for name in NAMES)


def sample(rng, n, classes):
    """Return logits (n, classes) and labels drawn from their softmax, (n,)."""
    logits = SCALE * rng.normal(size=(n, classes))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(-1)


def truth(rng, classes, temperature, n=200_000):
    """Return the metrics of softmax(z / temperature) where the law of labels is softmax(z)."""
    logits = SCALE * rng.normal(size=(n, classes))
    law, p = softmax(logits), softmax(logits / temperature)
    confidence, predicted = p.max(-1), p.argmax(-1)
    hit = law[np.arange(n), predicted]
    gaps, top = (hit - confidence) / n, bin_index(confidence)
    by_class = [sums(bin_index(p[:, j]), law[:, j] - p[:, j], BINS) / n for j in range(classes)]
    within = [
        sums(top, law[:, j] * ((predicted == j) - confidence), BINS) / law[:, j].sum()
        for j in range(classes)
    ]
    return {
        "accuracy": hit.mean(),
        "cross_entropy": -(law * log_softmax(logits / temperature)).sum(-1).mean(),
        "brier": ((p**2).sum(-1) - 2 * (law * p).sum(-1) + 1).mean(),
        "ece": np.abs(sums(top, gaps, BINS)).sum(),
        "cwece": np.abs(by_class).sum(-1).mean(),
        "cwece_printed": np.abs(within).sum(-1).mean(),
        "smece": float(smooth_error(mesh_of(confidence, gaps))),
        "ace": np.abs(sums(equal_mass_index(confidence, even_weights(n)), gaps, BINS)).sum(),
    }


def drawn_again(logits, labels, weights):
    """Return {name: (draws,)}: the metrics of samples drawn with replacement.

    weights: how often each draw has each sample, (draws, N).
    """
    log_p = log_softmax(logits)
    p, n = np.exp(log_p), len(labels)
    confidence, hit = p.max(-1), p.argmax(-1) == labels
    top, classes = bin_index(confidence), range(p.shape[1])

    def errors(gaps, index):
        return np.abs(weights @ (gaps.astype(np.float32)[:, None] * analytic.places(index))).sum(-1)

    within = [errors((hit - confidence) * (labels == j), top) for j in classes]
    sizes = [np.maximum(weights @ (labels == j), 1) for j in classes]
    classwise = [errors((labels == j) - p[:, j], bin_index(p[:, j])) for j in classes]
    return {
        "accuracy": weights @ hit / n,
        "cross_entropy": weights @ -true_class(log_p, labels) / n,
        "brier": weights @ ((p**2).sum(-1) - 2 * true_class(p, labels) + 1) / n,
        "ece": errors(hit - confidence, top) / n,
        "cwece": np.mean(classwise, axis=0) / n,
        "cwece_printed": np.mean(np.array(within) / sizes, axis=0),
    }


def bootstrap_intervals(values, logits, labels, weights):
    """Return {(name, way): (low, high)}: percentile and pivotal 95 % intervals."""
    intervals = {}
    for name, drawn in drawn_again(logits, labels, weights).items():
        low, high = np.quantile(drawn, (0.025, 0.975))
        intervals[name, "percentile"] = low, high
        intervals[name, "pivot"] = max(2 * values[name] - high, 0), max(2 * values[name] - low, 0)
    return intervals


def covered(classes, n, temperature, replicates, draws):
    """Return the rows (metric, way, covers, width) of all replicates of a scenario."""
    rng = np.random.default_rng([classes, n, int(10 * temperature)])
    true, rows = truth(rng, classes, temperature), []
    uniform = noise.uniforms(n, draws)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float32)
    for _ in range(replicates):
        logits, labels = sample(rng, n, classes)
        logits = logits / temperature
        values = {name: float(value) for name, value in measure(NAMES, logits, labels).items()}
        drawn = noise.calibrated(KNOWN, logits, uniform)
        spread = noise.intervals(KNOWN, logits, labels, values, drawn, draws)
        intervals = {(name, "ours"): bounds for name, (_, *bounds) in spread.items()}
        intervals |= bootstrap_intervals(values, logits, labels, weights)
        for (name, way), (low, high) in intervals.items():
            rows.append((name, way, low <= true[name] <= high, high - low))
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--draws", type=int, default=200)
    options, start, tables = parser.parse_args(), time.perf_counter(), []
    print("coverage, scenario by scenario (classes, n, temperature)")
    for scenario in SCENARIOS:
        rows = covered(*scenario, options.replicates, options.draws)
        table = pd.DataFrame(rows, columns=["metric", "way", "coverage", "width"])
        tables.append(table.groupby(["metric", "way"]).mean())
        coverage = tables[-1]["coverage"]
        shown = {f"{metric} {way}": f"{share:.3f}" for (metric, way), share in coverage.items()}
        print(*scenario, shown, flush=True)
    table = pd.concat(tables).groupby(["metric", "way"]).agg(["min", "mean", "max"])
    table.columns = [" ".join(column) for column in table.columns]
    print(table.round(4).to_string())
    print(f"{time.perf_counter() - start:.0f} s, {time.process_time():.0f} s of the processor")


if __name__ == "__main__":
    main()
