"""What readers get: the tables and figures of a study by name, and where report and document show
them."""

from typing import Any, NamedTuple

from ils import paper
from ils.plan.metrics import Metric, metrics
from ils.plan.paths import CURVES, MODELS, SUMS, files
from ils.plan.plan import Plan

SUMMARY, TABLE_III = "1. Summary", "2. Table III"
SYNTHETIC_STUDY, TABLE_IV = "3. Synthetic study", "4. Distillation"
PUBLISHED, CALIBRATION = "5. Published numbers", "6. Calibration"
HYPERPARAMETERS, TRAINING = "7. Hyperparameters", "8. Training"

STUDIES = ["", "published/"]  # this run's numbers, and the paper's printed ones
POOLS = {"all": "", "alone": "_alone"}  # with, and without the calibrated columns
RANKINGS = {
    "ranks": "Ranks",
    "average_ranks": "Average ranks",
    "friedman": "Friedman's tests",
    "pairwise": "Pairwise tests",
}
NUMERALS = {"1": "I", "2": "II", "5": "V", "6": "VI"}  # tables of the synthetic study
FIGURES = {  # of the synthetic study, and what each shows
    "fig01": "density, a training sample",
    "fig02a": "highest probability, No LS",
    "fig02b": "highest probability, LS",
    "fig02c": "other probabilities, No LS",
    "fig02d": "other probabilities, LS",
    "fig04": "best epsilon",
    "fig05": "density, drawn apart",
    "fig06": "best epsilon, Bayes-optimal",
    "fig07": "best epsilon, No LS+TempS",
    "fig08": "true class's probability",
    "fig09": "best epsilon, real tables",
    "fig10": "true class's probability, real tables",
    "fig11": "loss over P1 and P2",
}
TABULAR_FIGURES = ["fig09", "fig10"]
DECISIONS = {"forest": "Headline comparisons", "claim_bars": "Claims at a glance"}  # figures
PAIR_FIGURES = {
    "reliability": (CALIBRATION, "Confidence (Eq. 1)"),
    "classwise": (CALIBRATION, "Classwise (Eq. 2)"),
    "grids": (HYPERPARAMETERS, "Grids"),
    "training": (TRAINING, "Curves"),
}


class Shown(NamedTuple):
    """Where results/report.html shows a file: its place, the name of its caption, its columns."""

    category: Any
    subcategory: str | None
    caption: str
    labels: dict[str, str]

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of Snakemake's report()."""
        return self._asdict() | {"caption": f"../report/{self.caption}.rst"}


Outputs = dict[str, Shown | None]  # {path: where it is shown}


def drawn(figures: dict[str, Shown]) -> Outputs:
    """The PDFs and then the PNGs of figures under results/; the report shows the PNGs."""
    pdfs: Outputs = {f"results/{name}.pdf": None for name in figures}
    return pdfs | {f"results/{name}.png": shown for name, shown in figures.items()}


class Diagram(NamedTuple):
    """A critical-difference diagram: of which metric, over which pool of methods, and its file."""

    metric: Metric
    pool: str
    name: str

    @property
    def shown(self) -> Shown:
        """Its place in the report, in this run's part or that of the printed numbers."""
        columns = {"all": "with calibrators", "alone": "without calibrators"}[self.pool]
        figure = self.name[3:5] if self.name.startswith("fig") else "own"
        labels = {"Figure": figure, "Metric": self.metric.plain, "Columns": columns}
        part, caption = "Critical-difference diagrams", "critical_difference"
        return Shown(lambda w: PUBLISHED if w.get("study") else TABLE_III, part, caption, labels)


def in_study(study: str, metric: Metric) -> Metric:
    """A metric as a study has it: the paper's cwECE is not Eq. 2, and goes by another name."""
    return metrics()[paper.PRINTED.get(metric.name, metric.name)] if study else metric


class Artefacts:
    """The tables and figures of one plan."""

    def __init__(self, plan: Plan, config_file: str):
        self.plan = plan
        self.synthetic, self.distillation = bool(plan.synthetic), bool(plan.distillation)
        self.sources = {
            "": f"averages over {plan.seeds_in_words} of {config_file}",
            "published/": "the values that the paper prints, ranked again",
        }
        self.ranked_by = {figure: metrics()[name] for figure, name in paper.DIAGRAMS.items()}
        self.own = {  # diagrams of metrics that the paper has none of
            f"cd_{metric.name}": metric
            for metric in plan.shown
            if metric not in self.ranked_by.values()
        }

    def caption(self, name: str) -> str:
        """The name of the sentence that says what an artefact shows, a file of workflow/report/."""
        ranked = name in self.ranked_by or name in self.own
        return "critical_difference" if ranked else name.rpartition("/")[2]

    def table3(self, study: str) -> tuple[Metric, ...]:
        """The metrics of a study's Table III: the paper's in the paper's."""
        paper_has = [metrics()[name] for name in paper.TABLE_III]
        shown = paper_has if study else self.plan.shown
        return tuple(in_study(study, metric) for metric in shown)

    @staticmethod
    def diagrams_of(figures: dict[str, Metric]) -> list[Diagram]:
        """The diagrams of {figure: metric}, each over both pools."""
        pools = POOLS.items()
        return [
            Diagram(m, pool, name + ending) for name, m in figures.items() for pool, ending in pools
        ]

    def diagrams(self) -> Outputs:
        """The critical-difference diagrams of a study that the paper has, too."""
        names = {d.name: d.shown for d in self.diagrams_of(self.ranked_by)}
        return drawn({f"{{study}}figures/{name}": shown for name, shown in names.items()})

    def own_diagrams(self) -> Outputs:
        """Those of this run's further metrics."""
        return drawn({f"figures/{d.name}": d.shown for d in self.diagrams_of(self.own)})

    def drawn_by(self, study: str, figures: dict[str, Metric]) -> tuple[tuple[Metric, str], ...]:
        """The metric and pool of each diagram's PDF, and then of each PNG."""
        diagrams = self.diagrams_of(figures)
        return 2 * tuple((in_study(study, d.metric), d.pool) for d in diagrams)

    def decision_figures(self) -> Outputs:
        """What the run decides: the headline comparisons, and the claims."""
        return drawn(
            {
                f"figures/{name}": Shown(SUMMARY, None, name, {"Table": title})
                for name, title in DECISIONS.items()
            }
        )

    def pair_figures(self, *kinds: str) -> Outputs:
        """The figures of all pairs, of some kinds."""
        figures = {}
        for kind in kinds:
            for cell, *_ in self.plan.drawn_pairs:
                labels = {"Dataset": cell.dataset, "Network": cell.network}
                path = f"figures/{kind}/{cell.dataset}_{cell.network}"
                figures[path] = Shown(*PAIR_FIGURES[kind], kind, labels)
        return drawn(figures)

    def budget(self) -> Outputs:
        """The figure of what each column reaches with so many trainings."""
        labels = {"Figure": "expected cross-entropy", "Columns": "all, and controls"}
        place = Shown(HYPERPARAMETERS, "Equal budget", "budget", labels)
        return drawn({"figures/budget": place})

    def synthetic_figures(self, tabular: bool) -> Outputs:
        """The figures of the synthetic study, those of real tables or the others."""
        figures = {}
        for name, shows in FIGURES.items():
            if (name in TABULAR_FIGURES) == tabular:
                labels = {"Figure": name[3:], "Shows": shows}
                place = Shown(SYNTHETIC_STUDY, "Figures", name[:5], labels)
                figures[f"figures/{name}"] = place
        return drawn(figures)

    @property
    def pages(self) -> dict[str, Shown]:
        """{csv file under results/, without its ending: where it is shown as a page}."""
        titles = {
            "claims": (SUMMARY, "Claims and verdicts"),
            "comparisons": (SUMMARY, "All comparisons"),
            "power": (SUMMARY, "Differences that this study finds"),
            "variance": (SUMMARY, "Sources of variance"),
            "table3": (TABLE_III, "Table III"),
            "metrics": (TABLE_III, "Metrics of every cell"),
            "intervals": (TABLE_III, "Errors and intervals"),
            "published/table3": (PUBLISHED, "Table III, ranked again"),
            "published/discrepancies": (PUBLISHED, "Contradictions"),
        }
        if self.distillation:
            titles["table4"] = TABLE_IV, "Table IV"
            titles["distillation"] = TABLE_IV, "Metrics of every student"
            titles["distillation_intervals"] = TABLE_IV, "Errors and intervals"
        tables = [name for name in RANKINGS if name != "ranks"]
        titles |= {name: (TABLE_III, RANKINGS[name]) for name in tables}
        titles |= {f"published/{name}": (PUBLISHED, RANKINGS[name]) for name in tables}
        if self.synthetic:
            titles |= {f"table{n}": (SYNTHETIC_STUDY, f"Table {NUMERALS[n]}") for n in NUMERALS}
            titles["synthetic_differences"] = SYNTHETIC_STUDY, "Paired differences"
        return {
            name: Shown(
                category,
                None if category == SUMMARY else "Tables",
                self.caption(name),
                {"Table": title},
            )
            for name, (category, title) in titles.items()
        }

    @staticmethod
    def summary(title: str, name: str) -> Shown:
        """The place of a page on the report's first category."""
        return Shown(SUMMARY, None, name, {"Table": title})

    @property
    def page_titles(self) -> list[str]:
        """The headings of the pages."""
        pages = self.pages.items()
        printed = {name: " (printed values)" * name.startswith("published/") for name in self.pages}
        return [shown.labels["Table"] + printed[name] for name, shown in pages]

    @property
    def drawings(self) -> dict[str, list[str]]:
        """The document's figures, {artefact: files under results/ without their ending}."""
        drawings = {name: [f"figures/{name}"] for name in (*DECISIONS, "budget")}
        drawings |= {
            figure: [f"{s}figures/{figure}{ending}" for ending in POOLS.values() for s in STUDIES]
            for figure in self.ranked_by
        }
        drawings |= {
            figure: [f"figures/{figure}{ending}" for ending in POOLS.values()]
            for figure in self.own
        }
        for name in FIGURES if self.synthetic else ():
            drawings.setdefault(name[:5], []).append(f"figures/{name}")
        return drawings

    @property
    def typeset(self) -> list[str]:
        """The document's tables, files under results/ without their ending."""
        return ["claims", "table3", "table3_long", "published/table3", *self._beside_table3]

    @property
    def summed_up(self) -> list[str]:
        """The tables that the run's summary holds, files under results/ without their ending."""
        tables = ["claims", "comparisons", "power", "variance", "average_ranks", "friedman"]
        return tables + self._beside_table3

    @property
    def _beside_table3(self) -> list[str]:
        """The paper's other tables, as far as the plan has them."""
        synthetic = [*(f"table{n}" for n in NUMERALS), "synthetic_differences"]
        return synthetic * self.synthetic + ["table4"] * self.distillation

    def files_of_claims(self) -> dict[str, Any]:
        """What the claims are checked on beside ranks: synthetic models, distilled students."""
        inputs: dict[str, Any] = {}
        if self.distillation:
            inputs["distillation"] = "results/distillation.csv"
        if synthetic := self.plan.synthetic:
            others = [name for names in synthetic.others.values() for name in names]
            inputs |= synthetic.files(MODELS, [*synthetic.tables, *others])
            inputs |= synthetic.files(SUMS, synthetic.tables, "arrays_{}")
        return inputs

    def files_of_sentences(self) -> dict[str, Any]:
        """What the document's sentences on the synthetic study are computed from."""
        synthetic = self.plan.synthetic
        if not synthetic:
            return {}
        return synthetic.files(SUMS, synthetic.setups, "arrays_{}") | {
            "tables": [f"results/table{n}.csv" for n in synthetic.numbers],
            "differences": "results/synthetic_differences.csv",
            "models": files(MODELS, synthetic.replicates(synthetic.shown)),
            "curves": [CURVES.format(dataset=name) for name in synthetic.datasets],
        }

    @property
    def outputs(self) -> list[str]:
        """All files under results/ that `all` makes but the report's."""
        made = ["metrics.csv", "budget.csv", "equal_budget.csv", "published/discrepancies.csv"]
        tables = [*self.typeset, *(["distillation"] if self.distillation else [])]
        made += [f"{name}.{kind}" for name in tables for kind in ("tex", "csv")]
        made = [name for name in made if name not in ("distillation.tex", "table3_long.csv")]
        diagrams = self.diagrams_of(self.ranked_by)
        figures = [f"{study}figures/{d.name}" for study in STUDIES for d in diagrams]
        figures += [f"figures/{d.name}" for d in self.diagrams_of(self.own)]
        figures += [f"figures/{name}" for name in (*DECISIONS, "budget")]
        drawn = [cells[0] for cells in self.plan.drawn_pairs]
        figures += [f"figures/{k}/{c.dataset}_{c.network}" for k in PAIR_FIGURES for c in drawn]
        if self.synthetic:
            figures += [f"figures/{name}" for name in FIGURES]
        return made + [f"{name}.{kind}" for name in figures for kind in ("pdf", "png")]
