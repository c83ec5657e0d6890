"""Select the teacher, fit its temperature, and store its logits on every training sample and augmented view."""

import numpy as np
import torch
from ils.files import load_arrays, save_arrays
from ils.job import log, run_each
from ils.networks.build import restore
from ils.training.cell import CellData, predict
from ils.training.devices import choose_device
from ils.training.students import Shards


def soft_targets(data, split, shards, output, job, device, augmentation, network, bounds):
    """Write logits (N_train, views, K) and the samples' ids, in the split's order, with the temperature as metadata."""
    torch.set_num_threads(1)
    cell = CellData(
        load_arrays(data)[0], load_arrays(split)[0], augmentation, choose_device(device)
    )
    grid = Shards(shards, job)
    chosen = grid.select(cell.validation_labels.cpu().numpy(), "selected", bounds)
    weights, precision = grid.weights(chosen.index), network["precision"][cell.device.type]
    teacher = restore(
        network["family"], network["options"], cell.shape, cell.classes, weights, precision
    ).to(cell.device)
    logits = np.empty((len(cell.train), cell.train.views, cell.classes), np.float32)
    for view in range(cell.train.views):
        views = torch.full((len(cell.train),), view, device=cell.device)
        logits[:, view] = predict(teacher, cell.train, views)[0].cpu().numpy()
    save_arrays(
        output, {"logits": logits, "ids": cell.ids("train")}, temperature=chosen.temperature
    )
    log.info(
        "%s: temperature %.4f, validation cross-entropy %.4f",
        job,
        chosen.temperature,
        chosen.validation_ce,
    )


if __name__ == "__main__":
    run_each(soft_targets, snakemake)
