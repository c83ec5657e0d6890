"""The file of a shard of students: what a training job leaves for every later stage. Reading it needs no torch.

validation_logits (G, N, K) float32    best_epoch, failed_epoch (G,) int64    train_loss, validation_ce (G, epochs)
kept (M,) int64: the students whose weights are in the file    weights/<name> (M, ...)
metadata: points (the G grid points as mappings), and what else decided the numbers' rounding: device, precision,
students_at_once, cuda_graphs
"""

import itertools

import numpy as np
from ils.errors import UserError
from ils.evaluation.selection import select
from ils.files import load_arrays, save_arrays

ARRAYS = ("validation_logits", "best_epoch", "failed_epoch", "train_loss", "validation_ce")


def grid_points(grid):
    """List the points of a grid {name: values} as mappings; the last name varies fastest. No names: one empty point."""
    return [dict(zip(grid, values)) for values in itertools.product(*grid.values())]


def shard_points(grid, shard, shards):
    """The grid points of shard number `shard` of `shards`, which differ in size by at most one."""
    return [
        points.tolist() for points in np.array_split(np.array(grid_points(grid), object), shards)
    ][shard]


def matching(points, among):
    """Which of the points (G,) have all the values of the mapping `among`."""
    return np.array(
        [all(point[name] == value for name, value in among.items()) for point in points]
    )


def save_shard(path, results, points, labels, scaling, bounds, made, apart=None):
    """Write the `Students` of consecutive chunks as one shard, with the weights of those that may be selected.

    Which these are follows from the validation labels (N,) and `scaling`, as in `selection.select`; students that differ
    in the hyperparameter `apart` do not compete. made: how they were trained, as metadata.
    """
    arrays = {
        name: np.concatenate([getattr(result, name) for result in results]) for name in ARRAYS
    }
    failed, kept = arrays["failed_epoch"] > 0, set()
    for among in (
        [{apart: value} for value in {point[apart] for point in points}] if apart else [{}]
    ):
        excluded = failed | ~matching(points, among)
        if not excluded.all():
            kept |= {
                select(arrays["validation_logits"], labels, excluded, way, bounds).index
                for way in {"none", scaling}
            }
    kept = sorted(kept)
    arrays["kept"] = np.array(kept, np.int64)
    places = [(result, row) for result in results for row in range(len(result.best_epoch))]
    for name in results[0].weights if kept else ():
        rows = [places[i][0].weights[name][places[i][1]].cpu().numpy() for i in kept]
        arrays[f"weights/{name}"] = np.stack(rows)
    save_arrays(path, arrays, points=points, **made)


class Shards:
    """All students of a grid, read from the files of its shards."""

    def __init__(self, paths, job):
        loaded = [load_arrays(path) for path in paths]
        self.job, self._arrays = job, [arrays for arrays, _ in loaded]
        self.points = [point for _, metadata in loaded for point in metadata["points"]]
        for name in ARRAYS:
            setattr(self, name, np.concatenate([arrays[name] for arrays in self._arrays]))
        self.failed = self.failed_epoch > 0

    def select(self, labels, scaling, bounds, among=None):
        """Choose among the students whose hyperparameters have the values of `among`; see `selection.select`."""
        try:
            return select(
                self.validation_logits,
                labels,
                self.failed | ~matching(self.points, among or {}),
                scaling,
                bounds,
            )
        except UserError as error:
            raise UserError(f"{self.job}: {error}") from None

    def curves(self, method):
        """The history of all students under the names that the predictions file gives it; see the README."""
        found = {f"curves/{method}/failed_epoch": self.failed_epoch}
        for name in ("train_loss", "validation_ce"):
            found[f"curves/{method}/{name}"] = getattr(self, name).astype(np.float32)
        return found

    def weights(self, index):
        """The state dict, as arrays (1, ...), of the student at `index` of the whole grid."""
        for arrays in self._arrays:
            if index < len(arrays["best_epoch"]):
                row = np.flatnonzero(arrays["kept"] == index)
                return {
                    name.removeprefix("weights/"): a[row]
                    for name, a in arrays.items()
                    if name.startswith("weights/")
                }
            index -= len(arrays["best_epoch"])
        raise IndexError(index)
