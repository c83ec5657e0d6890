"""Draw what the run decides: a forest plot of the headline pairs, and a bar a claim."""

import math
from collections.abc import Sequence

from ils.document.claims import TITLES
from ils.figures import style
from ils.figures.decision import claim_bars, forest
from ils.files import read_csv
from ils.job import run
from ils.plan.metrics import Metric
from ils.statistics.claims import CLAIMS
from ils.statistics.datasets import Datasets
from ils.statistics.ledger import of_run
from ils.statistics.pairs import KEY

CE = "cross_entropy"  # by which equal budgets are drawn


def decision_figures(
    metrics: str,
    equal_budget: str,
    comparisons: str,
    claims: str,
    shown: Sequence[Metric],
    forest_files: Sequence[str],
    claim_files: Sequence[str],
) -> None:
    """Read the tables of compute_metrics.py, budget.py, decide.py and claims.py; draw each figure
    into its files. shown: the metrics of the forest plot."""
    table, datasets = read_csv(comparisons), Datasets(read_csv(metrics), shown)
    full = table["trainings"].isna() | (table["metric"] == CE)
    table = table[table["metric"].isin(datasets.metrics) & full]
    if table["headline"].any():
        table = table[table["headline"]]
    equal = dict(iter(read_csv(equal_budget).groupby(KEY)["gain"]))
    gains = [
        datasets.gains(*key[:3]) if math.isnan(key[3]) else equal[key]
        for key in table[KEY].itertuples(index=False, name=None)
    ]
    table = table.assign(gains=[values.to_numpy() for values in gains])
    drawn = forest(table, list(datasets.metrics.values()))
    for path in forest_files:
        style.save(drawn, path)

    kinds = {claim.name: TITLES[claim.checked_on] for claim in CLAIMS}
    ours = of_run(read_csv(claims))
    ours = ours[ours["verdict"] != "not measured"]
    setup = ours["study"].str.removeprefix("this run")
    groups = ours.groupby(ours["claim"].map(kinds) + setup, sort=False)
    bars = claim_bars(dict(iter(groups)))
    for path in claim_files:
        style.save(bars, path)


if __name__ == "__main__":
    run(
        decision_figures,
        snakemake,
        metrics=snakemake.input.metrics,
        equal_budget=snakemake.input.equal_budget,
        comparisons=snakemake.input.comparisons,
        claims=snakemake.input.claims,
        shown=snakemake.params.metrics,
        forest_files=snakemake.output[0::2],
        claim_files=snakemake.output[1::2],
    )
