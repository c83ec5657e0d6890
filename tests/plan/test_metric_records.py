"""What a metric's decorator may say, and which metrics a config names."""

import itertools
import math

import pytest
import yaml

from conftest import ROOT
from ils import paper
from ils.errors import UserError
from ils.plan import metrics as known
from ils.plan.artefacts import Artefacts
from ils.plan.metrics import REQUIRED, Metric, described, metrics, shown
from ils.plan.plan import Plan
from ils.plan.plugins import Plugin, plugins
from made_up import NAMES, RANKED

INPUTS = "probabilities", "labels", "weights"
GOOD = {"title": "mine", "rope": 0.01}


def of(about, inputs=INPUTS, required=()):
    return described("mine", Plugin(inputs, frozenset(required), frozenset(), "mine.py", about))


def test_what_is_left_out_has_a_default():
    metric = of(GOOD)
    assert metric == Metric("mine", "mine", 0.01, "mine")
    assert metric.sign == -1 and metric.highest == math.inf and not metric.calibration
    assert of(GOOD | {"higher_is_better": True, "short": "M", "factor": 100}).sign == 1


@pytest.mark.parametrize(
    "about, message",
    [
        ({"rope": 0.01}, "mine.py: metric 'mine': @metric lacks title, such as title="),
        ({"title": "mine"}, "lacks rope, such as rope=0.005"),
        (GOOD | {"titel": "x"}, "@metric knows no keyword 'titel'; it knows title, rope"),
        (GOOD | {"digits": 2.5}, "digits=2.5 of @metric must be a whole number from 0 to 9"),
        (GOOD | {"digits": True}, "digits=True of @metric must be a whole number"),
        (GOOD | {"rope": "small"}, "rope='small' of @metric must be a number above 0"),
        (GOOD | {"rope": 0}, "rope=0 of @metric must be a number above 0"),
        (GOOD | {"highest": True}, "highest=True of @metric must be a number"),
        (GOOD | {"calibration": 1}, "calibration=1 of @metric must be True or False"),
        (GOOD | {"title": 3}, "title=3 of @metric must be a line of text"),
        (GOOD | {"title": "$x$"}, r"title='\$x\$' of @metric must be a line of text without"),
    ],
)
def test_a_wrong_keyword_names_file_and_function(about, message):
    with pytest.raises(UserError, match=message):
        of(about)


@pytest.mark.parametrize(
    "inputs, required, message",
    [
        (("logits", "labels", "weights"), (), "parameter 'logits' is none of labels, log_prob"),
        (("probabilities", "labels"), (), "must look at `labels` and `weights`"),
        (("probabilities", "weights"), (), "must look at `labels` and `weights`"),
        (INPUTS, ["bins"], "no required keyword"),
    ],
)
def test_what_a_metric_may_look_at(inputs, required, message):
    with pytest.raises(UserError, match=f"mine.py: metric 'mine': .*{message}"):
        of(GOOD, inputs, required)


@pytest.mark.parametrize("name", ["refinement", "validation_ce", "ece_floor"])
def test_a_name_of_another_column_is_refused(name, monkeypatch):
    plugin = Plugin(INPUTS, frozenset(), frozenset(), "mine.py", GOOD)
    monkeypatch.setattr(known, "plugins", lambda kind: {name: plugin})
    with pytest.raises(UserError, match=f"mine.py: metric '{name}': .*rename it"):
        metrics.__wrapped__()


def test_the_metrics_are_those_that_were_decided_on():
    """docs/deciding.md has the ROPEs, and said them before any run."""
    ropes = {m.name: m.rope for m in RANKED}
    nats = dict.fromkeys(("cross_entropy", "refinement", "calibration", "cwece"), 0.01)
    assert ropes == dict.fromkeys(ropes, 0.005) | nats
    assert set(plugins("metric")) == set(NAMES) and set(REQUIRED) <= set(NAMES)
    assert [m.name for m in RANKED if m.mean_over_classes] == ["cwece"]


def test_the_papers_metrics_come_first_in_its_table():
    entries = [{"name": "brier"}, *({"name": name} for name in NAMES[:4]), {"name": "ace"}]
    entries[-1]["shown"] = False
    assert [metric.name for metric in shown(entries)] == [*paper.TABLE_III, "brier"]


def test_a_metric_that_is_shown_has_diagrams_of_this_run_alone():
    config = yaml.safe_load((ROOT / "tests/small.yaml").read_text())
    before = Artefacts(Plan.checked(config), "small.yaml")
    next(entry for entry in config["metrics"] if entry["name"] == "brier")["shown"] = True
    plan = Plan.checked(config)
    after = Artefacts(plan, "small.yaml")
    drawn = {path.removeprefix("results/") for path in after.own_diagrams()}
    names = itertools.product(("cd_brier", "cd_brier_alone"), ("pdf", "png"))
    assert drawn == {f"figures/{name}.{kind}" for name, kind in names}
    assert set(after.outputs) - set(before.outputs) == drawn
    assert list(after.diagrams()) == list(before.diagrams()) and not before.own
    assert after.drawings["cd_brier"] == ["figures/cd_brier", "figures/cd_brier_alone"]
    assert [m.name for m in after.table3("")] == [*paper.TABLE_III, "brier"]
    assert [m.name for m in after.table3("published/")][-1] == "cwece_printed"
    batch = next(iter(plan.batches))
    assert plan.training(batch, "no_ls") == before.plan.training(batch, "no_ls")
