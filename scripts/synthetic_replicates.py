"""Run some replicates of one setup of the synthetic study.

They leave a table of selected models, and arrays for the figures.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ils.files import save_arrays, write_csv
from ils.job import log, run
from ils.synthetic.study import run_replicates


def synthetic_replicates(
    models: str,
    figures: str,
    setup: Mapping[str, Any],
    methods: Sequence[Mapping[str, Any]],
    options: Mapping[str, Any],
    first: int,
    last: int,
) -> None:
    """Write replicates `first` to `last`, both included.

    `models` is a csv file, `figures` a safetensors file.
    """
    rows, arrays = run_replicates(setup, methods, options, range(first, last + 1))
    write_csv(models, pd.DataFrame(rows))
    save_arrays(figures, arrays, first=first, last=last)
    log.info("%d replicates of %s: %d models selected", last + 1 - first, setup["name"], len(rows))


if __name__ == "__main__":
    run(
        synthetic_replicates,
        snakemake,
        models=snakemake.output.models,
        figures=snakemake.output.figures,
        first=int(snakemake.wildcards.first),
        last=int(snakemake.wildcards.last),
        **snakemake.params,
    )
