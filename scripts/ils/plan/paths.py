"""Where files lie, a folder a stage, and what rules make of the plan's wildcards."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

DATA = "results/data/{dataset}.safetensors"
SPLITS = "results/splits/{batch}.safetensors"
STUDENTS = "results/students/{batch}/{round}/shard{shard}.safetensors"
TEST_LOGITS = "results/test_logits/{batch}/{round}/shard{shard}.safetensors"
TEMPERATURES = "results/temperatures/{batch}/{round}.json"
SOFT_TARGETS = "results/soft_targets/{batch}/{method}.safetensors"
PREDICTIONS = "results/predictions/{batch}.safetensors"
MODELS = "results/synthetic/{setup}/replicates{first}-{last}.csv"
SUMS = "results/synthetic/{setup}/replicates{first}-{last}.safetensors"
CURVES = "results/curves/{dataset}.safetensors"
FOUND = "results/found.txt"


def files(pattern: str, wildcards: Iterable[Mapping[str, Any]]) -> list[str]:
    """The file of each mapping of wildcards."""
    return [pattern.format(**values) for values in wildcards]


def resources_of(needs: Callable[[Any], Mapping[str, int]]) -> dict[str, Callable]:
    """A rule's resources by what its wildcards need {gpu, mem_mb, runtime}; a retry asks more."""
    return {
        "gpu": lambda wildcards: needs(wildcards)["gpu"],
        "mem_mb": lambda wildcards, attempt: attempt * needs(wildcards)["mem_mb"],
        "runtime": lambda wildcards, attempt: attempt * needs(wildcards)["runtime"],
    }
