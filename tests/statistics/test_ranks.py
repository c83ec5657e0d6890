"""Ranks and tests against published worked examples."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ils.errors import UserError
from ils.statistics.ranks import (
    cliques,
    critical_difference,
    friedman,
    mid_ranks,
    nemenyi,
    pools,
    scores,
)
from made_up import RANKED

# Demsar 2006, Table 6: AUC of four variants of C4.5 on 14 data sets. He ranks the two 0.975 of
# "voting" 2 and 3, so they differ below the printed digits; here the better one gets 0.0001 more.
DEMSAR = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)

# The paper's Table III, cross-entropy block, as printed.
METHODS = ["No LS", "No LS+TempS", "Dis", "cLS", "BS_Soft", "Beta", "LS", "LS+TempS"]
METHODS += ["ILS1", "ILS2", "ILS", "ILS+TempS"]
CROSS_ENTROPY = pd.DataFrame(
    [
        [0.858, 0.858, 0.854, 0.811, 0.833, 0.787, 0.808, 0.800, 0.723, 0.784, 0.720, 0.706],
        [0.312, 0.265, 0.311, 0.284, 0.309, 0.362, 0.308, 0.293, 0.293, 0.272, 0.270, 0.264],
        [0.310, 0.274, 0.314, 0.289, 0.318, 0.420, 0.303, 0.293, 0.289, 0.269, 0.266, 0.226],
        [0.331, 0.294, 0.301, 0.323, 0.311, 0.334, 0.306, 0.299, 0.311, 0.301, 0.307, 0.306],
        [0.206, 0.154, 0.168, 0.170, 0.163, 0.240, 0.172, 0.159, 0.164, 0.162, 0.153, 0.149],
        [2.361, 2.350, 2.704, 2.221, 2.540, 2.452, 2.292, 2.288, 2.183, 2.274, 2.173, 2.132],
        [1.382, 1.183, 1.163, 1.218, 1.292, 1.298, 1.283, 1.248, 1.222, 1.186, 1.103, 1.055],
        [1.070, 0.992, 1.065, 0.954, 1.059, 1.165, 0.993, 0.987, 0.946, 0.937, 0.909, 0.873],
        [1.295, 1.197, 1.205, 1.273, 1.286, 1.285, 1.273, 1.208, 1.212, 1.202, 1.147, 1.126],
        [1.047, 0.954, 0.890, 0.935, 0.944, 0.966, 0.947, 0.878, 0.902, 0.925, 0.879, 0.795],
        [0.104, 0.100, 0.122, 0.089, 0.104, 0.230, 0.108, 0.109, 0.103, 0.099, 0.089, 0.087],
    ],
    columns=METHODS,
)


def table(values):
    """Return a metrics table of {(network, dataset, method, seed): cross-entropy}."""
    rows = [(*cell, value) for cell, value in values.items()]
    return pd.DataFrame(rows, columns=["network", "dataset", "method", "seed", "cross_entropy"])


GRID = list(itertools.product(["lenet"], ["wine", "iris"], ["LS", "ILS"], [1, 2]))


def test_demsar_worked_example():
    ranks = mid_ranks(DEMSAR, higher_is_better=True)
    assert ranks.mean().round(3).tolist() == [3.143, 2.000, 2.893, 1.964]
    assert ranks.iloc[5].tolist() == [1, 2.5, 4, 2.5]
    assert ranks.iloc[9].tolist() == [2.5] * 4
    # his chi2_F has no correction for ties: 12n / k(k+1) (sum_j R_j^2 - k(k+1)^2 / 4) = 9.28; ties
    # only raise it
    uncorrected = 12 * 14 / 20 * ((ranks.mean() ** 2).sum() - 25)
    assert uncorrected == pytest.approx(9.28, abs=0.005)
    # correction: 1 - sum (t^3 - t) / n(k^3 - k), three pairs and one tie of four
    assert friedman(ranks).statistic == pytest.approx(uncorrected / (1 - (3 * 6 + 60) / (14 * 60)))
    assert critical_difference(4, 14, 0.05) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, 0.10) == pytest.approx(
        2.291 * math.sqrt(20 / 84), abs=0.001
    )  # his q_0.10


def test_friedman_agrees_with_scipy_with_and_without_ties():
    rng = np.random.default_rng(1)
    for values in (rng.normal(size=(9, 7)), rng.integers(0, 4, (9, 7))):
        expected = stats.friedmanchisquare(*values.T)
        assert friedman(mid_ranks(pd.DataFrame(values), False)) == pytest.approx(tuple(expected))


def test_friedman_when_everything_ties():
    assert friedman(mid_ranks(pd.DataFrame(np.ones((5, 4))), False)) == (0, 1)


def test_two_methods_are_enough_and_one_is_not():
    ranks = mid_ranks(pd.DataFrame([[1.0, 2.0]] * 8), False)
    assert friedman(ranks).statistic == pytest.approx(
        8
    )  # (8 wins - 4)^2 / (8/4) / 1: the sign test's chi-square
    assert critical_difference(2, 8, 0.05) == pytest.approx(1.96 / math.sqrt(8), abs=1e-3)
    assert nemenyi(ranks).iloc[0, 1] == pytest.approx(2 * stats.norm.sf(math.sqrt(8)), rel=1e-3)
    with pytest.raises(UserError, match="two methods or more, there is one"):
        critical_difference(1, 8, 0.05)


def test_direction_reverses_the_ranks():
    values = pd.DataFrame([[0.9, 0.7, 0.7, 0.1]])
    assert mid_ranks(values, True).iloc[0].tolist() == [1, 2.5, 2.5, 4]
    assert mid_ranks(values, False).iloc[0].tolist() == [4, 2.5, 2.5, 1]
    assert [metric.name for metric in RANKED if metric.higher_is_better] == ["accuracy"]


def test_ranks_see_differences_that_print_alike_but_not_the_last_bit():
    values = pd.DataFrame([[0.3, 0.1 + 0.2, 0.30001]])
    assert values.iloc[0, 0] != values.iloc[0, 1]
    assert mid_ranks(values, False).iloc[0].tolist() == [1.5, 1.5, 3]


def test_the_papers_cross_entropy_block():
    ranks = mid_ranks(CROSS_ENTROPY, higher_is_better=False)
    average = ranks.mean()
    assert average["ILS+TempS"] == pytest.approx(1.41, abs=0.005)
    assert ranks["ILS+TempS"].sum() == 15.5  # ten wins and a shared fifth place: 10 + 5.5
    cd = critical_difference(12, 11, 0.05)
    assert cd == pytest.approx(5.024, abs=0.0005)
    assert average["No LS+TempS"] - average["ILS+TempS"] == pytest.approx(3.91, abs=0.005)
    assert average["LS+TempS"] - average["ILS+TempS"] == pytest.approx(4.36, abs=0.005)
    best = cliques(average, cd)[0]
    assert (
        best[0] == "ILS+TempS" and {"No LS+TempS", "LS+TempS"} < set(best) and "No LS" not in best
    )


def test_nemenyi_p_values_agree_with_the_critical_difference():
    ranks = mid_ranks(CROSS_ENTROPY, False)
    average, p_values = ranks.mean(), nemenyi(ranks)
    assert list(p_values.index) == METHODS and (np.diag(p_values) == 1).all()
    for alpha in (0.05, 0.10):
        cd = critical_difference(12, 11, alpha)
        for a, b in itertools.combinations(METHODS, 2):
            assert (p_values.loc[a, b] < alpha) == (abs(average[a] - average[b]) > cd)
    negated = nemenyi(mid_ranks(-CROSS_ENTROPY, higher_is_better=True))
    pd.testing.assert_frame_equal(negated, p_values)


def test_pools_leave_out_the_columns_that_tie_by_construction():
    assert pools(["LS", "LS+TempS", "ILS"]) == {
        "all": ["LS", "LS+TempS", "ILS"],
        "alone": ["LS", "ILS"],
    }
    assert pools(["LS", "ILS"]) == {"all": ["LS", "ILS"], "alone": ["LS", "ILS"]}


def test_cliques_are_maximal_and_of_two_or_more():
    ranks = pd.Series({"d": 4.0, "a": 1.0, "b": 2.0, "c": 3.0, "e": 9.0})
    assert cliques(ranks, 1.5) == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert cliques(ranks, 2) == [
        ["a", "b", "c"],
        ["b", "c", "d"],
    ]  # exactly the CD is still "at most"
    assert cliques(ranks, 3) == [["a", "b", "c", "d"]]
    assert cliques(ranks, 0.5) == []
    assert cliques(pd.Series({"a": 2.0, "b": 2.0, "c": 2.0}), 0.5) == [["a", "b", "c"]]


def test_scores_average_over_seeds_and_keep_the_order():
    result = scores(
        table({cell: cell[3] + 10 * (cell[2] == "ILS") for cell in GRID}), "cross_entropy"
    )
    assert list(result.columns) == ["LS", "ILS"]
    assert list(result.index) == [("lenet", "wine"), ("lenet", "iris")]
    assert result.loc[("lenet", "iris")].tolist() == [1.5, 11.5]


def test_seeds_in_another_order_still_tie():
    orders = {"a": (0.1, 0.2, 0.3), "b": (0.3, 0.2, 0.1)}
    assert sum(orders["a"]) != sum(orders["b"])
    values = {
        ("lenet", "wine", m, seed): v for m, order in orders.items() for seed, v in enumerate(order)
    }
    result = scores(table(values), "cross_entropy")
    assert result.iloc[0, 0] == result.iloc[0, 1]


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, "oops"])
def test_an_incomplete_table_names_what_is_missing(bad):
    values = dict.fromkeys(GRID, 1.0)
    cell = ("lenet", "iris", "ILS", 2)
    if bad is None:
        del values[cell]
    else:
        values[cell] = bad
    with pytest.raises(
        UserError, match=r"no cross_entropy for network=lenet, dataset=iris, method=ILS, seed=2$"
    ):
        scores(table(values), "cross_entropy")


def test_blocks_have_seeds_of_their_own_and_many_missing_cells_are_listed_in_short():
    methods = [f"m{i}" for i in range(9)]
    runs = [("wine", 1), ("wine", 2), ("iris", 1)]
    values = {("lenet", dataset, m, seed): 1.0 for dataset, seed in runs for m in methods}
    assert scores(table(values), "cross_entropy").shape == (2, 9)
    values["lenet", "iris", "m8", 2] = 1.0  # the other eight lack this seed
    with pytest.raises(UserError, match="method=m4, seed=2; and 3 more"):
        scores(table(values), "cross_entropy")


def test_repeated_rows_and_absent_columns_are_errors():
    frame = table(dict.fromkeys(GRID, 1.0))
    with pytest.raises(UserError, match="repeats network=lenet, dataset=wine, method=LS, seed=1"):
        scores(pd.concat([frame, frame.head(1)]), "cross_entropy")
    with pytest.raises(UserError, match=r"lacks the column.* ece"):
        scores(frame, "ece")
