"""What REPRODUCTION.md says in numbers, looked up in summaries of runs, and how it writes them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ils.document.claims import TITLES, counts
from ils.document.run_summary import unpacked
from ils.document.tables import decimals_of
from ils.errors import UserError
from ils.paper import TABLE_III
from ils.plan.metrics import metrics
from ils.statistics import distillation
from ils.statistics.claims import CLAIMS
from ils.statistics.comparison import COLUMNS
from ils.statistics.comparison import METRICS as SYNTHETIC
from ils.statistics.decision import as_difference

KEY = ["better", "worse", "metric"]


class Number(NamedTuple):
    """A mean, its standard error or nan, the printed value or nan, whether the two differ by more
    than two standard errors, and clearly; decimals to show."""

    mean: float
    error: float
    printed: float
    differs: bool
    clearly: bool
    decimals: int


def pm(number: Number, sign: str = "") -> str:
    """ "0.0425 ± 0.0013", the mean alone where it has no error or one of 0; sign: "+" shows it."""
    mean = minus(f"{number.mean:{sign}.{number.decimals}f}")
    return f"{mean} ± {number.error:.{number.decimals}f}" if number.error > 0 else mean


def paired(number: Number) -> str:
    """A difference with its sign and error, bold where it is clearly none of 0."""
    text = pm(number, "+")
    return f"**{text}**" if number.clearly else text


def marked(cells: Mapping[str, Mapping[str, Number]], mark: str) -> int:
    """How many numbers of a table, {row: {column: number}}, have a mark: differs or clearly."""
    return sum(getattr(number, mark) for row in cells.values() for number in row.values())


def gain(row: Any) -> str:
    """A headline comparison: the difference better - worse, its 95 % interval and verdict."""
    digits = metrics()[row.metric].digits
    value, low, high = (signed(x, digits) for x in less(row, "estimate", "low", "high"))
    return f"{value} [{low}, {high}] {row.verdict}"


def less(row: Any, value: str, low: str, high: str) -> tuple[float, float, float]:
    """A gain and the ends of its interval as differences better - worse; accuracy in points."""
    metric = metrics()[row.metric]
    gains = (metric.factor * getattr(row, name) for name in (value, low, high))
    return as_difference(*gains, higher_is_better=metric.higher_is_better)


def signed(value: float, decimals: int) -> str:
    """ "+0.0055" or "−0.0055"; "–" for nan."""
    return "–" if math.isnan(value) else minus(f"{value + 0.0:+.{decimals}f}")


def minus(text: str) -> str:
    """A number with a minus sign instead of a hyphen."""
    return text.replace("-", "−")


def only(table: pd.DataFrame, name: str, **where: Any) -> Any:
    """The one row of a table with these values; UserError where there is none, or more."""
    chosen = table[np.logical_and.reduce([table[key] == value for key, value in where.items()])]
    if len(chosen) != 1:
        words = ", ".join(f"{key} {value}" for key, value in where.items())
        raise UserError(
            f"{name} of the summary: {len(chosen)} rows with {words}, not one; take the summary of "
            "a run of config/config.yaml, or correct docs/reproduction.md.j2"
        )
    return next(chosen.itertuples())


def study_title(study: str) -> str:
    """A study of the ledger as the page calls it: "printed", "this run" or the setup."""
    return "printed" if study == "paper" else study.removeprefix("this run, ")


def judged(row: Any) -> str:
    """The verdict on a claim, with its counts."""
    return row.verdict + counts(row)


class Page:
    """The numbers of one run, for the template."""

    def __init__(self, summary: Mapping[str, Any]):
        self.summary = summary
        self.ran, self.found = summary["ran"], summary["found"]
        self.tables: dict[str, pd.DataFrame] = {}
        claims = self.table("claims")
        texts = [judged(row) for row in claims.itertuples()]
        self.claims = claims.assign(text=texts).set_index(["study", "claim"])
        compared = self.table("comparisons")
        self.equal_budgets = compared[compared["trainings"].notna()]
        self.headline = compared[compared["trainings"].isna()]

    def table(self, name: str) -> pd.DataFrame:
        """A table of the summary."""
        if name not in self.tables:
            self.tables[name] = unpacked(self.summary["tables"], name)
        return self.tables[name]

    @property
    def commit(self) -> str:
        """The first digits of the commit that ran; "+" where files differed from it."""
        commit = self.ran["commit"] or "unknown"
        return commit[:8] + "+" * commit.endswith("+")

    def row(self, name: str, **where: Any) -> Any:
        """The one row of a table with these values."""
        return only(self.table(name), name, **where)

    def verdict(self, claim: str, study: str = "this run") -> str:
        """The verdict on a claim in a study, with its counts."""
        return judged(self.row("claims", claim=claim, study=study))

    def ledger(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Of each kind of claim: title, studies, and rows of a statement and its verdicts."""
        for kind, title in TITLES.items():
            claims = [c for c in CLAIMS if c.checked_on == kind]
            names = [claim.name for claim in claims]
            of_kind = self.claims[self.claims.index.isin(names, level="claim")]
            studies = list(of_kind.index.unique("study"))
            texts = of_kind["text"].unstack("study").reindex(names)[studies].fillna("not measured")
            rows = [[c.statement, *row] for c, row in zip(claims, texts.to_numpy().tolist())]
            yield title, [study_title(s) for s in studies], rows

    def pairs(self) -> list[tuple[str, str]]:
        """The headline pairs [better, worse]."""
        return list(dict.fromkeys(zip(self.headline["better"], self.headline["worse"])))

    def compared(self, better: str, worse: str, metric: str) -> Any:
        """The row of a headline comparison."""
        where = {"better": better, "worse": worse, "metric": metric}
        return only(self.headline, "comparisons", **where)

    def smallest(self, better: str, worse: str, metric: str) -> str:
        """The smallest difference of a pair that such a study finds in 80 % of the cases."""
        row = self.row("power", better=better, worse=worse, metric=metric)
        size = metrics()[metric].factor * row.smallest_found
        return "none" if math.isnan(size) else f"{size:.{metrics()[metric].digits}f}"

    def new(self, better: str, worse: str) -> str:
        """Where the difference of cross-entropy on one more dataset is expected."""
        row = self.compared(better, worse, "cross_entropy")
        _, low, high = (signed(x, 3) for x in less(row, "estimate", "new_low", "new_high"))
        return f"[{low}, {high}]"

    def average_ranks(self) -> dict[str, dict[str, float]]:
        """{method: {metric: average rank}}, and the critical differences as one method more."""
        ranked = self.table("average_ranks").pivot(
            index="method", columns="metric", values="average_rank"
        )
        tests = self.table("friedman").set_index("metric")
        ranked = ranked.sort_values("cross_entropy", kind="stable")
        ranked.loc["critical difference"] = tests["critical_difference"]
        return ranked[list(TABLE_III)].T.to_dict()

    def variances(self) -> dict[str, dict[str, float]]:
        """{source: {metric: the standard deviation that it adds, nan where that is unknown}}."""
        table = self.table("variance")
        wide = table.pivot(index="source", columns="metric", values="variance")
        return (wide**0.5).loc[table["source"].unique(), list(TABLE_III)].T.to_dict()

    def cell(self, table: str, setup: str, row: str, column: str) -> Number:
        """A cell of Table I, II, V or VI, by its number in Arabic figures."""
        found = self.row(f"table{table}", setup=setup, row=row, column=column)
        return self.number(table, found)

    @staticmethod
    def number(table: str, row: Any) -> Number:
        """A row of a table's csv file as a number."""
        decimals = next(c.decimals for c in COLUMNS[table] if c.name == row.column)
        marks = bool(row.differs), bool(row.differs_clearly)
        return Number(row.mean, row.standard_error, row.printed, *marks, decimals)

    def printed_difference(self, rows: Sequence[str], column: str) -> str:
        """The difference of two rows of the printed Table V."""
        setup = self.table("table5")["setup"].iloc[0]
        a, b = (self.cell("5", setup, row, column) for row in rows)
        return signed(a.printed - b.printed, a.decimals)

    def printed_cells(self, table: str, setup: str) -> dict[str, dict[str, Number]]:
        """{row: {column: number}} of the cells that the paper prints."""
        cells: dict[str, dict[str, Number]] = {}
        for row in self.table(f"table{table}").query("setup == @setup").itertuples():
            if not math.isnan(row.printed):
                cells.setdefault(row.row, {})[row.column] = self.number(table, row)
        return cells

    def difference(self, setup: str, pair: str, column: str) -> Number:
        """A paired difference of the synthetic study, such as "ls - no_ls"."""
        row = self.row("synthetic_differences", setup=setup, difference=pair, column=column)
        decimals = next(c.decimals for c in SYNTHETIC if c.name == column)
        clear = bool(row.significant)
        return Number(row.mean, row.standard_error, math.nan, clear, clear, decimals)

    def distilled(self) -> Iterator[tuple[str, str, str, dict[str, list[Number]]]]:
        """Of each pair of this run's Table IV: network, dataset, student, {column: numbers}, one
        number a teacher."""
        table = self.table("table4").query("seeds > 0")
        for (network, dataset, student), rows in table.groupby(
            [*distillation.PAIR, "student"], sort=False
        ):
            numbers: dict[str, list[Number]] = {}
            for column, cells in rows.groupby("column", sort=False):
                decimals = decimals_of(cells["standard_error"], metrics()[column].digits)
                numbers[column] = [
                    Number(c.mean, c.standard_error, c.printed, False, False, decimals)
                    for c in cells.itertuples()
                ]
            yield network, dataset, student, numbers


class Other(Page):
    """A run that is compared with the default run, `default`."""

    def __init__(self, name: str, summary: Mapping[str, Any], default: Page):
        super().__init__(summary)
        self.name, self.default = name, default

    def changed_claims(self) -> list[tuple[str, str, str, str]]:
        """Claims with another verdict: (statement, study, the verdict by default, the one here)."""
        statements = {claim.name: claim.statement for claim in CLAIMS}
        both = self.default.claims.join(self.claims, how="inner", rsuffix="_here").reset_index()
        changed = both[both["verdict"] != both["verdict_here"]]
        return [
            (statements[row.claim], study_title(row.study), row.text, row.text_here)
            for row in changed.itertuples()
        ]

    def changed_gains(self) -> list[tuple[str, Any, Any]]:
        """Headline comparisons with another verdict: (metric, the row by default, the one here)."""
        pairs = self.headline[self.headline["metric"].isin(TABLE_III)]
        rows = ((self.default.compared(*row[KEY]), row) for _, row in pairs.iterrows())
        return [
            (metrics()[here.metric].title, above, here)
            for above, here in rows
            if above.verdict != here.verdict
        ]
