"""Train one shard of a method's grid of students in a batch of cells, one after another; a teacher
is a method, too."""

import torch

from ils.files import save_arrays
from ils.job import run
from ils.plan.grids import shard_points
from ils.training.checkpoints import forget
from ils.training.shard import Inputs, Outputs, train_shard


def train_students(training, shard, inputs, outputs):
    """Write the students of all cells, and what they say of the test split; see
    `ils.training.students`.

    training: a `records.Training`; inputs: the `Inputs` of each cell; outputs: the job's `Outputs`.
    """
    torch.set_num_threads(1)  # several processes use the cores better than several threads
    points = shard_points(training.grid, shard, training.shards)
    arrays, tests, cells, digests = {}, {}, {}, {}
    for plan, recipe, files in zip(training.cells, training.recipes, inputs, strict=True):
        of_cell = train_shard(plan, recipe, training.targets, points, files, outputs)
        for kept, named in zip((arrays, tests), of_cell, strict=False):
            kept |= {f"{plan.cell.name}/{name}": array for name, array in named.items()}
        cells[plan.cell.name], digests[plan.cell.name] = of_cell[2:]
    save_arrays(outputs.test_logits, tests, cells=cells, digests=digests)
    save_arrays(outputs.students, arrays, cells=cells)
    forget(outputs.students)


if __name__ == "__main__":
    files, training = snakemake.input, snakemake.params.training
    inherited = {name: files[f"inherit_{name}"] for name in snakemake.params.inherited}
    learnt = files.soft_targets, files.temperatures, inherited
    run(
        train_students,
        snakemake,
        training=training,
        shard=int(snakemake.wildcards.shard),
        inputs=Inputs.of_cells(files.data, files.split, *learnt),
        outputs=Outputs(
            snakemake.output.students,
            snakemake.output.test_logits,
            list(files.code),
            snakemake.config["checkpoint_minutes"],
            len(training.cells),
        ),
    )
