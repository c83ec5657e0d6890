"""Whose tables stand in results/: those of another study go aside before this one's jobs run.

Students, logits and what else lies between data and tables stay where they are: what another study
trained in the same way is taken over.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

STUDY = "study.json"
ASIDE = "before"  # the folder under results/
SHOWN = "figures", "pages", "published"  # folders that readers look into, beside results/ itself
MEASURED = STUDY, "forecast.csv", "students_at_once.csv"  # of no study, or asked for by name
SPEED = {  # keys, at any depth, that change no result
    *("cells_per_job", "trained_together", "hours_per_job", "checkpoint_minutes"),
    *("hours", "students_at_once", "gpu", "replicates_per_job"),
}


def _deciding(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _deciding(value[key]) for key in sorted(value) if key not in SPEED}
    return [_deciding(item) for item in value] if isinstance(value, list) else value


def identity(config: Mapping[str, Any], file: str) -> dict[str, str]:
    """Return {"config": the file's name, "study": a digest of all in it that decides results}."""
    text = json.dumps(_deciding(config))
    return {"config": file, "study": hashlib.sha256(text.encode()).hexdigest()[:8]}


def is_shown(path: str, results: str) -> bool:
    """Whether a file is a table, a figure or a page, not what these are made from."""
    inside = PurePath(path).parts[len(PurePath(results).parts) :]
    return inside[0] in SHOWN if len(inside) > 1 else inside[0] not in MEASURED


def standing(results: str) -> list[str]:
    """All tables, figures and pages under results/."""
    found = [path for path in Path(results).glob("*") if path.is_file()]
    for folder in SHOWN:
        found += [path for path in Path(results, folder).rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if is_shown(str(path), results))


def owner(results: str) -> dict[str, str]:
    """The study whose tables stand in results/, as `identity` says it."""
    try:
        said = json.loads(Path(results, STUDY).read_text(encoding="utf-8"))
        return {key: PurePath(said[key]).name for key in ("config", "study")}
    except (OSError, ValueError, TypeError, KeyError):  # made before there were such files
        return {"config": "unknown", "study": ""}


def made_by(jobs: Iterable[Any]) -> set[str]:
    """The output files of Snakemake's jobs."""
    return {str(path) for job in jobs for path in job.output}


def begin(
    study: dict[str, str], done: Iterable[str], todo: Iterable[str], results: str = "results"
) -> str | None:
    """Make results/ the study's and return one line on what went aside, if anything did.

    done, todo: the files of the run's jobs that are up to date, and that will be made. Where no
    table is among the latter, nothing happens. Killed before its end, it goes on when called again.
    """
    before = owner(results)
    if before["study"] == study["study"] or not any(is_shown(path, results) for path in todo):
        return None
    stale = sorted(set(standing(results)) - set(done))
    aside = Path(results, ASIDE, f"{Path(before['config']).stem}-{before['study']}".strip("-"))
    for path in stale:
        os.renames(path, aside / Path(path).relative_to(results))
    Path(results).mkdir(parents=True, exist_ok=True)
    new = Path(results, f"{STUDY}.new")
    new.write_text(json.dumps(study) + "\n", encoding="utf-8")
    new.replace(Path(results, STUDY))
    if not stale:
        return None
    return (
        f"{len(stale)} tables and figures of another study ({before['config']}) are now in "
        f"{aside}/; to keep studies apart, give each a folder: --directory studies/NAME"
    )
