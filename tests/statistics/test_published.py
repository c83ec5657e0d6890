"""The printed Table III goes through a run's analysis, which finds the known contradictions."""

from pathlib import Path

import pandas as pd
import pytest

from ils.files import read_csv, write_csv
from ils.statistics.published import as_metrics, discrepancies, possible_ranks
from made_up import METRICS
from rank_methods import rank_methods

PUBLISHED = Path(__file__).parents[2] / "config/published"


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The printed cells and averages, and the tables that rank_methods makes of them, by name."""
    folder = tmp_path_factory.mktemp("published")
    printed, averages = (
        read_csv(PUBLISHED / name) for name in ("table3.csv", "table3_average_ranks.csv")
    )
    write_csv(folder / "metrics.csv", as_metrics(printed))
    names = ["ranks", "average_ranks", "friedman", "pairwise"]
    rank_methods(folder / "metrics.csv", METRICS, 0.05, *(folder / f"{name}.csv" for name in names))
    return {"printed": printed, "averages": averages} | {
        name: read_csv(folder / f"{name}.csv") for name in names
    }


@pytest.fixture(scope="module")
def contradictions(analysed):
    names = ("printed", "averages", "ranks", "average_ranks")
    return discrepancies(*(analysed[name] for name in names))


def test_the_printed_table_is_complete(analysed):
    table = as_metrics(analysed["printed"])
    assert len(analysed["printed"]) == 528 and table.shape == (132, 3 + 4 + 1)
    first = table.iloc[0]
    assert first[["network", "dataset", "method"]].tolist() == ["LeNet", "CIFAR10", "No LS"]
    numbers = first[["cross_entropy", "accuracy", "ece", "cwece_printed"]].tolist()
    assert numbers == [0.858, 0.7, 0.014, 0.049]


def test_twenty_five_subscripts_fit_no_rule_for_ties(contradictions):
    counts = contradictions[contradictions["kind"] == "subscript"].groupby("metric").size()
    # and none of cross-entropy
    assert counts.to_dict() == {"accuracy": 3, "ece": 9, "cwece_printed": 13}


def test_betas_cwece_ranks_are_counted_from_the_worst(contradictions):
    reversed_ = contradictions[contradictions["kind"] == "reversed"]
    assert reversed_[["metric", "method", "printed", "recomputed"]].values.tolist() == [
        ["cwece_printed", "Beta", "4.18", "8.68"]
    ]
    assert "11 of 11" in reversed_["note"].iloc[0]


def test_averages_that_need_another_rule_for_ties_or_none(contradictions):
    both = contradictions[contradictions["kind"].isin(["average", "tie rule"])].set_index(
        ["metric", "method"]
    )
    texts = both.loc["cross_entropy", "ILS+TempS"][["printed", "recomputed"]].tolist()
    assert texts == ["1.36", "1.41"]
    assert both.loc["cwece_printed", "Beta"]["kind"] == "average"
    # printed rank 1 of 0.035, where it is seventh
    assert both.loc["ece", "ILS+TempS"]["kind"] == "average"
    # equal accuracies, both given the better rank
    assert both.loc["accuracy", "ILS"]["kind"] == "tie rule"


def test_critical_difference_and_who_is_within_it(analysed):
    tests = analysed["friedman"].query("pool == 'all'").set_index("metric")
    assert tests["critical_difference"].tolist() == pytest.approx([5.024] * 4, abs=5e-4)
    pairs = (
        analysed["pairwise"].query("pool == 'all'").set_index(["metric", "method_1", "method_2"])
    )
    for rival, difference in (("No LS+TempS", -3.91), ("LS+TempS", -4.36)):
        pair = pairs.loc["cross_entropy", rival, "ILS+TempS"]
        assert (
            pair["rank_difference"] == pytest.approx(difference, abs=0.005)
            and pair["nemenyi_p"] > 0.05
        )


def test_possible_ranks_span_the_places_of_equal_values():
    low, high = possible_ranks(pd.Series([70.0, 70.0, 73.7, 69.9]), higher_is_better=True)
    assert low.tolist() == [2, 2, 1, 4] and high.tolist() == [3, 3, 1, 4]


def test_a_correct_table_has_no_discrepancies(analysed):
    ranks = analysed["ranks"].query("pool == 'all'")
    keys = ["metric", "network", "dataset", "method"]
    printed = (
        analysed["printed"]
        .replace({"metric": {"cwece": "cwece_printed"}})
        .drop(columns="printed_rank")
    )
    printed = printed.merge(ranks[[*keys, "rank"]], on=keys).rename(
        columns={"rank": "printed_rank"}
    )
    averages = analysed["average_ranks"].query("pool == 'all'")
    averages = averages.assign(printed_average_rank=averages["average_rank"].round(2))
    assert discrepancies(printed, averages, analysed["ranks"], analysed["average_ranks"]).empty
