"""Best-epsilon curves on real tables (Figures 9 and 10): No LS and the LS grid on several splits of one dataset."""

import numpy as np
import torch

from ils.data.splits import split
from ils.files import load_arrays, save_arrays
from ils.job import log, run
from ils.probabilities import true_class
from ils.synthetic.gaussians import Replicate, Samples
from ils.synthetic.study import Task, curves


def tabular_curves(data, output, dataset, methods, options):
    """Write per split the sums of `curves` and the counts of the teacher's p_t, `histogram` (splits, bins).

    Splits and normalisation are those of the seeds 0, 1, ... everywhere else; images are taken as
    tables of pixels. Curves have `bins` groups from 0.2 to 1.
    """
    torch.set_num_threads(1)
    data, metadata = load_arrays(data)
    inputs = data["inputs"].reshape(len(data["inputs"]), -1).astype(np.float32)
    found = []
    for seed in range(options["splits"]):
        parts = split(inputs, data["labels"], data["official_test"], seed, **dataset)
        samples = []
        for name in ("train", "validation", "test"):
            x, y = (inputs[parts[name]] - parts["mean"]) / parts["std"], data["labels"][parts[name]]
            samples.append(Samples(x, y, np.zeros(len(y), int)))
        replicate = Replicate(*samples, seed)
        task = Task(
            replicate,
            options["hidden"],
            len(metadata["classes"]),
            options["temperature_bounds"],
            options["training"],
        )
        grids = task.train(task.grids(methods))
        teacher = grids["no_ls"].select("joint")
        smoothed = [grids[method["name"]] for method in methods if method["targets"] == "ls"]
        arrays = curves(task, [teacher], smoothed, edges=np.linspace(0.2, 1, options["bins"] + 1))
        p_true = true_class(teacher.probabilities, replicate.test.y)
        arrays["histogram"] = np.histogram(p_true, options["bins"], (0, 1))[0]
        found.append(arrays)
    stacked = {name: np.stack([arrays[name] for arrays in found]) for name in found[0]}
    save_arrays(
        output,
        stacked,
        dataset=dataset["name"],
        classes=len(metadata["classes"]),
        samples=len(inputs),
    )
    log.info("%s: %d splits of %d samples", dataset["name"], options["splits"], len(inputs))


if __name__ == "__main__":
    run(
        tabular_curves,
        snakemake,
        data=snakemake.input.data,
        output=snakemake.output[0],
        dataset=snakemake.params.dataset,
        methods=snakemake.params.methods,
        options=snakemake.params.options,
    )
