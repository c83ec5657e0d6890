"""Check every claim of the paper on its printed numbers and on this run: the ledger."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ils.document.claims import typeset
from ils.files import read_csv, write_csv, write_text
from ils.job import log, run
from ils.paper import PRINTED
from ils.plan.metrics import Metric
from ils.statistics.claims import DISTILLATION, RANKS, REPLICATES
from ils.statistics.comparison import (
    printed_distillation,
    printed_synthetic,
    with_figures,
    with_setups,
)
from ils.statistics.datasets import Datasets
from ils.statistics.ledger import Distilled, PrintedMeans, Ranking, Replicates, Run, Study, ledger

CWECE = {"": PRINTED["cwece"], ", Eq. 2": "cwece"}


def claims(
    published: Sequence[str],
    metrics: str,
    compared: Sequence[Metric],
    printed_tables: Sequence[str],
    printed_table4: str,
    replicates: Mapping[str, Sequence[str]],
    arrays: Mapping[str, Sequence[str]],
    long_grid: Mapping[str, Sequence[float]],
    others: Mapping[str, Mapping[str, Sequence[str]]],
    distillation: str | None,
    csv: str,
    tex: str,
) -> None:
    """Write the ledger as csv and as LaTeX.

    published: ranks, average ranks and Friedman's tests of the print; metrics: this run's table,
    compared: what it is compared by; replicates, arrays: {setup: files of its jobs}; others:
    {setup: those of others that claims compare with it}. distillation: metrics of distilled
    students, or None where the run has none.
    """
    datasets = Datasets(read_csv(metrics), compared)
    studies: dict[str, list[Study]] = {
        RANKS: [Ranking("paper", *map(read_csv, published))],
        REPLICATES: [PrintedMeans("paper", {"": printed_synthetic(printed_tables)})],
        DISTILLATION: [PrintedMeans("paper", printed_distillation(printed_table4))],
    }
    for ending, cwece in CWECE.items():
        studies[RANKS].append(Run(f"this run{ending}", datasets, cwece))
    for setup, paths in replicates.items():
        models = pd.concat(map(read_csv, paths), ignore_index=True)
        models = with_figures(models, arrays[setup], long_grid)
        models = with_setups(models, others[setup])
        for ending, cwece in CWECE.items():
            studies[REPLICATES].append(Replicates(f"this run, {setup}{ending}", models, cwece))
    if distillation:
        studies[DISTILLATION].append(Distilled("this run", read_csv(distillation)))
    rows = ledger(studies)
    write_csv(csv, rows)
    log.info("%s", rows.groupby(["study", "verdict"]).size().to_dict())
    write_text(tex, typeset(rows))


if __name__ == "__main__":
    run(
        claims,
        snakemake,
        published=snakemake.input.published,
        metrics=snakemake.input.metrics,
        compared=snakemake.params.metrics,
        printed_tables=snakemake.input.printed,
        printed_table4=snakemake.input.printed4,
        replicates={setup: snakemake.input[setup] for setup in snakemake.params.setups},
        arrays={setup: snakemake.input[f"arrays_{setup}"] for setup in snakemake.params.setups},
        long_grid=snakemake.params.long_grid,
        others={
            setup: {name: snakemake.input[name] for name in names}
            for setup, names in snakemake.params.others.items()
        },
        distillation=snakemake.input.get("distillation"),
        csv=snakemake.output.csv,
        tex=snakemake.output.tex,
    )
