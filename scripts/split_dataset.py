"""Split a prepared dataset into training, validation and test samples by a seed."""

from collections.abc import Mapping
from typing import Any

from ils.data.splits import split
from ils.files import load_arrays, save_arrays
from ils.job import log, run


def split_dataset(data: str, output: str, seed: int, dataset: Mapping[str, Any]) -> None:
    """Write the index arrays and the training split's normalisation to `output`.

    dataset: its name and the sizes of its splits, see `ils.data.splits.split`.
    """
    arrays, _ = load_arrays(data)
    parts = split(arrays["inputs"], arrays["labels"], arrays["official_test"], seed, **dataset)
    save_arrays(output, parts)
    log.info(
        "%s seed %d: %s",
        dataset["name"],
        seed,
        {part: len(parts[part]) for part in ("train", "validation", "test")},
    )


if __name__ == "__main__":
    run(
        split_dataset,
        snakemake,
        data=snakemake.input.data,
        output=snakemake.output[0],
        seed=int(snakemake.wildcards.seed),
        dataset=snakemake.params.dataset,
    )
