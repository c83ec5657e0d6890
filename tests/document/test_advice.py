"""What to use: verdicts within a family, worked out on gains whose tests can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from ils.document.advice import advice, against, verdicts
from ils.statistics.decision import compare, direction, sort_out

SURE = np.linspace(0.02, 0.04, 8)  # eight gains above 0: one-sided p = 2^-8 = 0.0039
FREE = SURE - 0.03  # around 0
BASELINE = "No LS restarts+TempS"


def row(better, worse, gains, metric="cross_entropy", trainings=np.nan, rope=0.01):
    found = compare(gains, rope)
    keys = {"metric": metric, "better": better, "worse": worse, "trainings": trainings}
    return keys | found._asdict() | {"verdict": direction(found)}


def equal(column, gains, metric="cross_entropy", rope=0.01, trainings=4.0):
    return row(column, BASELINE, gains, metric, trainings, rope)


def table(*rows):
    return pd.DataFrame(rows)


def test_a_family_is_corrected_for_its_size():
    sure = compare(SURE, 0.01)
    assert sure.p_better == pytest.approx(2**-8)
    assert direction(sure) == "better" and sort_out([sure] * 6) == ["better"] * 6  # 6/256 < 0.025
    assert sort_out([sure] * 7) == ["undecided"] * 7  # 7/256 > 0.025


def test_what_others_gain_over_a_column_is_read_either_way_round():
    comparisons = table(row("A", "B", SURE), row("B", "C", SURE), row("A", "C", SURE))
    rows = against(comparisons, "B").set_index("better")
    assert list(rows.index) == ["A", "C"] and (rows["worse"] == "B").all()
    a, c = rows.loc["A"], rows.loc["C"]
    assert c["estimate"] == -a["estimate"] == pytest.approx(-0.03)
    assert (c["low"], c["high"]) == (-a["high"], -a["low"])
    assert (c["p_better"], c["p_worse"]) == (a["p_worse"], a["p_better"])
    assert verdicts(rows.reset_index()).to_dict() == {"A": "better", "C": "worse"}
    assert list(against(comparisons, "B", ["C"])["better"]) == ["C"]


def test_what_is_better_at_equal_budget_is_to_be_used():
    rows = [equal("LS+TempS", SURE), equal("ILS+TempS", 2 * SURE), equal("Mixup+TempS", 3 * FREE)]
    rows += [row("ILS+TempS", "LS+TempS", SURE, trainings=4.0)]
    text = advice(table(*rows), BASELINE)
    assert text.startswith(
        "Against No LS restarts+TempS, with 4 trainings each, by cross-entropy LS+TempS and "
        "ILS+TempS better; Mixup+TempS undecided (by Holm over 3)."
    )
    assert "To be used, then: LS+TempS (-0.0300 nats [-0.03" in text
    assert "]) and ILS+TempS (-0.0600 nats [-0.07" in text
    assert text.endswith(
        "Of the 1 pairs of these 0 are practically equivalent and 1 differ: better is ILS+TempS "
        "than LS+TempS."
    )


def test_what_is_worse_by_another_metric_is_not_to_be_used():
    rows = [equal("LS+TempS", SURE), equal("LS+TempS", -SURE, "ece", 0.005)]
    text = advice(table(*rows), BASELINE)
    assert text.endswith(
        "None is clearly better and by neither accuracy nor ECE worse: nothing replaces it."
    )


def test_calibrators_are_compared_with_temperature_scaling_of_their_method():
    rows = [
        row(better, worse, gains, metric, rope=0.01)
        for metric in ("cross_entropy", "ece")
        for better, worse, gains in (
            ("LS", "LS+TempS", -SURE),
            ("LS+TempS", "LS+VectorS", SURE),
            ("LS+Isotonic", "LS+TempS", SURE),
            ("ILS+TempS", "LS+TempS", SURE),
        )
    ]
    text = advice(table(*rows), BASELINE)
    assert text == " ".join(
        f"In place of LS+TempS, by {name} LS+Isotonic better; LS+VectorS worse (by Holm over 2)."
        for name in ("cross-entropy", "ECE")
    )


def test_without_a_baseline_there_is_no_advice():
    assert advice(table(equal("LS+TempS", SURE)), None) == ""
