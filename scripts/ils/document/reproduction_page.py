"""REPRODUCTION.md, and what README.md says of the default run, filled from runs: `make page`.

    python -m ils.document.reproduction_page [--run FILE] [--other NAME FILE]

fills docs/reproduction.md.j2 with the summaries of runs of config/config.yaml and
config/beyond.yaml, docs/default_run.json and docs/beyond_run.json, and with
docs/other_runs.json, what else was run to compare. --run takes one of the first two from a finished
run's results/summary.json; of config/config.yaml it draws docs/forest.svg, too, from the tables
beside it. --other adds a run to the last, or replaces the one of that name.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import jinja2

from ils.document.page_numbers import Other, Page, gain, marked, paired, pm
from ils.document.readme import PICTURE, README, fill, picture
from ils.document.run_summary import brief, save
from ils.errors import UserError
from ils.figures import style
from ils.files import load_json, write_text
from ils.paper import TABLE_III

ROOT = Path(__file__).parents[3]
RUNS = {"config.yaml": "docs/default_run.json", "beyond.yaml": "docs/beyond_run.json"}
OTHERS = "docs/other_runs.json"
DEFAULT = RUNS["config.yaml"]
TEMPLATE, PAGE = "docs/reproduction.md.j2", "REPRODUCTION.md"
FILTERS = {"pm": pm, "paired": paired, "gain": gain, "marked": marked}


def render(
    template: str,
    default: Mapping[str, Any],
    others: Mapping[str, Any],
    beyond: Mapping[str, Any] | None = None,
) -> str:
    """The page of the summaries; others: {name: brief summary}; without that of config/beyond.yaml
    it has no section on it. UserError names what the template asks in vain."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    page = Page(default)
    runs = [Other(name, run, page) for name, run in others.items()]
    pages = {"page": page, "others": runs, "beyond": Page(beyond) if beyond else None}
    try:
        text = environment.from_string(template).render(**pages, metrics=TABLE_III)
    except jinja2.TemplateError as error:
        line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise UserError(
            f"{TEMPLATE}{line}: {error.message}; correct it there or in ils.document.page_numbers"
        ) from error
    return text.rstrip() + "\n"


def rendered(root: Path = ROOT) -> str:
    """The page of the committed files."""
    template = (root / TEMPLATE).read_text(encoding="utf-8")
    default, beyond = (kept(root / path) for path in RUNS.values())
    return render(template, default, kept(root / OTHERS), beyond)


def readme(root: Path = ROOT) -> str:
    """README.md with what the committed default run found."""
    return fill((root / README).read_text(encoding="utf-8"), Page(load_json(root / DEFAULT)))


def kept(path: Path) -> dict[str, Any]:
    """What a committed file of summaries holds; nothing where there is none."""
    return load_json(path) if path.exists() else {}


def take_run(path: str, root: Path = ROOT) -> None:
    """Keep a run's summary, with the day on which it was written, as that of its config."""
    summary = load_json(path)
    if (config := summary["ran"]["config_file"]) not in RUNS:
        raise UserError(
            f"{path}: a run of {config}, and the page is about those of {' and '.join(RUNS)}; "
            "give one of theirs, or --other NAME FILE to compare with the default run"
        )
    summary["ran"]["date"] = date.fromtimestamp(Path(path).stat().st_mtime).isoformat()
    if RUNS[config] == DEFAULT:
        style.save(picture(Path(path).parent), root / PICTURE)
    save(root / RUNS[config], summary)


def add_other(name: str, path: str, root: Path = ROOT) -> None:
    """Add a run under a name, such as "AVX2 kernels", to those that are compared."""
    save(root / OTHERS, kept(root / OTHERS) | {name: brief(load_json(path))})


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """Take what the arguments name, and write the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", metavar="FILE", help="a run's results/summary.json")
    parser.add_argument("--other", nargs=2, metavar=("NAME", "FILE"), help="a run to compare")
    given = parser.parse_args(arguments)
    try:
        if given.run:
            take_run(given.run, root)
        if given.other:
            name, path = given.other
            add_other(name, path, root)
        write_text(root / PAGE, rendered(root))
        write_text(root / README, readme(root))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
