"""What every job does before its work."""

import platform
import subprocess
import sys

import pytest

from conftest import ROOT
from ils import job

PROGRAM = """
import resource, sys
import numpy as np
from ils.job import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again_and_not_mapped_anew():
    def faults(argument):
        command = [sys.executable, "-c", PROGRAM, argument]
        return int(
            subprocess.run(
                command, cwd=ROOT / "scripts", capture_output=True, text=True, check=True
            ).stdout
        )

    assert faults("keep") < faults("give back") / 10


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(job.ctypes, "CDLL", lambda name: object())
    job.keep_freed_memory()
