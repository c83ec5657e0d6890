"""How the grid of a method is laid out as heat maps.

It is one panel, or one for each value of a third hyperparameter.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

SYMBOLS = {"epsilon": "ε", "alpha": "α", "beta": "β", "p1": "P1", "p2": "P2", "temperature": "T"}


class Panel(NamedTuple):
    """A heat map: a title, (name, ascending values) of both axes, and the students of each cell.

    These are indices (ny, nx, any number). A grid over one hyperparameter has one row, and y is
    ("", [None]).
    """

    title: str
    x: tuple[str, list]
    y: tuple[str, list]
    students: np.ndarray

    def values(self, per_student: np.ndarray) -> np.ndarray:
        """The lowest of `per_student` (G,) in each cell, (ny, nx).

        NaN where all its students' are NaN.
        """
        return np.fmin.reduce(per_student[self.students], axis=-1)

    def find(self, student: int) -> tuple[int, int] | None:
        """Return (row, column) of a student, or None when it is in another panel."""
        cells = np.argwhere((self.students == student).any(-1)).tolist()
        return (cells[0][0], cells[0][1]) if cells else None


def symbol(name: str) -> str:
    """The field's sign for a hyperparameter; the name itself where there is none."""
    return SYMBOLS.get(name, name)


def arrange(
    label: str, hyperparameters: Sequence[str], points: Sequence[Mapping[str, float]]
) -> list[Panel]:
    """Return the panels of a grid, given as the list of all its points, {hyperparameter: value}.

    Hyperparameters with one value are left out. Of the others, in the given order, the first is x,
    the second y. A third gives one panel per value; where there are more, they are not shown: each
    cell then holds the students of all their values, as it does those of all restarts.
    """
    names = [name for name in hyperparameters if len({point[name] for point in points}) > 1]
    if not names:
        return []
    values = {name: sorted({point[name] for point in points}) for name in names}
    at = defaultdict(list)
    for index, point in enumerate(points):
        at[tuple(point[name] for name in names)].append(index)
    students = np.array([at[place] for place in itertools.product(*values.values())])
    students = students.reshape(*map(len, values.values()), -1)
    axes = [(symbol(name), values[name]) for name in names]
    if len(names) == 1:
        return [Panel(label, axes[0], ("", [None]), students[None])]
    x, y, *others = axes
    students = students.swapaxes(0, 1)
    if len(others) == 1:
        name, third = others[0]
        return [
            Panel(f"{label}, {name} = {value:g}", x, y, students[:, :, i])
            for i, value in enumerate(third)
        ]
    students = students.reshape(len(y[1]), len(x[1]), -1)
    title = f"{label}, best over {', '.join(name for name, _ in others)}" if others else label
    return [Panel(title, x, y, students)]
