"""Train one shard of a round's students in a batch of cells, one after another; a teacher is a
student, too."""

import torch

from ils.files import save_arrays
from ils.job import run
from ils.training.checkpoints import forget
from ils.training.shard import Inputs, Outputs, train_shard


def train_students(training, shard, at_once, inputs, outputs):
    """Write the students of all cells, and what they say of the test split; see
    `ils.training.students`.

    training: a `records.Training`; at_once: {network: {kind of device: how many students train
    together}}; inputs: the `Inputs` of each cell; outputs: the job's `Outputs`.
    """
    torch.set_num_threads(1)  # several processes use the cores better than several threads
    arrays, tests, cells, digests = {}, {}, {}, {}
    for plan, recipe, files in zip(training.cells, training.recipes, inputs, strict=True):
        together = at_once[plan.cell.network]
        of_cell = train_shard(plan, recipe, training, shard, together, files, outputs)
        for kept, named in zip((arrays, tests), of_cell, strict=False):
            kept |= {f"{plan.cell.name}/{name}": array for name, array in named.items()}
        cells[plan.cell.name], digests[plan.cell.name] = of_cell[2:]
    save_arrays(outputs.test_logits, tests, cells=cells, digests=digests)
    save_arrays(outputs.students, arrays, cells=cells)
    forget(outputs.students)


if __name__ == "__main__":
    files, training = snakemake.input, snakemake.params.training
    networks, minutes = snakemake.config["networks"], snakemake.config["checkpoint_minutes"]
    run(
        train_students,
        snakemake,
        training=training,
        shard=int(snakemake.wildcards.shard),
        at_once={network["name"]: network["students_at_once"] for network in networks},
        inputs=Inputs.of_cells(files.data, files.splits, files.soft_targets, files.fits),
        outputs=Outputs(
            snakemake.output.students,
            snakemake.output.test_logits,
            list(files.code),
            minutes,
            len(training.cells),
        ),
    )
