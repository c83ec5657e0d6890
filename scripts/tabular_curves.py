"""Best-epsilon curves on real tables (Figures 9 and 10).

No LS and the LS grid are trained on several splits of one dataset.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ils.data.splits import split
from ils.files import load_arrays, save_arrays
from ils.job import log, run
from ils.probabilities import true_class
from ils.synthetic.gaussians import Replicate, Samples
from ils.synthetic.study import Task, curves


def tabular_curves(
    data: str,
    output: str,
    dataset: Mapping[str, Any],
    methods: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> None:
    """Write per split the sums of `curves` and the counts of the teacher's p_t.

    The counts are `histogram` (splits, bins). Splits and normalisation are those of the seeds 0, 1,
    ... everywhere else; images are taken as tables of pixels. Curves have `bins` groups from 0.2 to
    1.
    """
    torch.set_num_threads(1)
    arrays, metadata = load_arrays(data)
    arrays = dict(arrays)
    arrays["inputs"] = arrays["inputs"].reshape(len(arrays["inputs"]), -1).astype(np.float32)
    classes, samples = len(metadata["classes"]), len(arrays["inputs"])
    by_split = [
        sums_of(samples_of(arrays, seed, dataset), classes, methods, options)
        for seed in range(options["splits"])
    ]
    stacked = {name: np.stack([sums[name] for sums in by_split]) for name in by_split[0]}
    save_arrays(output, stacked, dataset=dataset["name"], classes=classes, samples=samples)
    log.info("%s: %d splits of %d samples", dataset["name"], options["splits"], samples)


def samples_of(
    arrays: Mapping[str, np.ndarray], seed: int, dataset: Mapping[str, Any]
) -> Replicate:
    """A split of a table as a replicate of the study, normalised, its networks' seed that of it."""
    inputs, labels = arrays["inputs"], arrays["labels"]
    parts = split(inputs, labels, arrays["official_test"], seed, **dataset)
    samples = []
    for name in ("train", "validation", "test"):
        x, y = (inputs[parts[name]] - parts["mean"]) / parts["std"], labels[parts[name]]
        samples.append(Samples(x, y, np.zeros(len(y), int)))
    training, validation, test = samples
    return Replicate(training, validation, test, seed)


def sums_of(
    replicate: Replicate,
    classes: int,
    methods: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Train on one split; return the sums of its curves and its histogram."""
    bounds, training = options["temperature_bounds"], options["training"]
    task = Task(replicate, options["hidden"], classes, bounds, training)
    grids = task.train(task.grids(methods))
    teacher = grids["no_ls"].select("joint")
    smoothed = [grids[method["name"]] for method in methods if method["targets"] == "ls"]
    sums = curves(task, [teacher], smoothed, edges=np.linspace(0.2, 1, options["bins"] + 1))
    p_true = true_class(teacher.probabilities, replicate.test.y)
    return sums | {"histogram": np.histogram(p_true, options["bins"], (0, 1))[0]}


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
