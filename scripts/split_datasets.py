"""Split the prepared datasets of a batch into training, validation and test samples by seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from ils.data.splits import split
from ils.files import load_arrays, save_arrays
from ils.job import log, run


def split_datasets(data: Sequence[str], splits: Sequence[Mapping[str, Any]], output: str) -> None:
    """Write the index arrays of each split and the normalisation of its training part to `output`.

    data: the files of the datasets; splits: by file name, seed, and `dataset`, its name and the
    sizes of its splits, see `ils.data.splits.split`. Each is made once and lies under its name.
    """
    arrays: dict[str, Any] = {}
    by_name = {wanted["name"]: (path, wanted) for path, wanted in zip(data, splits, strict=True)}
    for name, (path, wanted) in by_name.items():
        dataset, _ = load_arrays(path)
        of_all = dataset["inputs"], dataset["labels"], dataset["official_test"]
        parts = split(*of_all, wanted["seed"], **wanted["dataset"])
        arrays |= {f"{name}/{part}": array for part, array in parts.items()}
        sizes = {part: len(parts[part]) for part in ("train", "validation", "test")}
        log.info("%s: %s", name, sizes)
    save_arrays(output, arrays)


if __name__ == "__main__":
    run(
        split_datasets,
        snakemake,
        data=snakemake.input.data,
        splits=snakemake.params.splits,
        output=snakemake.output[0],
    )
