"""Grids of methods, {hyperparameter: values}, and how their points are shared out among jobs."""

import itertools
import math

RESTART = "restart"  # of a point: which of its method's initial weights its student starts from


def with_restarts(grid, restarts):
    """Return a grid whose every point has `restarts` students; with one it is the grid itself."""
    return {RESTART: list(range(restarts))} | grid if restarts > 1 else grid


def grid_points(grid):
    """List the points of a grid as mappings; the last name varies fastest. No names: one empty
    point."""
    return [dict(zip(grid, values)) for values in itertools.product(*grid.values())]


def count_points(grid):
    """The number of students in a grid."""
    return math.prod(len(values) for values in grid.values())


def race_of(method, point):
    """What a student's race is called: its method, and of a distillation its teacher, whose best
    student is wanted, too. Students of one race are compared with each other."""
    return method, point.get("teacher")


def kept(students, share):
    """How many of so many students of a race go on: the share, rounded up."""
    return math.ceil(share * students - 1e-9)  # 0.07 * 100 is above 7 by rounding alone


def share_sizes(items, shares):
    """How many of so many items each share has; they differ by one at most, larger ones first."""
    size, larger = divmod(items, shares)
    return [size + (share < larger) for share in range(shares)]


def shares(items, count):
    """Cut a list into `count` consecutive shares of `share_sizes`."""
    ends = list(itertools.accumulate(share_sizes(len(items), count)))
    return [items[start:end] for start, end in zip([0, *ends], ends)]
