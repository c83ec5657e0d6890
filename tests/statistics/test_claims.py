"""The ledger: verdicts on the printed numbers are known.

On made-up ones they follow from the sizes of the differences.
"""

import re

import numpy as np
import pandas as pd
import pytest
from test_published import PUBLISHED

from claims import claims
from ils.files import read_csv, save_arrays, write_csv
from ils.statistics.claims import BEST, CLAIMS, DISTILLATION, LONG_GRID, RANKS, REPLICATES, Claim
from ils.statistics.comparison import printed_distillation, printed_synthetic, with_figures
from ils.statistics.datasets import Datasets
from ils.statistics.ledger import PrintedMeans, Ranking, Replicates, Run, ledger
from ils.statistics.published import as_metrics
from ils.statistics.ranks import mid_ranks, scores
from ils.synthetic.curves import HISTOGRAM_KINDS, HISTOGRAM_MODELS
from made_up import METRICS
from rank_methods import rank_methods

NAMES = ["ranks", "average_ranks", "friedman", "pairwise"]
FAILS = {
    "outrank_ce",
    "best_cwece_ranks",
    "beta_and_ils",
    "real_ls_temps",
    "better_than_ls",
    "consistent",
    "ls_by_confidence_only",
}
FAILS |= {"distil_ls_accuracy", "distil_no_ls_accuracy"}
TABLES = [PUBLISHED / f"table{n}.csv" for n in (1, 2, 5, 6)]


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    """The four files of rank_methods on the printed Table III."""
    folder = tmp_path_factory.mktemp("ranked")
    write_csv(folder / "metrics.csv", as_metrics(read_csv(PUBLISHED / "table3.csv")))
    paths = [folder / f"{name}.csv" for name in NAMES]
    rank_methods(folder / "metrics.csv", METRICS, 0.05, *paths)
    return paths


def paper(ranked):
    return Ranking("paper", *map(read_csv, ranked[:3]))


def test_the_printed_numbers_bear_out_these_claims_and_not_those(ranked):
    printed = PrintedMeans("paper", {"": printed_synthetic(TABLES)})
    table4 = PrintedMeans("paper", printed_distillation(PUBLISHED / "table4.csv"))
    studies = {RANKS: [paper(ranked)], REPLICATES: [printed], DISTILLATION: [table4]}
    rows = ledger(studies).set_index("claim")
    assert len(rows) == len(CLAIMS) == len({claim.name for claim in CLAIMS})
    verdicts = rows["verdict"].to_dict()
    assert {name for name, verdict in verdicts.items() if verdict == "fails"} == FAILS
    not_significant = {name for name, verdict in verdicts.items() if verdict == "not significant"}
    assert not_significant == {"significant_ce", "significant_accuracy"}
    drawn_only = {name for name, verdict in verdicts.items() if verdict == "not measured"}
    drawn = {"sinusoidal_between", "ls_distorts", "best_parabola", "validation_helps_ils"}
    assert drawn_only == drawn
    assert "No LS+TempS 5.32" in rows.loc["outrank_ce", "numbers"]
    assert "31 have" in rows.loc["outrank_ce", "test"]
    best = "not the best in 2 of 11: DenseNet40 CIFAR10, ResNet32W CIFAR100"
    assert rows.loc["best_accuracy", "numbers"] == best
    assert "CD 5.02: 5 of 8 differences exceed it" in rows.loc["significant_ce", "test"]


def table_of(gains, networks=("n",), metric="cross_entropy", classes=2):
    """Metrics of ILS, LS and No LS on a dataset a gain: ILS is better than LS by it."""
    rows = [
        (network, f"d{i}", method, seed, 0.5 + below + 0.01 * seed, classes)
        for i, gain in enumerate(gains)
        for network in networks
        for seed in range(2)
        for method, below in (("ILS", 0.0), ("LS", gain), ("No LS", 1.0))
    ]
    return pd.DataFrame(rows, columns=["network", "dataset", "method", "seed", metric, "classes"])


def on_run(gains, *comparisons, **options):
    """The check of a claim on such a run."""
    comparisons = comparisons or [("cross_entropy", "ILS", "LS")]
    study = Run("this run", Datasets(table_of(gains, **options), METRICS), "cwece_printed")
    return study.check(Claim("", "", "", RANKS, comparisons))


SPREAD = np.linspace(-0.004, 0.004, 12)


def test_an_order_alone_bears_out_nothing():
    """11 of 12 in the claimed order, by a thousandth: the ranks differ, and nothing practical."""
    gains = np.r_[np.full(11, 0.001), -0.002]
    table = table_of(gains)
    ranks = mid_ranks(scores(table, "cross_entropy"), False).mean()
    assert ranks["LS"] - ranks["ILS"] > 0.8
    check = on_run(gains)
    assert check.verdict == "practically equivalent"
    assert check[3:] == (0, 1, 0, 0) and check.test.startswith("exact signed-rank tests over 12")


def test_networks_on_one_dataset_count_once():
    """Four datasets are four units, with one network and with six."""
    few = on_run([0.1, 0.2, 0.15, 0.12], networks=[f"n{i}" for i in range(6)])
    assert (
        few.verdict == "undecided" and "4 datasets: a test at one-sided 2.5 % needs 6" in few.test
    )
    assert on_run([0.1, 0.2, 0.15, 0.12, 0.1, 0.3]).verdict == "holds"


def test_a_single_dataset_says_that_it_is_too_few():
    check = on_run([0.1])
    assert check.verdict == "undecided" and check.test.startswith("1 datasets")


def test_cwece_counts_by_its_sum_over_classes():
    claim, gains = ("cwece_printed", "ILS", "LS"), 0.004 + SPREAD / 100
    assert on_run(gains, claim, metric="cwece_printed").verdict == "practically equivalent"
    table = table_of(gains, metric="cwece", classes=10)
    study = Run("this run, Eq. 2", Datasets(table, METRICS), "cwece")
    check = study.check(Claim("", "", "", RANKS, [("cwece", "ILS", "LS")]))
    assert check.verdict == "holds" and "cwECE x K ILS - LS -0.04" in check.numbers


def test_how_often_a_method_is_the_best_has_an_interval():
    study = Run(
        "this run", Datasets(table_of(np.r_[np.full(28, 0.1), -0.1, -0.1]), METRICS), "cwece"
    )
    claim = Claim("", "", "", BEST, [("cross_entropy", "ILS", 2 / 11)])
    check = study.check(claim)
    assert check.verdict == "undecided"  # 28 of 30 are 93 %, from 78 % on
    assert check.numbers == "the best on 28 of 30 datasets: 93% [78%, 99%]"
    assert (
        study.check(claim._replace(comparisons=[("cross_entropy", "LS", 0.5)])).verdict == "fails"
    )
    assert (
        study.check(claim._replace(comparisons=[("cross_entropy", "ILS", 0.5)])).verdict == "holds"
    )
    assert not study.measured("accuracy", "LS") and not study.measured("cross_entropy", "Dis")


def replicates(difference, noise, count=40):
    """Models a and b whose cross-entropies differ by `difference` on average."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=count)
    rows = [(i, "a", shared[i], 0.5) for i in range(count)]
    rows += [(i, "b", shared[i] + difference + noise * rng.normal(), 0.5) for i in range(count)]
    return pd.DataFrame(rows, columns=["replicate", "model", "cross_entropy", "accuracy"])


@pytest.mark.parametrize(
    "difference, noise, count, verdict",
    [
        (0.1, 0.1, 40, "holds"),
        (-0.1, 0.1, 40, "fails"),
        (-0.05, 0.3, 40, "undecided"),
        (0.001, 0.01, 40, "practically equivalent"),
        (0.1, 0.1, 9, "undecided"),
    ],
)
def test_replicates_are_compared_in_pairs(difference, noise, count, verdict):
    study = Replicates("this run", replicates(difference, noise, count), "cwece")
    check = study.check(Claim("", "", "", REPLICATES, [("cross_entropy", "a", "b")]))
    assert check.verdict == verdict
    assert "CE a - b" in check.numbers and f"{count} replicates" in check.test


def test_one_part_that_fails_fails_a_claim_and_one_that_is_open_leaves_it_open():
    study = Replicates("this run", replicates(0.1, 0.1), "cwece")
    both = [("cross_entropy", "a", "b"), ("cross_entropy", "b", "a")]
    assert study.check(Claim("", "", "", REPLICATES, both)).verdict == "fails"
    one_open = [both[0], ("accuracy", "a", "b")]
    assert study.check(Claim("", "", "", REPLICATES, one_open)).verdict == "practically equivalent"


LONG = {"p1": LONG_GRID[0], "p2": LONG_GRID[1]}
BOTH = {claim.name: claim for claim in CLAIMS if claim.name in ("ls_distorts", "best_parabola")}


def figures(tmp_path, far, best):
    """40 replicates of the models of Figures 2 and 11.

    LS+TempS's bins lie `far` off, ILS1 is best at the point `best`.
    """
    histogram = np.zeros((40, len(HISTOGRAM_MODELS), len(HISTOGRAM_KINDS), 2))
    histogram[..., 0] = 4
    near = np.random.default_rng(0).uniform(0.9, 1.1, (40, 1))
    histogram[:, HISTOGRAM_MODELS.index("no_ls"), :, 1] = near
    histogram[:, HISTOGRAM_MODELS.index("ls+temps"), :, 1] = far
    shared = np.random.default_rng(1).normal(size=(40, 1, 1))
    losses = 0.5 + shared + np.random.default_rng(2).normal(0, 0.01, (40, 12, 10))
    losses[:, best[0], best[1]] -= 0.1
    save_arrays(tmp_path / "arrays", {"histogram": histogram, "long_grid": losses})
    rows = [(i, model, 0.5) for model in HISTOGRAM_MODELS for i in range(40)]
    models = pd.DataFrame(rows, columns=["replicate", "model", "cross_entropy"])
    return Replicates("this run", with_figures(models, [tmp_path / "arrays"], LONG), "cwece")


def test_claims_read_off_figures(tmp_path):
    study = figures(tmp_path, 4, (4, 1))  # at P1 = 0.8, P2 = 2
    check = study.check(BOTH["ls_distorts"])
    assert check.verdict == "holds"
    assert "distance highest no_ls - ls+temps -0.29" in check.numbers  # 0.2 against 0.5
    check = study.check(BOTH["best_parabola"])
    assert check.verdict == "holds"
    assert check.test.endswith("20 as claimed, 0 equivalent, 0 undecided, 0 opposite, of 20")
    assert "ILS1 at 0.8, 2 - ILS1 at 0.7, 2" in check.numbers
    study = figures(tmp_path, 0.1, (5, 1))
    assert {study.check(claim).verdict for claim in BOTH.values()} == {"fails"}
    apart = study.models.loc["ls+temps", "distance_true"].to_numpy()
    assert np.allclose(apart, 0.1 / 4.1)


def test_the_ledger_as_files(ranked, tmp_path):
    write_csv(tmp_path / "replicates.csv", replicates(0.1, 0.1).replace({"a": "ls", "b": "no_ls"}))
    histogram = np.ones((40, len(HISTOGRAM_MODELS), len(HISTOGRAM_KINDS), 2))
    save_arrays(tmp_path / "arrays", {"histogram": histogram})
    of_setup = {"best_fit": [tmp_path / "replicates.csv"]}, {"best_fit": [tmp_path / "arrays"]}
    write_csv(tmp_path / "metrics.csv", table_of(0.1 + SPREAD))
    claims(
        ranked[:3],
        tmp_path / "metrics.csv",
        METRICS,
        TABLES,
        PUBLISHED / "table4.csv",
        *of_setup,
        LONG,
        {"best_fit": {"more": [tmp_path / "replicates.csv"]}},
        None,
        tmp_path / "c.csv",
        tmp_path / "c.tex",
    )
    table, text = read_csv(tmp_path / "c.csv"), (tmp_path / "c.tex").read_text()
    assert set(table["study"]) == {
        "paper",
        "this run",
        "this run, Eq. 2",
        "this run, best_fit",
        "this run, best_fit, Eq. 2",
    }
    # this run has no cwECE
    assert table[table["study"] == "this run, Eq. 2"]["verdict"].eq("not measured").all()
    assert all(claim.kind in (RANKS, BEST, REPLICATES, DISTILLATION) for claim in CLAIMS)
    measured = table[
        table["study"].str.startswith("this run") & (table["verdict"] != "not measured")
    ]
    left_out = len(CLAIMS) - measured["claim"].nunique()
    assert "4 of 4 on distillation." in text and "& not measured" not in text
    assert sum(map(int, re.findall(r"(\d+) of \d+ on", text))) == left_out
