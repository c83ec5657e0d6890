"""Where the files lie that a source's options name: in the study's folder, else in the clone."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CLONE = Path(__file__).parents[3]
NAMING = "file", "folder", "train", "test"


def located(options: Mapping[str, Any]) -> dict[str, Any]:
    """A source's options, a relative path that leads nowhere from the study's folder taken from the
    clone's, if it leads somewhere from there."""

    def locate(path):
        if os.path.exists(path) or not (CLONE / path).exists():
            return path
        return os.path.relpath(CLONE / path)

    naming = {key for key in NAMING if isinstance(options.get(key), str)}
    return {key: locate(value) if key in naming else value for key, value in options.items()}
