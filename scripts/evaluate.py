"""Select every method's student, fit the temperatures, and predict the test split: the only place that reads it."""

import functools

import torch
from ils.files import load_arrays, save_arrays
from ils.job import log, run_each
from ils.networks.build import restore
from ils.training.cell import CellData, predict
from ils.training.devices import choose_device
from ils.training.students import Shards


def evaluate(data, split, shards, output, job, device, augmentation, network, columns, bounds):
    """Write the test logits of every column of Table III, divided by its temperature, and how each was selected.

    columns: mappings {column, method, scaling}, and `among` which points of the grid, if not all; shards: method -> the
    files of its grid. `output` holds one array (N_test, K) a column, the test labels and ids, and per column as metadata:
    grid point, temperature, best epoch, validation cross-entropy, number of students, and how many of them diverged.
    The training curves of all students go along, so that the analysis need not read the shards.
    """
    torch.set_num_threads(1)
    cell = CellData(
        load_arrays(data)[0], load_arrays(split)[0], augmentation, choose_device(device)
    )
    grids = {method: Shards(files, f"{job} {method}") for method, files in shards.items()}
    precision = network["precision"][cell.device.type]
    test, arrays, selected = cell.samples("test"), {}, []

    @functools.cache  # a method and its +TempS column often share their student
    def test_logits(method, index):
        weights = grids[method].weights(index)
        student = restore(
            network["family"], network["options"], cell.shape, cell.classes, weights, precision
        ).to(cell.device)
        return predict(student, test)[0].cpu().numpy()

    for column in columns:
        grid = grids[column["method"]]
        chosen = grid.select(
            cell.validation_labels.cpu().numpy(), column["scaling"], bounds, column.get("among")
        )
        arrays[f"logits/{column['column']}"] = (
            test_logits(column["method"], chosen.index) / chosen.temperature
        )
        selected.append(
            {
                "method": column["column"],
                "index": chosen.index,
                "point": grid.points[chosen.index],
                "temperature": chosen.temperature,
                "best_epoch": int(grid.best_epoch[chosen.index]),
                "validation_ce": chosen.validation_ce,
                "students": len(grid.points),
                "diverged": int(grid.failed.sum()),
            }
        )
        log.info("%s %s", job, selected[-1])
    arrays |= {"labels": cell.labels("test").cpu().numpy(), "ids": cell.ids("test")}
    arrays |= {
        name: array for method, grid in grids.items() for name, array in grid.curves(method).items()
    }
    save_arrays(
        output,
        arrays,
        selected=selected,
        grids={method: grid.points for method, grid in grids.items()},
    )


if __name__ == "__main__":
    run_each(evaluate, snakemake)
