"""The grid of a method, {hyperparameter: values}, and how its points are shared out among jobs."""

import itertools
import math


def grid_points(grid):
    """List the points of a grid as mappings; the last name varies fastest. No names: one empty
    point."""
    return [dict(zip(grid, values)) for values in itertools.product(*grid.values())]


def count_points(grid):
    """The number of students in a grid."""
    return math.prod(len(values) for values in grid.values())


def count_shards(grid, students_per_job):
    """The number of jobs that train a grid."""
    return max(1, math.ceil(count_points(grid) / students_per_job))


def shard_sizes(points, shards):
    """How many of so many points each shard has; they differ by one at most, larger ones first."""
    size, larger = divmod(points, shards)
    return [size + (shard < larger) for shard in range(shards)]


def shard_points(grid, shard, shards):
    """The points of shard number `shard` of `shards`."""
    points, sizes = grid_points(grid), shard_sizes(count_points(grid), shards)
    start = sum(sizes[:shard])
    return points[start : start + sizes[shard]]
