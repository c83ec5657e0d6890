"""Train one shard of a method's grid of students in a batch of cells, one after another; a teacher
is a method, too."""

import torch

from ils.files import save_arrays
from ils.job import run
from ils.plan.grids import shard_points
from ils.training.checkpoints import Checkpoints, digest, forget
from ils.training.shard import Inputs, train_shard


def train_students(training, shard, inputs, students, test_logits, code, minutes):
    """Write the students of all cells, and what they say of the test split; see
    `ils.training.students`.

    training: a `records.Training`; inputs: the `Inputs` of each cell. A checkpoint is kept every so
    many `minutes`, and a killed job goes on from it unless what it is told, its inputs or its
    `code` (files, too) changed.
    """
    torch.set_num_threads(1)  # several processes use the cores better than several threads
    points = shard_points(training.grid, shard, training.shards)
    arrays, tests, cells = {}, {}, {}

    def checkpoints(identity, files, cell):
        identity = digest(identity, [*files, *code])
        return Checkpoints(students, identity, minutes, len(training.cells) > 1, cell)

    for plan, recipe, files in zip(training.cells, training.recipes, inputs, strict=True):
        of_cell = train_shard(plan, recipe, training.targets, points, files, checkpoints)
        for kept, named in zip((arrays, tests), of_cell, strict=False):
            kept |= {f"{plan.cell.name}/{name}": array for name, array in named.items()}
        cells[plan.cell.name] = of_cell[2]
    save_arrays(test_logits, tests, cells=cells)
    save_arrays(students, arrays, cells=cells)
    forget(students)


if __name__ == "__main__":
    given, training = snakemake.input, snakemake.params.training
    inherited = {name: given[f"inherit_{name}"] for name in snakemake.params.inherited}
    learnt = given.soft_targets, given.temperatures, inherited
    run(
        train_students,
        snakemake,
        training=training,
        shard=int(snakemake.wildcards.shard),
        inputs=Inputs.of_cells(given.data, given.split, *learnt),
        students=snakemake.output.students,
        test_logits=snakemake.output.test_logits,
        code=list(given.code),
        minutes=snakemake.config["checkpoint_minutes"],
    )
