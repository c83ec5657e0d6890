"""Select every column's student by validation data, and take what all students say of the test
split: the only rule that reads that."""

from ils.files import save_arrays
from ils.job import run
from ils.training.predictions import Predictions


def evaluate(evaluation, students, test_logits, output):
    """Write per cell the test logits of every column of Table III, as calibrated.

    evaluation: a `records.Evaluation`; students, test_logits: {round: the files of its shards}.
    With logits/{column} (N_test, K) go the test labels and ids, and of all students the training
    curves and, under grid/{method}/, best epochs, temperatures, validation cross-entropies and test
    metrics, so that the analysis need not read the shards; as metadata by cell how each column was
    selected, and the grid points.
    """
    arrays, cells = {}, {}
    for cell in evaluation.cells:
        of_cell = Predictions(cell, evaluation, students, test_logits)
        arrays |= {f"{cell.name}/{name}": array for name, array in of_cell.arrays.items()}
        cells[cell.name] = of_cell.about
    save_arrays(output, arrays, cells=cells)


if __name__ == "__main__":
    evaluation, files = snakemake.params.evaluation, {}
    for kind in ("students", "test_logits"):
        shards = iter(snakemake.input[kind])
        counts = evaluation.shards.items()
        files[kind] = {name: [next(shards) for _ in range(count)] for name, count in counts}
    run(
        evaluate,
        snakemake,
        evaluation=evaluation,
        output=snakemake.output[0],
        **files,
    )
