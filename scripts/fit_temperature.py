"""Fit the temperature of a method's best student: what training needs to know of the analysis."""

from ils.evaluation.temperature import fit_temperature
from ils.files import save_json
from ils.job import log, run
from ils.training.students import best_student


def fit_temperatures(students, cells, bounds, output):
    """Write {cell: {"point": of the best student's grid, "temperature": T*}}.

    students: the files of the method's shards; cells: `records.Cell`s; bounds of the temperature.
    """
    fitted = {}
    for cell in cells:
        best = best_student(students, cell)
        temperature = fit_temperature(best.validation_logits, best.validation_labels, bounds)
        fitted[cell.name] = {"point": best.point, "temperature": float(temperature)}
        log.info("%s: %s", cell.title, fitted[cell.name])
    save_json(output, fitted)


if __name__ == "__main__":
    run(
        fit_temperatures,
        snakemake,
        students=snakemake.input.students,
        cells=snakemake.params.cells,
        bounds=snakemake.params.bounds,
        output=snakemake.output[0],
    )
