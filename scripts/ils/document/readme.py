"""What a run fills of README.md: what it found in words, and its picture, docs/forest.svg."""

import re
from pathlib import Path

from matplotlib.figure import Figure

from ils.document.page_numbers import Page
from ils.errors import UserError
from ils.figures.decision import forest
from ils.files import read_csv
from ils.plan.metrics import metrics
from ils.statistics.datasets import Datasets

README, PICTURE = "README.md", "docs/forest.svg"
START, END = "<!-- made by `make page`: -->\n", "<!-- until here -->\n"
METRICS = "cross_entropy", "ece"  # in the picture


def fill(readme: str, page: Page) -> str:
    """The README with what the run of `page` found between the marks, and where it comes from."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError(
            f"{README}: lacks the lines {START.strip()} and {END.strip()}, between which it says "
            "what the default run found; put them back"
        )
    sentences = re.split(r"(?<=\.) (?=[A-Z0-9])", page.found)
    ran = f"`config/{page.ran['config_file']}`, run on {page.ran['date']} at commit {page.commit}"
    lines = (f"- {sentence}\n" for sentence in sentences)
    return f"{before}{start}{ran}:\n\n{''.join(lines)}{end}{after}"


def picture(folder: Path) -> Figure:
    """The forest plot of a run's headline pairs by METRICS, of the tables in its folder."""
    table = read_csv(folder / "comparisons.csv")
    datasets = Datasets(read_csv(folder / "metrics.csv"), [metrics()[name] for name in METRICS])
    shown = table["headline"] & table["trainings"].isna() & table["metric"].isin(METRICS)
    table = table[shown]
    pairs = table[["metric", "better", "worse"]].itertuples(index=False, name=None)
    gains = [datasets.gains(*pair).to_numpy() for pair in pairs]
    return forest(table.assign(gains=gains), list(datasets.metrics.values()))
