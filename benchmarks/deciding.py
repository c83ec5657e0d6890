"""How often the rules that decide are wrong, by simulation.

    python benchmarks/deciding.py [--draws 2000]

Coverage of the intervals that comparisons.csv and claims.csv report, on gains of datasets whose
truth is known; what the study finds of a difference that power.csv says it finds in 80 % of the
cases; and how often the claims of the paper would be decided by chance, where whole datasets change
their sign.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import numpy as np

from ils.plan.metrics import metrics
from ils.statistics.claims import CLAIMS, RANKS
from ils.statistics.decision import (
    binomial_interval,
    compare,
    judge,
    predict_new,
    smallest_found,
)

SCALE = 0.02  # of gains, nats


def normal(rng, n):
    return SCALE * rng.normal(size=n)


def heavy(rng, n):
    """Student's t with 3 degrees of freedom."""
    return SCALE * rng.standard_t(3, size=n)


def mixed(rng, n):
    """Half of the datasets hardly differ, the others much and evenly."""
    return np.where(rng.random(n) < 0.5, 0.001, 2 * SCALE) * rng.normal(size=n)


def tied(rng, n):
    """Accuracies: half of the datasets tie exactly."""
    return np.where(rng.random(n) < 0.5, 0.0, SCALE * rng.normal(size=n))


def coverage(draw, n, draws, rng):
    """The shares of 95 and 90 % intervals that hold the true gain, 0, of symmetric gains."""
    found = [compare(draw(rng, n)) for _ in range(draws)]
    wide = np.mean([c.low <= 0 <= c.high for c in found])
    return wide, np.mean([c.low90 <= 0 <= c.high90 for c in found])


def new_datasets(draw, n, draws, rng, error=0.5 * SCALE):
    """The share of prediction intervals that hold the true gain of one more dataset."""
    inside = 0
    for _ in range(draws):
        truth = draw(rng, n + 1)
        p = predict_new(truth[:n] + error * rng.normal(size=n), np.full(n, error))
        inside += p.low <= truth[n] <= p.high
    return inside / draws


def shares(share, n, draws, rng):
    """The share of Clopper-Pearson intervals that hold the true share."""
    ends = [binomial_interval(hits, n) for hits in range(n + 1)]
    counts = rng.binomial(n, share, draws)
    return np.mean([ends[hits][0] <= share <= ends[hits][1] for hits in counts])


def power(draw, n, draws, rng):
    """How often a gain of the size that one study's resampling names is found by others."""
    found = []
    for _ in range(max(20, draws // 40)):
        size = smallest_found(draw(rng, n), 500)
        found += [compare(size + draw(rng, n)).low > 0 for _ in range(40)]
    return np.mean(found)


def by_chance(n, draws, rng):
    """Verdicts of the paper's claims on ranks where no method is better: values of datasets vary
    together and by method, and each dataset's differences keep or change their sign."""
    claims = [claim for claim in CLAIMS if claim.kind == RANKS]
    names = sorted({name for claim in claims for _, *pair in claim.comparisons for name in pair})
    words = {claim.name: [] for claim in claims}
    for _ in range(draws):
        values = {}
        for metric in ("cross_entropy", "accuracy", "ece", "cwece"):
            scale = 2 * metrics()[metric].rope
            own = scale * rng.standard_t(5, size=(n, len(names)))
            values[metric] = own * rng.choice([-1, 1], n)[:, None]
        for claim in claims:
            results = [
                compare(
                    values[m][:, names.index(a)] - values[m][:, names.index(b)], metrics()[m].rope
                )
                for m, a, b in claim.comparisons
            ]
            words[claim.name].append(judge(results, claim.considerable).word)
    return words


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=2000)
    draws, rng = parser.parse_args().draws, np.random.default_rng(0)
    print("| gains | datasets | 95 % | 90 % | new dataset | found at 80 % |")
    print("|---|---|---|---|---|---|")
    for draw in (normal, heavy, mixed, tied):
        for n in (12, 36):
            cells = [*coverage(draw, n, draws, rng), new_datasets(draw, n, draws, rng)]
            cells.append(power(draw, n, draws, rng))
            print(
                f"| {draw.__name__} | {n} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |"
            )
    print("\n| share | datasets | 95 % |\n|---|---|---|")
    for share in (0.5, 9 / 11):
        print(f"| {share:.2f} | 36 | {shares(share, 36, 10 * draws, rng):.3f} |")
    words = by_chance(36, 2 * draws, rng)
    print("\n| claim | comparisons | holds | fails | equivalent |\n|---|---|---|---|---|")
    sizes = {claim.name: len(claim.comparisons) for claim in CLAIMS}
    for name, of_claim in words.items():
        rates = [
            of_claim.count(w) / len(of_claim) for w in ("holds", "fails", "practically equivalent")
        ]
        print(f"| {name} | {sizes[name]} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |")


if __name__ == "__main__":
    main()
