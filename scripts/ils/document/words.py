"""Lists in words."""

from collections.abc import Iterable


def listed(items: Iterable[str], word: str = "and") -> str:
    """Return "a", "a and b" or "a, b and c"."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
