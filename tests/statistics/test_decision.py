"""The rules that decide: their law, their intervals, and how often they are wrong by chance."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import made_up
from decide import decide
from ils.document.found import found
from ils.files import read_csv, write_csv
from ils.statistics.budgets import MATCHED
from ils.statistics.claims import CLAIMS, RANKS
from ils.statistics.datasets import SOURCES, Datasets, variances
from ils.statistics.decision import (
    binomial_interval,
    compare,
    direction,
    holm,
    judge,
    predict_new,
    smallest_found,
)
from ils.statistics.ledger import Run, ledger

GAINS = np.array([0.031, -0.004, 0.052, 0.017, 0.023, -0.011, 0.008, 0.041])


def test_tests_and_intervals_are_those_of_all_signs_and_of_scipy():
    c = compare(GAINS, 0.01)
    ranks = stats.rankdata(abs(GAINS))
    sums = [ranks @ signs for signs in itertools.product((0, 1), repeat=len(GAINS))]
    won = ranks[GAINS > 0].sum()
    assert c.p_better == pytest.approx(np.mean([s >= won for s in sums]), abs=1e-12)
    assert c.p_worse == pytest.approx(np.mean([s <= won for s in sums]), abs=1e-12)
    for shift, p in ((0.01, c.p_considerable), (-0.01, None)):
        expected = stats.wilcoxon(GAINS - shift, alternative="greater", method="exact").pvalue
        assert p is None or p == pytest.approx(expected)
    up = stats.wilcoxon(GAINS + 0.01, alternative="greater", method="exact").pvalue
    down = stats.wilcoxon(GAINS - 0.01, alternative="less", method="exact").pvalue
    assert c.p_equivalent == pytest.approx(max(up, down))
    # Just inside an end of the interval the test keeps the value, just outside it rejects it.
    for end, sign in ((c.low, 1), (c.high, -1)):
        inside, outside = (compare(sign * (GAINS - end) + d) for d in (-1e-9, 1e-9))
        assert inside.p_better > 0.025 >= outside.p_better


@pytest.mark.parametrize("n, bounded", [(1, False), (5, False), (6, True)])
def test_few_units_decide_nothing_however_clear(n, bounded):
    c = compare(np.linspace(0.2, 0.3, n), 0.01)
    assert math.isfinite(c.low) == bounded
    assert judge([c]).word == ("holds" if bounded else "undecided")


def test_units_that_tie_speak_for_neither_side():
    assert compare(np.zeros(20), 0.01).p_better > 0.5 < compare(np.zeros(20)).p_worse
    assert judge([compare(np.zeros(20), 0.01)]).word == "practically equivalent"
    half = np.r_[np.zeros(15), np.full(5, 0.1)]  # of 20 datasets 15 tie
    assert compare(half).p_better > 0.025


@pytest.mark.parametrize(
    "shifts, word, counts",
    [
        ([0.05, 0.05], "holds", (2, 0, 0, 0)),
        ([0.05, 0.006], "undecided", (1, 0, 1, 0)),  # clear, but too small by its estimate
        ([0.05, 0.0], "practically equivalent", (1, 1, 0, 0)),
        ([0.05, -0.05], "fails", (1, 0, 0, 1)),
        ([-0.05, 0.0], "fails", (0, 1, 0, 1)),
    ],
)
def test_verdicts_follow_from_the_sizes(shifts, word, counts):
    noise = np.random.default_rng(1).normal(0, 0.01, 30)
    noise -= compare(noise).estimate
    noise = noise * 2 if word == "undecided" else noise
    assert judge([compare(noise + s, 0.01) for s in shifts]) == (word, *counts)


def test_a_considerable_gain_exceeds_the_rope_and_not_only_nothing():
    noise = np.random.default_rng(2).normal(0, 0.01, 30)
    small, large = (compare(noise + s, 0.01) for s in (0.012, 0.03))
    assert judge([small]).word == "holds" and judge([small], considerable=True).word != "holds"
    assert judge([large], considerable=True).word == "holds"
    assert [direction(compare(noise + s, 0.01)) for s in (0.05, -0.05)] == ["better", "worse"]


def sign_flipped(rng, values, comparisons):
    """Comparisons of methods that all are alike: each dataset's gains keep or change their sign."""
    flipped = values * rng.choice([-1, 1], len(values))[:, None]
    return [compare(flipped[:, a] - flipped[:, b], 0.01) for a, b in comparisons]


def test_chance_gives_false_failures_in_three_per_cent_at_most_and_no_holds():
    """Whole datasets change sign: where nothing differs, the largest claims must not be decided."""
    rng = np.random.default_rng(3)
    methods = ["No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta", "LS", "LS+TempS"]
    methods += ["ILS1", "ILS2", "ILS", "ILS+TempS"]
    claim = next(c for c in CLAIMS if c.name == "outrank_ce")
    pairs = [(methods.index(a), methods.index(b)) for _, a, b in claim.comparisons]
    values = rng.normal(0, 0.05, (24, len(methods))) + rng.normal(0, 0.05, (24, 1))
    words = [judge(sign_flipped(rng, values, pairs)).word for _ in range(300)]
    assert claim.kind == RANKS and len(pairs) == 32
    assert words.count("fails") <= 0.03 * len(words)
    assert "holds" not in words


def test_without_holm_chance_would_fail_claims():
    """What the rule is for: any one of 24 comparisons beyond its own level fails too many."""
    rng = np.random.default_rng(4)
    draws = rng.normal(0, 0.05, (300, 30, 24))
    p = np.array([[compare(column).p_worse for column in draw.T] for draw in draws])
    adjusted = np.array([holm(row) for row in p])
    assert (p.min(axis=1) <= 0.025).mean() > 0.3
    assert (adjusted.min(axis=1) <= 0.025).mean() <= 0.05


def test_what_a_study_can_find_is_what_it_finds_in_eighty_per_cent():
    rng = np.random.default_rng(5)
    gains = rng.normal(0, 0.03, 35)
    size = smallest_found(gains, 2000)
    found = [compare(rng.normal(size, gains.std(ddof=1), 35)).low > 0 for _ in range(600)]
    assert 0.70 < np.mean(found) < 0.90
    assert smallest_found(gains[:5], 50) == math.inf


def test_a_new_dataset_lies_in_its_prediction_interval():
    rng = np.random.default_rng(6)
    inside = []
    for _ in range(1500):
        truth, errors = rng.normal(0.01, 0.02, 13), np.full(12, 0.01)
        p = predict_new(truth[:12] + rng.normal(0, errors), errors)
        inside.append(p.low < truth[12] < p.high)
    assert 0.91 < np.mean(inside) < 0.98
    assert math.isnan(predict_new(np.ones(2), np.zeros(2)).low)


def test_shares_have_clopper_and_pearsons_interval():
    for hits, n in ((0, 11), (9, 11), (11, 11)):
        expected = stats.binomtest(hits, n).proportion_ci(method="exact")
        assert binomial_interval(hits, n) == pytest.approx((expected.low, expected.high))


def test_holm_agrees_with_an_independent_library():
    p_values = np.random.default_rng(0).uniform(0, 0.1, 12)
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def metrics_table(gain, datasets=12, seeds=3, noise=0.01):
    """A run's metrics: ILS better than LS by `gain` in cross-entropy, in ECE by nothing."""
    rng, rows = np.random.default_rng(7), []
    for d, seed in itertools.product(range(datasets), range(seeds)):
        shared = 0.5 + 0.1 * d + 0.05 * rng.normal()
        for method, below in (("LS", 0.0), ("ILS", gain), ("No LS", -0.2)):
            ce = shared - below + noise * rng.normal()
            rows.append(("MLP", f"d{d}", method, seed, ce, 0.1 + ce / 1e6, 3))
    names = ["network", "dataset", "method", "seed", "cross_entropy", "ece", "classes"]
    return pd.DataFrame(rows, columns=names)


def decided(folder, metrics, headline):
    """The three tables of decide.py; at an equal budget ILS gains 0.02 over LS and a control."""
    write_csv(folder / "metrics.csv", metrics)
    gains = [
        ("ILS", worse, 4, "cross_entropy", f"d{d}", 0.02)
        for worse in ("LS", "LS restarts")
        for d in range(12)
    ]
    write_csv(folder / "equal.csv", pd.DataFrame(gains, columns=MATCHED))
    paths = [folder / f"{name}.csv" for name in ("comparisons", "power", "variance")]
    decide(folder / "metrics.csv", folder / "equal.csv", made_up.RANKED, headline, *paths)
    return map(read_csv, paths)


def test_decisions_as_files(tmp_path):
    headline = [["ILS", "LS"], ["ILS", "Dis"]]  # Dis is no column
    comparisons, power, variance = decided(tmp_path, metrics_table(0.05), headline)
    equal = comparisons[comparisons["trainings"].notna()]
    assert equal["worse"].tolist() == ["LS", "LS restarts"] and equal["headline"].all()
    assert equal["estimate"].tolist() == [0.02, 0.02] and equal["verdict"].eq("better").all()
    comparisons = comparisons[comparisons["trainings"].isna()]
    pair = comparisons.query("metric == 'cross_entropy' and headline").iloc[0]
    assert (pair["better"], pair["worse"], pair["verdict"]) == ("ILS", "LS", "better")
    assert pair["low"] < 0.05 < pair["high"] and pair["new_low"] < 0.05 < pair["new_high"]
    assert comparisons["headline"].sum() == 2 and len(comparisons) == 2 * 3
    by_ece = comparisons.query("metric == 'ece'")
    assert by_ece["verdict"].eq("practically equivalent").all()
    size = power.set_index("metric").loc["cross_entropy"]
    assert 0 < size["smallest_found"] < 0.01 and size["datasets_for_rope"] < 12
    shares = variance.query("metric == 'cross_entropy'").set_index("source")["variance"]
    assert shares["dataset"] == shares.max() and shares["seed"] == pytest.approx(0.0018, rel=0.6)
    assert shares["method x seed"] == pytest.approx(1e-4, rel=0.5)
    assert shares["dataset x method"] < 5e-5


def test_the_sources_of_variance_are_told_apart():
    rng, n, seeds, k = np.random.default_rng(8), 300, 4, 6
    true = {"dataset": 0.3, "seed": 0.1, "method": 0.2, "dataset x method": 0.05}
    true["method x seed"] = 0.02
    method = rng.normal(size=k)
    method = true["method"] * (method - method.mean()) / method.std(ddof=1)
    values = method + true["method x seed"] * rng.normal(size=(n, seeds, k))
    values += true["dataset"] * rng.normal(size=(n, 1, 1))
    values += true["seed"] * rng.normal(size=(n, seeds, 1))
    values += true["dataset x method"] * rng.normal(size=(n, 1, k))
    index = pd.MultiIndex.from_product([range(n), range(seeds)], names=["dataset", "seed"])
    found = variances(pd.DataFrame(values.reshape(-1, k), index))
    for source, variance in zip(SOURCES, found):
        assert variance**0.5 == pytest.approx(true[source], rel=0.15), source
    assert np.isnan(variances(pd.DataFrame(values[:1, 0], index[:1]))).all()


def test_the_paragraph_says_what_was_found(tmp_path):
    tables = {}
    for gain in (0.05, -0.05):
        metrics = metrics_table(gain).assign(ece_floor=0.05, ece_p=[0.5, 0.01] * 54)
        comparisons, power, _ = decided(tmp_path, metrics, [["ILS", "LS"], ["LS", "No LS"]])
        run = Run("this run", Datasets(metrics, made_up.METRICS), "cwece_printed")
        claims = ledger({RANKS: [run]})
        tables[gain] = found(metrics, comparisons, power, claims, made_up.METRICS[:4])
    better, worse = tables.values()
    assert better.startswith(
        "3 columns on 12 datasets (12 pairs with networks, 36 pairs and seeds)."
    )
    assert "ILS less LS: cross-entropy -0.0" in better and "(better); ECE" in better
    assert "ILS less LS: cross-entropy +0.0" in worse and "(worse); ECE" in worse
    assert "nats between them is found by 80 % of such studies." in better
    assert "By cross-entropy LS less No LS -0.2" in better
    equal = "ILS less LS -0.0200 nats [-0.0200, -0.0200] (better) with 4 trainings each and "
    assert equal + "LS restarts -0.0200" in better
    assert "50% of the mean ECE is its floor" in better
    assert "50% of the cells cannot be told from calibrated ones." in better
    assert "claims" not in better  # these columns are in none of the paper's
