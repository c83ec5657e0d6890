"""What a config adds: entries at the ends of lists, of several files; and what it leaves out."""

import copy
from pathlib import Path

import pytest
import yaml

from ils.errors import UserError
from ils.plan.additions import adding, extended
from ils.plan.plan import Plan

SMALL = yaml.safe_load((Path(__file__).parents[1] / "small.yaml").read_text())
FOCAL = {"name": "focal", "label": "Focal", "targets": "focal", "grid": {"gamma": [1, 2]}}


def test_entries_join_the_ends_of_lists_and_change_nothing_else():
    pair = {"dataset": "wine", "network": "MLP", "recipe": "tables", "hours": 1}
    pair |= {"student": "Small", "student_recipe": "tables"}
    more = {"methods": [FOCAL], "headline": [["Focal", "LS"]], "distillation": {"pairs": [pair]}}
    before = copy.deepcopy(SMALL)
    plan = Plan.checked(SMALL | {"add": more})
    assert before == SMALL
    assert list(plan.methods) == ["no_ls", "ls", "beta", "ils2", "focal"]
    assert plan.config["headline"] == [*SMALL["headline"], ["Focal", "LS"]]
    assert [p["dataset"] for p in plan.config["distillation"]["pairs"]] == ["iris", "wine"]
    own = Plan.checked(SMALL | {"methods": [*SMALL["methods"], FOCAL]})
    assert plan.compared == own.compared and plan.columns == own.columns


def test_without_additions_a_config_is_what_it_was():
    assert extended(SMALL) == SMALL == extended(SMALL | {"add": None})


@pytest.mark.parametrize(
    "more, message",
    [
        ({"methods": [FOCAL | {"name": "ls"}]}, r"add.methods\[0\].name: 'ls' is there already"),
        ({"methods": [FOCAL, FOCAL]}, r"add.methods\[1\].name: 'focal' is used twice"),
        ({"methods": [FOCAL | {"grid": {}}]}, r"add.methods\[0\].* gamma"),
        ({"experiments": [{"dataset": "iris"}]}, r"add.experiments\[0\]: 'network' is a required"),
        ({"method": [FOCAL]}, r"add.method: 'method' is none of .*did you mean 'methods'"),
        ({"methods": FOCAL}, "add.methods: .* is no list of entries to add"),
        ({"alpha": 0.1}, "add.alpha: only lists can be added to"),
        ([FOCAL], "add: .* is no mapping of keys to lists"),
    ],
)
def test_a_wrong_addition_is_named_as_it_was_written(more, message):
    with pytest.raises(UserError, match=f"^config: {message}"):
        Plan.checked(SMALL | {"add": more})


def test_what_several_files_add_all_counts_in_their_order():
    files = [
        {"add": {"methods": [1], "distillation": {"pairs": [2]}}},
        {"seeds": [0]},
        {"add": {"methods": [3], "headline": [4], "distillation": {"pairs": [5]}}},
    ]
    merged = {"seeds": [0], **files[2]}  # as Snakemake merges lists: the last one stays
    assert adding(merged, files) == {
        "seeds": [0],
        "add": {"methods": [1, 3], "distillation": {"pairs": [2, 5]}, "headline": [4]},
    }
    assert adding({"seeds": [0]}, files[1:2]) == {"seeds": [0]}


def test_what_a_study_leaves_out_it_is_told_at_once():
    digits = SMALL["datasets"][0] | {"name": "mine"}
    experiments = [
        {"dataset": "mine", "network": name, "recipe": "tables"} for name in ("MLP", "Small")
    ]
    own = SMALL | {"datasets": [digits], "experiments": experiments}
    own |= {"methods": [SMALL["methods"][0], FOCAL], "headline": []}
    with pytest.raises(UserError) as raised:
        Plan.checked(own)
    assert str(raised.value) == (
        "config: distillation.teachers: 'ls' is none of focal, no_ls; the same of "
        "distillation.pairs[0].dataset, synthetic.tabular.datasets; correct this, or leave it out "
        "with `distillation: null` and `synthetic: null`"
    )
    assert len(Plan.checked(own | {"distillation": None, "synthetic": None}).compared) == 2
