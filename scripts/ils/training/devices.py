"""What a process gets of its machine: which GPU, and large pages of memory.

GPUs are counted without torch, whose import takes seconds; nor is NumPy needed where only Snakemake
is installed.
"""

import fcntl
import functools
import itertools
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ils.errors import UserError

if TYPE_CHECKING:
    import torch

# The device files that a process may see, in a container only its own; before their first use the
# driver alone has a list.
LISTS = "dev/nvidia[0-9]*", "proc/driver/nvidia/gpus/*"

# The environment variable by which glibc asks the kernel for large pages: up to a tenth less time
# for large activations.
LARGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"


def count(visible: str | None, root: str | Path = "/") -> int:
    """Return the number of GPUs that the text of CUDA_VISIBLE_DEVICES names; None: the machine's.

    As in CUDA, names end at the first that names no device, such as -1.
    """
    if visible is not None:
        named = (re.fullmatch(r"\d+|(GPU|MIG)-.+", name.strip()) for name in visible.split(","))
        return len(list(itertools.takewhile(bool, named)))
    return next(filter(None, (len(list(Path(root).glob(pattern))) for pattern in LISTS)), 0)


def limit_gpus(workflow) -> None:
    """Let no more GPU jobs run at a time than this machine has GPUs.

    Without a number Snakemake would start as many as there are cores. A cluster counts its own.
    """
    resources = workflow.global_resources
    on_cluster = resources["_nodes"].value is not None
    gpus = count(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if gpus and not on_cluster and "gpu" not in resources:
        workflow.register_resource("gpu", gpus)


def claim() -> int:
    """Take this user's first free slot on this machine until the process ends.

    Returns its number, from 0. A slot is a locked file. All jobs of the user share them, those of
    other runs, too, and the kernel frees a slot however its process ends.
    """
    folder = Path(tempfile.gettempdir(), f"ils-gpu-slots-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return next(slot for slot in itertools.count() if lock(folder / str(slot)))
    except OSError as error:
        raise UserError(
            f"{folder}: cannot lock a file: {error.strerror}; set TMPDIR to a folder of your own"
        ) from error


def lock(path: Path) -> bool:
    """Lock a file until the process ends; returns whether nobody else has."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # a plain number: nothing closes it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    return True


@functools.cache
def gpu() -> "torch.device":
    """The GPU of this process, the same for all its cells.

    Jobs that run at a time take turns through those visible.
    """
    import torch

    device = torch.device("cuda", claim() % torch.cuda.device_count())
    torch.cuda.set_device(device)  # else libraries reach for the first one, too, and graphs fail
    name = torch.cuda.get_device_name(device)
    logging.getLogger("ils").info("device: %s, %s", device, name)
    return device


def choose_device(wanted: str) -> "torch.device":
    """Return the torch device for the config's `device`: cpu, cuda, or auto.

    auto is cuda where there is one. UserError for cuda where torch sees none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda, but torch sees no CUDA device; set device: auto or cpu")
    return gpu() if wanted != "cpu" and torch.cuda.is_available() else torch.device("cpu")
