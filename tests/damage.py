"""What can be wrong with a file, and the one line by which whoever reads it must refuse it."""

import os
import pickle

import numpy as np
import pytest

from ils.errors import UserError

RANDOM = np.random.default_rng(0).bytes(3000)


def contents(folder):
    """What lies in a folder, {name: bytes}; what is no plain file has none."""
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


def refusal(function, folder):
    """The one line by which `function` refuses what it reads; all files stay as they were."""
    before = contents(folder)
    with pytest.raises(UserError) as error:
        function()
    assert contents(folder) == before, "something was written"
    message = str(error.value)
    assert message.isprintable() and len(message) <= 1100 and "<class" not in message, message
    return message


def spoilt(content):
    """Damaged versions of a file: bytes, or functions that put something else in its place."""
    cuts = {
        n
        for n in (1, 4, 8, 12, 100, len(content) // 2, len(content) - 7, len(content) - 1)
        if n < len(content)
    }
    versions = {f"cut after {n} of {len(content)}": content[:n] for n in sorted(cuts)}
    versions |= {
        "empty": b"",
        "random": RANDOM,
        "zeros": bytes(3000),
        "text": b"<html>not found</html>\n",
    }
    versions |= {"a pickle": pickle.dumps({"a": 1})}
    versions |= {
        "wrong magic": b"\xff" * 8 + content[8:],
        "random in the middle": content[: len(content) // 2] + RANDOM,
    }
    versions |= {
        "a folder": lambda path: path.mkdir(),
        "a dangling link": lambda path: path.symlink_to("nowhere"),
    }
    versions |= {
        "a link to itself": lambda path: path.symlink_to(path.name),
        "missing": lambda path: None,
        "a pipe": os.mkfifo,
    }
    return versions


def replace(path, new):
    """Put bytes, or what a function makes, in a file's place."""
    path.unlink()
    new(path) if callable(new) else path.write_bytes(new)


def remove(path):
    """Remove what `spoilt` put in a file's place."""
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("pwned",)
