"""Select every column's student by validation data and take what it says of the test split: the
only place that reads that."""

from ils.errors import UserError
from ils.evaluation.selection import select
from ils.files import save_arrays
from ils.job import log, run
from ils.training.students import Grid


def choose(grid, column, bounds, title):
    """Return the `Selected` student of a column's `Grid`, and as metadata how it was selected."""
    excluded = grid.failed | ~grid.matching(column.among or {})
    try:
        logits, labels = grid.validation_logits, grid.validation_labels
        chosen = select(logits, labels, excluded, column.scaling, bounds)
    except UserError as error:
        raise UserError(f"{title} {column.method}: {error}") from None
    return chosen, {
        "method": column.column,
        "index": chosen.index,
        "point": grid.points[chosen.index],
        "temperature": chosen.temperature,
        "best_epoch": int(grid.best_epoch[chosen.index]),
        "validation_ce": chosen.validation_ce,
        "students": len(grid.points),
        "diverged": int(grid.failed.sum()),
    }


def evaluate(evaluation, students, test_logits, bounds, output):
    """Write per cell the test logits of every column of Table III, divided by its temperature.

    evaluation: a `records.Evaluation`; students, test_logits: {round: the files of its shards}.
    With logits/{column} (N_test, K) go the test labels and ids and the training curves of all
    students, so that the analysis need not read the shards; as metadata by cell how each column was
    selected, and the grid points.
    """
    arrays, cells = {}, {}
    for cell in evaluation.cells:
        rounds = evaluation.rounds.items()
        grids = {method: Grid(students[name], cell.name, method) for method, name in rounds}
        predictions, selected = {}, []
        for column in evaluation.columns:
            grid = grids[column.method]
            chosen, about = choose(grid, column, bounds, cell.title)
            paths = test_logits[evaluation.rounds[column.method]]
            tests = grid.test_arrays(paths, chosen.index)
            predictions[f"logits/{column.column}"] = tests["logits"] / chosen.temperature
            selected.append(about)
            log.info("%s %s", cell.title, about)
        predictions |= {name: tests[name] for name in ("labels", "ids")}
        for method, grid in grids.items():
            predictions |= grid.curves(method)
        arrays |= {f"{cell.name}/{name}": array for name, array in predictions.items()}
        points = {method: grid.points for method, grid in grids.items()}
        cells[cell.name] = {"selected": selected, "grids": points}
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
        bounds=snakemake.params.bounds,
        output=snakemake.output[0],
        **files,
    )
