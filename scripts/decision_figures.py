"""Draw what the run decides: a forest plot of the headline pairs, and a bar a claim."""

import math
from collections.abc import Sequence

from ils.document.claims import TITLES
from ils.figures import style
from ils.figures.decision import claim_bars, forest
from ils.files import read_csv
from ils.job import run
from ils.statistics.claims import CLAIMS
from ils.statistics.datasets import Datasets
from ils.statistics.ledger import of_run
from ils.statistics.pairs import KEY
from ils.statistics.ranks import METRICS

SHOWN = ["cross_entropy", "accuracy", "ece", "cwece"]


def decision_figures(
    metrics: str,
    equal_budget: str,
    comparisons: str,
    claims: str,
    forest_files: Sequence[str],
    claim_files: Sequence[str],
) -> None:
    """Read the tables of compute_metrics.py, budget.py, decide.py and claims.py; draw each figure
    into its files."""
    table, datasets = read_csv(comparisons), Datasets(read_csv(metrics))
    full = table["trainings"].isna() | (table["metric"] == SHOWN[0])  # of equal budgets the first
    table = table[table["metric"].isin(SHOWN) & full]
    if table["headline"].any():
        table = table[table["headline"]]
    equal = dict(iter(read_csv(equal_budget).groupby(KEY)["gain"]))
    gains = [
        datasets.gains(*key[:3]) if math.isnan(key[3]) else equal[key]
        for key in table[KEY].itertuples(index=False, name=None)
    ]
    table = table.assign(gains=[values.to_numpy() for values in gains])
    titles = {m: METRICS[m].name + " x K" * (m == "cwece") for m in SHOWN if m in datasets.metrics}
    drawn = forest(table, titles)
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
        forest_files=snakemake.output[0::2],
        claim_files=snakemake.output[1::2],
    )
