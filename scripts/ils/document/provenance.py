"""What ran and where: versions, machine, commit. No dates, so that the same run on the same machine says the same."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "matplotlib", "numpy", "pandas", "safetensors", "scikit-learn", "scikit-posthocs", "scipy", "snakemake",
    "snakemake-executor-plugin-slurm", "torch", "torchvision", "tqdm",
)  # fmt: skip


def version(package):
    """Return the installed version, without importing the package, which takes seconds; None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor(cpuinfo="/proc/cpuinfo"):
    """Return the processor's model as Linux names it, elsewhere as Python does."""
    path = Path(cpuinfo)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def gpus(folder="/proc/driver/nvidia/gpus"):
    """Return the models of the NVIDIA devices that Linux sees."""
    lines = [
        line
        for path in sorted(Path(folder).glob("*/information"))
        for line in path.read_text().splitlines()
    ]
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]


def commit(repository):
    """Return the commit of the working tree at `repository`, with "+" where files differ from it; None without git."""

    def git(*arguments):
        command = ["git", "-C", str(repository), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not os.path.samefile(git("rev-parse", "--show-toplevel"), repository):
            return None  # some other repository around this folder
        return git("rev-parse", "HEAD") + "+" * bool(
            git("status", "--porcelain", "--untracked-files=no")
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def facts(repository):
    """Return everything but the config, {name: value}."""
    return {
        "commit": commit(repository),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}".rstrip(
            ", "
        ),
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpus": gpus(),
    }
