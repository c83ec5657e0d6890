"""Averages over replicates with standard errors, beside the numbers that the paper prints."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ils import paper
from ils.files import read_csv
from ils.synthetic.curves import HISTOGRAM_KINDS, HISTOGRAM_MODELS, distance_from_bayes, stacked


class Column(NamedTuple):
    """A column of a comparison: its name in our table of models, its head (LaTeX), its decimals.

    `scale` multiplies its values: 100 where the paper prints per cent.
    """

    name: str
    head: str
    decimals: int
    scale: float = 1


METRICS = [
    Column("accuracy", r"Acc \%", 2, 100),
    Column("accuracy_dense", "dense", 2, 100),
    Column("accuracy_sparse", "sparse", 2, 100),
    Column("cross_entropy", "CE", 4),
    Column("ece", "ECE", 4),
    Column("cwece_printed", "cwECE*", 4),
    Column("cwece", "cwECE", 4),
]
DISTILLED = [column for column in METRICS if not column.name.startswith("accuracy_")]
TUNED = [Column("temperature", "$T$", 3), Column("epsilon", r"$\epsilon$", 3)]
TEACHER = [
    Column("teacher_temperature", "$T$ teacher", 2),
    Column("p1", "$P_1$", 3),
    Column("p2", "$P_2$", 2),
]
Row = tuple[str, str | None, Mapping[str, Any]]  # title, model, {column: printed value}

COLUMNS = {  # of each of the paper's tables
    "1": METRICS + TUNED,
    "2": DISTILLED,
    "5": [TUNED[0], Column("validation_ce", "CE val.", 4), *METRICS, TUNED[1], *TEACHER],
    "6": DISTILLED,
}
# The paper's heads where ours differ. Its cwECE is not Eq. 2, and its Table V has P1 and P2 the
# wrong way round.
HEADS = paper.PRINTED | {"validation_loss": "validation_ce", "p1": "p2", "p2": "p1"}


def read_models(replicates: Mapping[str, Iterable[str | Path]]) -> pd.DataFrame:
    """Return the selected models of all replicates as one table; replicates: {setup: csv files}."""
    return pd.concat(
        [
            read_csv(path, ["replicate", "model"]).assign(setup=setup)
            for setup, paths in replicates.items()
            for path in paths
        ]
    )


def on_grid(p1: float, p2: float) -> str:
    """The name of an ILS1 student of Figure 11's grid among the models."""
    return f"ILS1 at {p1:g}, {p2:g}"


def with_figures(
    models: pd.DataFrame,
    paths: Iterable[str | Path],
    long_grid: Mapping[str, Sequence[float]],
) -> pd.DataFrame:
    """Return the models of one setup with what its figures show, from the files at `paths`.

    Figure 2: how far the distributions of probabilities are from the Bayes-optimal ones,
    `distance_highest`, ... of the models that it shows. Figure 11: the test cross-entropy of each
    point of `long_grid` as one more model.
    """
    arrays, numbers = stacked(paths), models["replicate"].unique()
    for name in HISTOGRAM_MODELS:
        for kind in HISTOGRAM_KINDS:
            distances = dict(zip(numbers, distance_from_bayes(arrays["histogram"], kind, name)))
            shown = models["model"] == name
            models.loc[shown, f"distance_{kind}"] = models.loc[shown, "replicate"].map(distances)
    if "long_grid" not in arrays:
        return models
    points = [on_grid(p1, p2) for p1 in long_grid["p1"] for p2 in long_grid["p2"]]
    losses = pd.DataFrame(arrays["long_grid"].reshape(len(numbers), -1), numbers, points)
    rows = (
        losses.rename_axis("replicate")
        .reset_index()
        .melt("replicate", var_name="model", value_name="cross_entropy")
    )
    return pd.concat([models, rows], ignore_index=True)


def with_setups(models: pd.DataFrame, others: Mapping[str, Iterable[str | Path]]) -> pd.DataFrame:
    """Return the models of one setup and those of others, {setup: csv files}, as "model in setup".

    They are compared replicate by replicate: a replicate's training sample is the same in all.
    """
    if not others:
        return models
    more = read_models(others)
    named = more.assign(model=more["model"] + " in " + more["setup"]).drop(columns="setup")
    return pd.concat([models, named], ignore_index=True)


def read_printed(path: str | Path, methods: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of a printed table; the model is None for one that we do not have.

    methods: config entries, whose labels are the paper's.
    """
    names = {"Bayes-Optimal": "bayes"} | {method["label"]: method["name"] for method in methods}
    rows: list[Row] = []
    for _, printed in read_csv(path).rename(columns=HEADS).iterrows():
        title = printed["teacher"] if "teacher" in printed else printed["method"]
        model = names.get(title)
        if "teacher" in printed:
            model = model and f"from {model}"
            title = f"Taught by {title}"
        elif printed["temperature_scaling"] == "Yes":
            model, title = model and f"{model}+temps", f"{title}+TempS"
        elif (part := printed.get("validation_set", "all")) != "all":
            model, title = model and f"{model} {part}", f"{title}, tuned on the {part} part"
        rows.append((title, model, printed))
    return rows


def printed_synthetic(tables: Iterable[str | Path]) -> dict[str | None, dict[str, Any]]:
    """{model: {column: value}} of the printed Tables I, II, V and VI."""
    names = {
        "No LS": "no_ls",
        "Standard LS": "ls",
        "Standard LS-0.2": "ls_0.2",
        "ILS1": "ils1",
        "ILS2": "ils2",
        "ILS": "ils",
    }
    methods = [{"label": label, "name": name} for label, name in names.items()]
    values: dict[str | None, dict[str, Any]] = {}
    for _, model, printed in (row for table in tables for row in read_printed(table, methods)):
        values.setdefault(model, {}).update(
            {key: value for key, value in printed.items() if pd.notna(value)}
        )
    return values


def printed_distillation(path: str | Path) -> dict[str, dict[str, dict[str, float]]]:
    """{teacher and dataset: {mode: {column: value}}} of the printed Table IV."""
    rows = read_csv(path).set_index(["teacher", "dataset"]).iterrows()
    modes = ("no_ls", "ls", "ils")
    return {
        " ".join(pair): {
            m: {"cross_entropy": row[f"ce_{m}"], "accuracy": row[f"acc_{m}"]} for m in modes
        }
        for pair, row in rows
    }


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean of replicates (n,) and its standard error, s / sqrt(n) with s over n - 1."""
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))


def compare(models: pd.DataFrame, rows: Sequence[Row], columns: Sequence[Column]) -> pd.DataFrame:
    """Compare `models`, one row a setup, replicate and model, with printed rows.

    Returns a table with one row per setup, title and column: mean, standard_error, printed (nan
    where the paper has no such number), and whether the two differ: by more than two of our
    standard errors (`differs`), and by more than two standard errors of a difference between two
    such means (`differs_clearly`), as the paper averages 100 replicates too.
    """
    cells = []
    for setup, replicates in models.groupby("setup", sort=False):
        by_model = dict(list(replicates.groupby("model")))
        for (title, model, printed), column in product(rows, columns):
            if model not in by_model or by_model[model][column.name].isna().all():
                continue
            values = column.scale * by_model[model][column.name].to_numpy(float)
            mean, error = mean_and_error(values)
            value = float(printed.get(column.name, np.nan))
            apart = abs(mean - value) - 1e-9
            differs = apart > 2 * error, apart > 2 * 2**0.5 * error
            cells.append([setup, title, column.name, mean, error, value, *differs])
    names = ["setup", "row", "column", "mean", "standard_error", "printed"]
    return pd.DataFrame(cells, columns=[*names, "differs", "differs_clearly"])


def paired_differences(
    models: pd.DataFrame, pairs: Sequence[tuple[str, str]], columns: Sequence[Column]
) -> pd.DataFrame:
    """Return per setup, pair (a, b) and column the mean and standard error of a - b.

    The difference is taken within each replicate; it is `significant` beyond two standard errors.
    """
    differences = []
    for setup, replicates in models.groupby("setup", sort=False):
        for (a, b), column in product(pairs, columns):
            wide = replicates.pivot(index="replicate", columns="model", values=column.name)
            if {a, b} <= set(wide.columns):
                mean, error = mean_and_error(column.scale * (wide[a] - wide[b]).to_numpy())
                significant = bool(abs(mean) > 2 * error)
                differences.append([setup, f"{a} - {b}", column.name, mean, error, significant])
    names = ["setup", "difference", "column", "mean", "standard_error", "significant"]
    return pd.DataFrame(differences, columns=names)
