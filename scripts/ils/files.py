"""Files that stages hand to each other: safetensors for arrays, csv and json for tables, never
pickles.

Every file is written under a temporary name beside its own and renamed when complete, so a file
that exists is whole.
"""

import contextlib
import io
import json
import os
import stat
import zlib
from pathlib import Path

import numpy as np

from ils.errors import UserError

# Names that safetensors gives dtypes, in the order in which it lays arrays down; those of one dtype
# are sorted by name.
DTYPES = {
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
    "float32": "F32",
    "uint32": "U32",
    "int32": "I32",
    "float16": "F16",
    "uint16": "U16",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


@contextlib.contextmanager
def writing(path):
    """Turn what the system has against writing `path` (a full disk, no right to) into a UserError
    that names it."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{path}: cannot write: {reason}; free some space or check the folder's rights, "
            "and run again"
        ) from error


@contextlib.contextmanager
def atomic(path):
    """Yield a temporary path beside `path`; rename it on success, remove it on any error."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def save_arrays(path, arrays, **metadata):
    """Write a mapping of name to numpy array, and JSON-serialisable metadata, as one safetensors
    file.

    The same arrays and metadata give the same bytes: arrays lie in the order in which safetensors
    puts them, metadata are sorted JSON under one key, with a checksum of each array. safetensors
    itself would hold a second and a third copy of all arrays, which may be gigabytes.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    content = {
        "metadata": metadata,
        "crc32": {name: crc32(array) for name, array in arrays.items()},
    }
    order = list(DTYPES)
    ordered = sorted(arrays.items(), key=lambda pair: (order.index(pair[1].dtype.name), pair[0]))
    head = header(dict(ordered), json.dumps(content, sort_keys=True))
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(head)
        for _, array in ordered:
            file.write(array.reshape(-1).view(np.uint8))


def header(arrays, text):
    """The bytes of a safetensors file before its arrays, in their order: their places as JSON, and
    a text of metadata."""
    places, end = {"__metadata__": {"json": text}}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        dtype, shape = DTYPES[array.dtype.name], array.shape
        places[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    written = json.dumps(places, separators=(",", ":"), ensure_ascii=False).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written


def crc32(array):
    """The checksum of an array's bytes."""
    return zlib.crc32(array.reshape(-1).view(np.uint8))


class Content(dict):
    """What the file `path` holds, by name; to look for something else there is the user's error,
    not a KeyError."""

    def __init__(self, path, found):
        super().__init__(found)
        self.path = path

    def __missing__(self, name):
        raise UserError(
            f"{self.path}: lacks {name}, so it is another file than it should be; "
            "delete it and run again"
        )


def from_json(path, text):
    """What a JSON text of the file `path` says; its mappings, at every depth, are `Content`."""
    return json.loads(text, object_hook=lambda mapping: Content(path, mapping))


@contextlib.contextmanager
def reading(path):
    """Turn whatever the reading of a missing, damaged or foreign file raises into a UserError that
    names it."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("it is no file")  # a pipe would wait, and a device not end
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run the rule that makes it") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(
            f"{path}: cannot be read ({reason}); remove it or see to its rights, and run again"
        ) from None
    except (UserError, MemoryError):
        raise
    except Exception as error:  # of whatever kind: parsers were not written for these bytes
        raise UserError(f"{path}: damaged ({error}); delete the file and run again") from error


def load_arrays(path, names=None, under=""):
    """Return (arrays, metadata) of a file written by `save_arrays`; `names` limits what is read.

    under: only arrays whose names begin so are read, and are called by what follows. Raises
    UserError when the file is missing, is no safetensors file, lacks one of `names` or anything
    `under`, or differs from what was written.
    """
    from safetensors import safe_open

    with reading(path):
        with safe_open(path, framework="numpy") as file:  # it checks the places of all arrays
            content = from_json(path, file.metadata()["json"])
            present = {name.removeprefix(under) for name in file.keys() if name.startswith(under)}  # noqa: SIM118
        with open(path, "rb") as file:
            if missing := set(names or ()) - present or (
                {under} if under and not present else set()
            ):
                lacking = ", ".join(sorted(missing))
                raise UserError(
                    f"{path}: lacks the array(s) {lacking}; delete the file and run again"
                )
            places = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            start = file.tell()
            arrays = {
                name: array_at(file, start, places[under + name])
                for name in (names or sorted(present))
            }
        for name, array in arrays.items():
            if crc32(array) != content["crc32"][under + name]:
                raise UserError(
                    f"{path}: damaged (the checksum of {name} is another); "
                    "delete the file and run again"
                )
        return Content(path, arrays), content["metadata"]


def array_at(file, start, place):
    """Read an array from its `place` in an open file whose arrays begin at `start`.

    safetensors would map the file into memory and copy out of that: the process would be as large
    as two of them.
    """
    dtype = next(name for name, written in DTYPES.items() if written == place["dtype"])
    array = np.empty(place["shape"], dtype)
    file.seek(start + place["data_offsets"][0])
    file.readinto(array.reshape(-1).view(np.uint8))
    return array


def load_metadata(path):
    """Return the metadata of a file written by `save_arrays`, without its arrays."""
    from safetensors import safe_open

    with reading(path), safe_open(path, framework="numpy") as file:
        return from_json(path, file.metadata()["json"])["metadata"]


def save_json(path, value):
    """Write a mapping as JSON, its keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def load_json(path):
    """Return the mapping that `save_json` wrote; UserError when it is missing or damaged."""
    with reading(path):
        content = from_json(path, Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, Content):
            raise ValueError("it holds no mapping")
        return content


def write_text(path, text):
    """Write `text` to `path`."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path, frame):
    """Write a pandas DataFrame without its index; floats with as many digits as `read_csv` needs to
    lose nothing."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_csv(path, columns=()):
    """Return the DataFrame that `write_csv` wrote, every float exact.

    Raises UserError when the file is missing, damaged, cut off within a line, or lacks one of
    `columns`.
    """
    import pandas as pd

    with reading(path):
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        if not text.endswith("\n"):
            raise ValueError("its last line has no end, so it was cut off")
        table = pd.read_csv(io.StringIO(text), float_precision="round_trip")
        if lacking := [name for name in columns if name not in table]:
            raise UserError(
                f"{path}: lacks the column(s) {', '.join(lacking)}; delete the file and run again"
            )
        return table
