"""What the study knows of a metric beside the function that computes it: how it is called and
shown, which end of its scale is the good one, which differences are practically none.

Said once, in the keywords of the function's `@metric`, and read off the source without importing
it. `REQUIRED` metrics are those of the paper's tables and claims, which every study has.
"""

import functools
import math
from typing import Any, NamedTuple

from ils import paper
from ils.errors import UserError
from ils.plan.plugins import Plugin, plugins

LOOKS_AT = {"probabilities", "log_probabilities", "labels", "weights"}  # what a metric may
REQUIRED = ("accuracy", "cross_entropy", "ece", "cwece", "cwece_printed")
RESERVED = {  # other columns of the tables that hold metrics
    *("dataset", "network", "student", "seed", "method", "point", "restart", "scaling", "failed"),
    *("dropped", "dropped_epoch"),
    *("index", "temperature", "best_epoch", "validation_ce", "students", "diverged"),
    *("n_test", "classes"),
}


class Metric(NamedTuple):
    """A column of metrics and what is known of it.

    title: its name in sentences and figures, short: in tables (that is the title). A value is shown
    times `factor`, with so many `digits`, 3 at most in Table III, in `unit`. rope: the difference
    that is practically none, on the metric's own scale. mean_over_classes: gains are taken times
    the number of classes K, as sums over classes, and `rope` is for these. calibration: whether it
    is a calibration error, which noise only raises, and which has a floor. Values lie between 0 and
    `highest`.
    """

    name: str
    title: str
    rope: float
    short: str = ""
    digits: int = 4
    higher_is_better: bool = False
    factor: float = 1
    unit: str = ""
    mean_over_classes: bool = False
    calibration: bool = False
    highest: float = math.inf

    @property
    def plain(self) -> str:
        """The title without what stands in brackets."""
        return self.title.partition(" (")[0]

    @property
    def sign(self) -> int:
        """What makes a gain of a difference: 1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1


NUMBER, TEXT = (int, float), str
KEYWORDS: dict[str, Any] = {  # of @metric, and their types
    "title": TEXT,
    "rope": NUMBER,
    "short": TEXT,
    "digits": int,
    "higher_is_better": bool,
    "factor": NUMBER,
    "unit": TEXT,
    "mean_over_classes": bool,
    "calibration": bool,
    "highest": NUMBER,
}
WORDS = {
    TEXT: "a line of text without $ and braces",
    NUMBER: "a number above 0",
    int: "a whole number from 0 to 9",
}
EXAMPLES = {"title": 'title="Brier score"', "rope": "rope=0.005, a difference that is none"}
DERIVED = {  # columns that are ranked and compared, and no function's
    metric.name: metric
    for metric in (
        Metric("ece_above_floor", "ECE less its floor", 0.005, "ECE less its floor"),
        Metric("refinement", "refinement", 0.01, "refinement", unit="nats"),
        Metric("calibration", "calibration", 0.01, "calibration", unit="nats"),
    )
}


def fits(value: Any, kind: Any) -> bool:
    """Whether a keyword's value is of its kind; texts stand in figures, LaTeX and parameters."""
    if kind is TEXT:
        return isinstance(value, str) and value.isprintable() and not set("${}") & set(value)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is int:
        return isinstance(value, int) and 0 <= value <= 9
    return isinstance(value, NUMBER) and 0 < value < math.inf


def described(name: str, plugin: Plugin) -> Metric:
    """What a function's decorator says; UserError, naming file and function, for what it cannot."""

    def wrong(what):
        return UserError(f"{plugin.path}: metric {name!r}: {what}")

    about = dict(plugin.traits)
    for keyword, value in about.items():
        if keyword not in KEYWORDS:
            known = ", ".join(KEYWORDS)
            raise wrong(f"@metric knows no keyword {keyword!r}; it knows {known}")
        if not fits(value, kind := KEYWORDS[keyword]):
            word = WORDS.get(kind, "True or False")
            raise wrong(f"{keyword}={value!r} of @metric must be {word}")
    for keyword, example in EXAMPLES.items():
        if not about.get(keyword):
            raise wrong(f"@metric lacks {keyword}, such as {example}")
    if unknown := sorted(set(plugin.inputs) - LOOKS_AT):
        allowed = ", ".join(sorted(LOOKS_AT))
        raise wrong(f"parameter {unknown[0]!r} is none of {allowed}; rename it")
    if not {"labels", "weights"} <= set(plugin.inputs) or plugin.required:
        raise wrong("it must look at `labels` and `weights`, and have no required keyword")
    return Metric(name, **{"short": about["title"]} | about)


@functools.cache
def metrics() -> dict[str, Metric]:
    """Return {name: Metric} of all functions, in the order of their files, and of DERIVED."""
    known = {name: described(name, plugin) for name, plugin in plugins("metric").items()}
    for name in known:
        if name in RESERVED | set(DERIVED) or name.endswith(("_floor", "_p")):
            raise UserError(
                f"{plugins('metric')[name].path}: metric {name!r}: results/metrics.csv has another "
                "column of this name; rename it"
            )
    return known | DERIVED


def chosen(entries: list[dict[str, Any]]) -> tuple[Metric, ...]:
    """The metrics that the config's entries name."""
    return tuple(metrics()[entry["name"]] for entry in entries)


def shown(entries: list[dict[str, Any]]) -> tuple[Metric, ...]:
    """Those of Table III and the forest plot: the paper's first, as its table has them."""
    names = [entry["name"] for entry in entries if entry.get("shown", True)]
    ordered = [name for name in paper.TABLE_III if name in names]
    return tuple(metrics()[name] for name in dict.fromkeys([*ordered, *names]))
