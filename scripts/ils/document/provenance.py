"""What ran and where: versions, machine, commit.

No dates, so that the same run on the same machine says the same.
"""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "matplotlib",
    "numpy",
    "pandas",
    "safetensors",
    "scikit-learn",
    "scikit-posthocs",
    "scipy",
    "snakemake",
    "snakemake-executor-plugin-slurm",
    "torch",
    "torchvision",
    "tqdm",
)


def version(package: str) -> str | None:
    """Return the installed version, None where there is none.

    The package is not imported, which may take seconds.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor(cpuinfo: str | Path = "/proc/cpuinfo") -> str:
    """Return the processor's model as Linux names it, elsewhere as Python does."""
    path = Path(cpuinfo)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def gpus(folder: str | Path = "/proc/driver/nvidia/gpus") -> list[str]:
    """Return the models of the NVIDIA devices that Linux sees."""
    lines = [
        line
        for path in sorted(Path(folder).glob("*/information"))
        for line in path.read_text().splitlines()
    ]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]


def commit(repository: str | Path) -> str | None:
    """Return the commit of the working tree at `repository`, None without git.

    It ends with "+" where files differ from it.
    """

    def git(*arguments):
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not os.path.samefile(git("rev-parse", "--show-toplevel"), repository):
            return None  # some other repository around this folder
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + "+" * bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return None


def facts(repository: str | Path) -> dict[str, Any]:
    """Return everything but the config, {name: value}."""
    system = f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}"
    return {
        "commit": commit(repository),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "platform": system.rstrip(", "),
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpus": gpus(),
    }
