"""The names of columns: a method's label, or that and a calibrator's with a plus between them."""

PLUS = "+"


def joined(method: str, calibrator: str) -> str:
    """The column of a method, by its label, that a calibrator, by its own, has calibrated."""
    return f"{method}{PLUS}{calibrator}"


def parts(column: str) -> tuple[str, str]:
    """The labels of a column's method and of its calibrator; "" for a method as trained."""
    method, _, calibrator = column.partition(PLUS)
    return method, calibrator
