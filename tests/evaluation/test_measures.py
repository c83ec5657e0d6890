"""Metrics of one's own: all that the workflow says of one comes from its function alone."""

import numpy as np
import pytest

import made_up
from compute_metrics import compute_metrics
from ils.errors import UserError
from ils.evaluation import measures, metrics, noise
from ils.evaluation.calibration import floors
from ils.evaluation.measures import measure
from ils.files import read_csv
from ils.plan.metrics import Metric
from ils.plan.plugins import Plugin
from made_up import METRICS

RNG = np.random.default_rng(0)
LOGITS = 2 * RNG.normal(size=(300, 4))
LABELS = (LOGITS / 2 + RNG.gumbel(size=LOGITS.shape)).argmax(1)


@pytest.fixture
def own(monkeypatch):
    """Return a function that makes another one a metric called `mine`."""

    def register(function, inputs=("probabilities", "labels", "weights"), **about):
        record = Metric("mine", "mine", 0.01, **about)
        plugin = Plugin(inputs, frozenset(), frozenset(), "mine.py", {})
        known = {metric.name: metric for metric in METRICS}
        plugins, load = measures.plugins("metric"), measures.load
        monkeypatch.setattr(measures, "plugins", lambda kind: plugins | {"mine": plugin})
        monkeypatch.setattr(measures, "metrics", lambda: known | {"mine": record})
        monkeypatch.setattr(
            measures, "load", lambda kind, name: function if name == "mine" else load(kind, name)
        )
        return record

    return register


def measured(known, logits, labels, draws=300):
    values = measure([metric.name for metric in known], logits, labels)
    drawn = noise.calibrated(known, logits, noise.uniforms(len(labels), draws))
    return floors(values, drawn), noise.intervals(known, logits, labels, values, drawn, draws)


def test_a_calibration_error_has_floor_p_and_interval_without_more_code(own):
    mine = own(metrics.ece, calibration=True, highest=1)
    floor, intervals = measured((*METRICS, mine), LOGITS, LABELS)
    assert floor["mine_floor"] == pytest.approx(floor["ece_floor"], abs=1e-6)
    assert floor["mine_p"] == floor["ece_p"]
    (error, low, high), (own_error, own_low, own_high) = intervals["ece"], intervals["mine"]
    assert own_low == pytest.approx(low, abs=1e-6)
    assert own_error == pytest.approx(error, rel=0.2) and own_high == pytest.approx(high, rel=0.1)


def test_another_metric_has_students_interval_within_its_range(own):
    mine = own(metrics.brier)
    _, intervals = measured((*METRICS, mine), LOGITS, LABELS)
    assert intervals["mine"] == pytest.approx(intervals["brier"], rel=0.1)
    low = own(lambda p, y, w: 0 * w.sum(-1), highest=0.1)
    assert measured((*METRICS, low), LOGITS, LABELS, 20)[1]["mine"] == (0, 0, 0)


def test_draws_are_cut_into_parts_that_change_nothing(own, monkeypatch):
    own(metrics.ece, calibration=True)
    whole = noise.resampled_errors(["mine"], LOGITS, LABELS, 50)
    monkeypatch.setattr(noise, "AT_ONCE", 7 * LOGITS.size)
    assert noise.resampled_errors(["mine"], LOGITS, LABELS, 50) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda p, y, w: p[..., 0], r"mine.py: metric 'mine' has the shape \(300,\) of \(\)"),
        (lambda p, y, w: np.nan * w.sum(-1), r"metric 'mine' is nan; it must be a number from 0"),
        (lambda p, y, w: 2 * w.sum(-1), r"metric 'mine' is 2; .* from 0 to 1, its `highest`"),
        (lambda p, y, w: -w.sum(-1), r"metric 'mine' is -1; it must be a number from 0 to 1"),
    ],
)
def test_what_is_no_number_in_the_metrics_range_is_one_error(function, message, own):
    own(function, highest=1)
    with pytest.raises(UserError, match=message):
        measure(["mine"], LOGITS, LABELS)


def test_the_error_names_the_cell(own, tmp_path):
    mine = own(lambda p, y, w: np.inf * w.sum(-1))
    column = {"column": "LS", "method": "ls", "scaling": "none"}
    paths = [str(tmp_path / name) for name in ("p.safetensors", "metrics.csv", "intervals.csv")]
    made_up.predictions(paths[0], [column], {"ls": {"epsilon": [0.1]}}, {made_up.CELL: (80, 3)})
    with pytest.raises(UserError, match=r"made_up MLP seed 0 LS: mine.py: metric 'mine' is inf"):
        compute_metrics(paths[:1], [made_up.CELL], 20, [*METRICS, mine], *paths[1:])
    chosen = METRICS[:5]  # fewer than there are formulas for
    compute_metrics(paths[:1], [made_up.CELL], 20, chosen, *paths[1:])
    assert read_csv(paths[2])["metric"].tolist() == [metric.name for metric in chosen]
