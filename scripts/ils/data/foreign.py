"""What is not ours: files that may hold anything, and servers that may not answer."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError

from ils.errors import UserError
from ils.job import log

RETRIES = (5, 30)  # seconds to wait before the second and the third attempt to download
BROKEN = (OSError, EOFError, HTTPException)  # what broken connections raise

Result = TypeVar("Result")


@contextlib.contextmanager
def foreign(path: str | Path, remedy: str) -> Iterator[None]:
    """Turn whatever a parser makes of a foreign file into a UserError that names it.

    What is no plain file is not even opened: a pipe would wait and a device not end.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path}: cannot be read: it is no file; {remedy}")
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # damaged bytes raise anything, SyntaxError included
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({reason}); {remedy}") from None


def retry(
    download: Callable[[], Result], what: str, files: Sequence[str], root: str | Path
) -> Result:
    """Return `download()`, tried three times; UserError when every attempt fails.

    The download itself verifies checksums, so what a broken connection left is fetched again.
    """
    socket.setdefaulttimeout(60)
    for wait in (*RETRIES, None):
        try:
            return download()
        except (*BROKEN, RuntimeError) as error:  # RuntimeError: torchvision's, of a checksum
            reason = error.reason if isinstance(error, URLError) else error
            log.warning("%s: download failed: %s", what, reason)
        if wait is not None:
            time.sleep(wait)
    raise UserError(
        f"{root}: no verified copy of {what}, and downloading it failed ({reason}); check the "
        f"network, or put the official {', '.join(files)} there yourself"
    )
