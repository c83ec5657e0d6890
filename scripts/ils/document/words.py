"""Lists and differences in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from ils.plan.metrics import Metric
from ils.statistics.decision import as_difference


def listed(items: Iterable[str], word: str = "and") -> str:
    """Return "a", "a and b" or "a, b and c"."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"


def difference(row: Mapping[str, Any], metric: Metric) -> str:
    """The difference of two columns with its 95 % interval, in the metric's unit."""
    gains = (metric.factor * row[name] for name in ("estimate", "low", "high"))
    ends = as_difference(*gains, higher_is_better=metric.higher_is_better)
    value, low, high = (f"{end:+.{metric.digits}f}" for end in ends)
    unit = f" {metric.unit}" * bool(metric.unit)
    return f"{value}{unit} [{low}, {high}]"
