"""Turn a dataset of any source into the one prepared file that every later stage reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ils.data.sources import Raw, check
from ils.errors import UserError
from ils.files import save_arrays
from ils.job import log, run
from ils.plan.located import located
from ils.plan.plugins import load


def check_expected(raw: Raw, name: str, expect: Mapping[str, Any] | None) -> None:
    """Raise UserError unless the source delivered what the config's `expect` says, if anything."""
    delivered = {
        "samples": len(raw.inputs),
        "test": int(raw.official_test.sum()),
        "shape": list(raw.inputs.shape[1:]),
        "classes": len(raw.classes),
    }
    if expect and expect != delivered:
        expected, got = (
            ", ".join(f"{key} {sizes[key]}" for key in delivered) for sizes in (expect, delivered)
        )
        raise UserError(
            f"dataset {name}: expected {expected}, but the source has {got}; "
            "correct `expect` or the options"
        )


def prepare_dataset(
    output: str | Path,
    name: str,
    source: str,
    options: Mapping[str, Any],
    expect: Mapping[str, Any] | None = None,
) -> None:
    """Write a dataset to `output`, in its source's order.

    That is inputs, labels, ids, the marks of the official test split and the names of the classes;
    and the notes of sources that make some, which are also logged.
    """
    raw = load("source", source)(**located(options))
    check(raw, name)
    check_expected(raw, name, expect)
    arrays = {"inputs": raw.inputs, "labels": raw.labels, "official_test": raw.official_test}
    metadata = {"classes": raw.classes} | ({"notes": raw.notes} if raw.notes else {})
    save_arrays(output, arrays | {"ids": np.arange(len(raw.labels))}, **metadata)
    log.info(
        "%s: %d samples of shape %s, %d classes",
        name,
        len(raw.inputs),
        raw.inputs.shape[1:],
        len(raw.classes),
    )
    for what, note in raw.notes.items():
        log.info("%s: %s: %s", name, what, note)


if __name__ == "__main__":
    dataset = snakemake.params.dataset
    run(
        prepare_dataset,
        snakemake,
        output=snakemake.output[0],
        name=dataset["name"],
        source=dataset["source"],
        options=dataset["options"],
        expect=dataset.get("expect"),
    )
