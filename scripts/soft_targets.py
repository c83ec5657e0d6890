"""Let a method's best student say what it thinks of every training sample, in each view."""

import numpy as np
import torch

from ils.errors import UserError
from ils.files import load_arrays, save_arrays
from ils.job import log, run
from ils.networks.build import restore
from ils.training.cell import CellData, predict
from ils.training.devices import choose_device
from ils.training.students import best_student


def soft_targets(plans, method, data, splits, students, output, precision="float32"):
    """Write per cell the logits (N_train, views, K) and the samples' ids (N_train,), in the split's
    order.

    plans: the `records.CellPlan` of each cell, with its `data`; splits: the batch's file; students:
    the files of the shards that trained the teaching `method`; precision: of the logits, float32 or
    float16, whose numbers end at 65,504: UserError where a logit is larger.
    """
    torch.set_num_threads(1)
    arrays = {}
    for plan, path in zip(plans, data, strict=True):
        device, network = choose_device(plan.device), plan.architecture
        split, _ = load_arrays(splits, under=f"{plan.cell.split}/")
        cell = CellData(load_arrays(path)[0], split, plan.augmentation, device)
        best, computed = best_student(students, plan.cell, method), network.precision[device.type]
        entry = network.family, network.options, cell.shape, cell.classes
        teacher = restore(*entry, best.weights, computed).to(device)
        logits = np.empty((len(cell.train), cell.train.views, cell.classes), precision)
        for view in range(cell.train.views):
            views = torch.full((len(cell.train),), view, device=device)
            said = predict(teacher, cell.train, views)[0].cpu().numpy()
            if (largest := np.abs(said).max()) > np.finfo(precision).max:
                raise UserError(
                    f"{plan.cell.title}: a logit of the {method} teacher is {largest:.3g}, too "
                    "large for float16; set soft_targets_precision: float32 in the config"
                )
            logits[:, view] = said
        arrays |= {f"{plan.cell.name}/logits": logits, f"{plan.cell.name}/ids": cell.ids("train")}
        log.info("%s: the teacher is %s", plan.cell.title, best.point)
    save_arrays(output, arrays)


if __name__ == "__main__":
    run(
        soft_targets,
        snakemake,
        plans=snakemake.params.cells,
        method=snakemake.wildcards.method,
        data=snakemake.input.data,
        splits=snakemake.input.splits,
        students=snakemake.input.students,
        output=snakemake.output[0],
        precision=snakemake.params.precision,
    )
