"""REPRODUCTION.md, filled from the summaries of runs: `make page`.

    python -m ils.document.reproduction_page [--default FILE] [--other NAME FILE]

fills docs/reproduction.md.j2 with docs/default_run.json, the summary of a run of
config/config.yaml, and docs/other_runs.json, what else was run to compare. --default takes the
first from a finished run's results/summary.json; --other adds a run to the second, or replaces the
one of that name.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ils.document.page_numbers import Other, Page, gain, marked, paired, pm
from ils.document.run_summary import brief, save
from ils.errors import UserError
from ils.files import load_json, write_text
from ils.paper import TABLE_III

ROOT = Path(__file__).parents[3]
CONFIG = "config.yaml"
DEFAULT, OTHERS = "docs/default_run.json", "docs/other_runs.json"
TEMPLATE, PAGE = "docs/reproduction.md.j2", "REPRODUCTION.md"
FILTERS = {"pm": pm, "paired": paired, "gain": gain, "marked": marked}


def render(template: str, default: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """The page; others: {name: brief summary}. UserError names what the template asks in vain."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    page = Page(default)
    runs = [Other(name, run, page) for name, run in others.items()]
    try:
        text = environment.from_string(template).render(page=page, others=runs, metrics=TABLE_III)
    except jinja2.TemplateError as error:
        line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise UserError(
            f"{TEMPLATE}{line}: {error.message}; correct it there or in ils.document.page_numbers"
        ) from error
    return text.rstrip() + "\n"


def rendered(root: Path = ROOT) -> str:
    """The page of the committed files."""
    others = load_json(root / OTHERS) if (root / OTHERS).exists() else {}
    template = (root / TEMPLATE).read_text(encoding="utf-8")
    return render(template, load_json(root / DEFAULT), others)


def take_default(path: str, root: Path = ROOT) -> None:
    """Make a run's summary the default run's."""
    summary = load_json(path)
    if (config := summary["ran"]["config_file"]) != CONFIG:
        raise UserError(
            f"{path}: a run of {config}, and the page is about one of {CONFIG}; "
            "give that one's summary, or --other NAME FILE to compare with it"
        )
    save(root / DEFAULT, summary)


def add_other(name: str, path: str, root: Path = ROOT) -> None:
    """Add a run under a name, such as "AVX2 kernels", to those that are compared."""
    others = dict(load_json(root / OTHERS)) if (root / OTHERS).exists() else {}
    save(root / OTHERS, others | {name: brief(load_json(path))})


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """Take what the arguments name, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--default", metavar="FILE", help="the default run's results/summary.json")
    parser.add_argument("--other", nargs=2, metavar=("NAME", "FILE"), help="a run to compare")
    given = parser.parse_args(arguments)
    try:
        if given.default:
            take_default(given.default, root)
        if given.other:
            name, path = given.other
            add_other(name, path, root)
        write_text(root / PAGE, rendered(root))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
