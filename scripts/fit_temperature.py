"""Fit temperatures of methods' best students: what training needs to know of the analysis."""

from ils.evaluation.temperature import fit_temperature
from ils.files import save_json
from ils.job import log, run
from ils.training.students import best_student


def fit_temperatures(students, cells, methods, bounds, output):
    """Write {cell: {method: {"point": of the best student's grid, "temperature": T*}}}.

    students: the files of a round's shards, cells: `records.Cell`s, methods: those of the round
    that others must know; bounds of the temperature.
    """
    fitted = {cell.name: {} for cell in cells}
    for cell in cells:
        for method in methods:
            best = best_student(students, cell, method)
            temperature = fit_temperature(best.validation_logits, best.validation_labels, bounds)
            told = {"point": best.point, "temperature": float(temperature)}
            fitted[cell.name][method] = told
            log.info("%s %s: %s", cell.title, method, told)
    save_json(output, fitted)


if __name__ == "__main__":
    run(
        fit_temperatures,
        snakemake,
        students=snakemake.input.students,
        cells=snakemake.params.cells,
        methods=snakemake.params.methods,
        bounds=snakemake.params.bounds,
        output=snakemake.output[0],
    )
