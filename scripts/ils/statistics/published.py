"""The paper's printed Table III as a metrics table, and what in it cannot be.

The printed cwECE is not Eq. 2 (see the README's readings), so it goes by the name of what it is,
`cwece_printed`.
"""

import numpy as np
import pandas as pd

from ils.paper import PRINTED
from ils.statistics.ranks import METRICS

HALF_DIGIT = 0.00501  # averages are printed with two decimals


def as_metrics(printed):
    """Return the printed cells (metric, network, dataset, method, value) as a run's metrics table, with one seed."""
    cells = printed.assign(metric=printed["metric"].replace(PRINTED))
    order = list(dict.fromkeys(zip(cells["network"], cells["dataset"], cells["method"])))
    table = cells.pivot(
        index=["network", "dataset", "method"], columns="metric", values="value"
    ).loc[order]
    return table.assign(accuracy=table["accuracy"] / 100, seed=0).reset_index()


def possible_ranks(values, higher_is_better):
    """Return (lowest, highest) rank of each value of a row under any rule for ties.

    Rounding may hide an order, so equal printed values may have any rank from the first to the last
    of their places.
    """
    signed = -values if higher_is_better else values
    return signed.rank(method="min"), signed.rank(method="max")


def discrepancies(printed, printed_averages, ranks, average_ranks):
    """Return one row per contradiction: kind, metric, network, dataset, method, printed, recomputed, note.

    - subscript: a printed rank that no rule for ties can give the printed value among its row's.
    - average: a printed average rank that no rule for ties can give the row's printed values.
    - tie rule: one that some rule can give, but not the mid-ranks that Friedman's test supposes.
    - reversed: a method's printed ranks that are those from the worst instead of the best in every row.
    printed, printed_averages: the paper's; ranks, average_ranks: those of rank_methods.py on the same cells.
    """
    found, bounds = [], {}
    printed = printed.assign(metric=printed["metric"].replace(PRINTED))
    for (metric, network, dataset), row in printed.groupby(
        ["metric", "network", "dataset"], sort=False
    ):
        lowest, highest = possible_ranks(row["value"], METRICS[metric].higher_is_better)
        for method, low, high in zip(row["method"], lowest, highest):
            bounds.setdefault((metric, method), []).append((low, high))
        wrong = (row["printed_rank"] < lowest) | (row["printed_rank"] > highest)
        for cell, low, high in zip(row[wrong].itertuples(), lowest[wrong], highest[wrong]):
            note = f"rank of {cell.value:g} among its row's values"
            range_ = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            found.append(
                (
                    "subscript",
                    metric,
                    network,
                    dataset,
                    cell.method,
                    f"{cell.printed_rank:g}",
                    range_,
                    note,
                )
            )

    recomputed = average_ranks.query("pool == 'all'").set_index(["metric", "method"])[
        "average_rank"
    ]
    for cell in printed_averages.replace({"metric": PRINTED}).itertuples():
        average, ours = cell.printed_average_rank, recomputed[cell.metric, cell.method]
        low, high = np.mean(bounds[cell.metric, cell.method], 0) + (-HALF_DIGIT, HALF_DIGIT)
        if abs(ours - average) > HALF_DIGIT:
            kind = "tie rule" if low <= average <= high else "average"
            note = f"ties can give {low:.2f} to {high:.2f}; recomputed: mid-ranks of the printed values"
            found.append(
                (kind, cell.metric, "", "", cell.method, f"{average:.2f}", f"{ours:.2f}", note)
            )

    both = printed.merge(
        ranks.query("pool == 'all'"), on=["metric", "network", "dataset", "method"]
    )
    blocks = both.groupby(["metric", "network", "dataset"])["rank"].transform("size")
    from_worst = (both["printed_rank"] - (blocks + 1 - both["rank"])).abs() < 1
    from_best = (both["printed_rank"] - both["rank"]).abs() < 1
    for (metric, method), rows in both.assign(reversed=from_worst & ~from_best).groupby(
        ["metric", "method"], sort=False
    ):
        if rows["reversed"].sum() > len(rows) / 2:
            note = f"counted from the worst in {rows['reversed'].sum()} of {len(rows)} rows"
            texts = f"{rows['printed_rank'].mean():.2f}", f"{rows['rank'].mean():.2f}"
            found.append(("reversed", metric, "", "", method, *texts, note))
    columns = ["kind", "metric", "network", "dataset", "method", "printed", "recomputed", "note"]
    return pd.DataFrame(found, columns=columns)
