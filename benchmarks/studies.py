"""Studies of benchmarks, run by the workflow itself."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent


def run_study(
    config: Mapping[str, Any],
    folder: Path,
    targets: Iterable[str],
    cores: int,
    more: Iterable[str] = (),
    tree: Path = ROOT,
) -> None:
    """Make targets of a study in a folder, by the workflow of a tree; what is there is kept.

    more: further options of Snakemake's. Raises CalledProcessError where a job fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--snakefile", tree / "workflow/Snakefile"]
    command += ["--directory", folder, "--cores", str(cores), "--quiet", "all", *more]
    command += ["--configfile", file, "--", *targets]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
