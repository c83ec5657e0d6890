"""What the config may name, read off the source without importing it: planning needs neither torch
nor NumPy.

Users extend a few places, files or folders of files under scripts/ils/. What they add is a function
under the place's decorator; the config names it, and `load` imports it where a job needs it.
"""

import ast
import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ils.errors import UserError

LIBRARY = Path(__file__).parents[1]
PLACES = {  # of the functions under each decorator
    "source": "data/sources.py",
    "method": "targets",
    "target_input": "targets",
    "transform": "targets",
    "network": "networks",
    "calibrator": "evaluation",
    "metric": "evaluation",
}
EVALUATION = "evaluation"  # of which, too, only what a job uses counts when it is edited


class Plugin(NamedTuple):
    """A function that a config entry names: what it is given, its options, the file that it is in,
    and what its decorator says of it, {keyword: value}."""

    inputs: tuple
    required: frozenset
    optional: frozenset
    path: Path
    traits: Mapping[str, Any]

    @property
    def options(self):
        """All of them by name."""
        return self.required | self.optional

    @property
    def needs_teacher(self):
        """Whether a target function looks at the teacher."""
        return any("teacher" in name for name in self.inputs)


def files_of(place):
    """The files of a place: its own, or all of a folder."""
    path = LIBRARY / place
    return sorted(path.glob("*.py")) if path.is_dir() else [path]


@functools.cache
def plugins(kind: str) -> dict[str, Plugin]:
    """Return {name: Plugin} of the functions under the decorator `kind`; UserError for two of one
    name."""
    functions: dict[str, Plugin] = {}
    for path in files_of(PLACES[kind]):
        for node in parsed(path).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            if (traits := decorated(node, kind, path)) is None:
                continue
            keywords = [argument.arg for argument in node.args.kwonlyargs]
            defaults = zip(keywords, node.args.kw_defaults)
            optional = {name for name, default in defaults if default is not None}
            inputs = tuple(argument.arg for argument in node.args.args)
            if node.name in functions:
                other = functions[node.name].path
                raise UserError(f"{path}: {kind} {node.name!r} is in {other.name}, too; rename one")
            required = frozenset(keywords) - optional
            functions[node.name] = Plugin(inputs, required, frozenset(optional), path, traits)
    return functions


def decorated(node: ast.FunctionDef, kind: str, path: Path) -> dict[str, Any] | None:
    """What the decorator `kind` of a function says in its keywords, each a literal value; None
    without that decorator."""
    for decorator in node.decorator_list:
        name, keywords = decorator, list[ast.keyword]()
        if isinstance(decorator, ast.Call):
            name, keywords = decorator.func, decorator.keywords
        if getattr(name, "id", None) != kind:
            continue
        try:
            return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords}
        except ValueError:
            raise UserError(
                f"{path}: line {decorator.lineno}: the keywords of @{kind} must be plain numbers, "
                "texts, True or False; write the value itself"
            ) from None
    return None


@functools.cache
def load(kind: str, name: str) -> Callable:
    """Import the function that the config calls `name`."""
    path = plugins(kind)[name].path
    return getattr(importlib.import_module(module_of(path)), name)


def module_of(path):
    """The name under which a library file is imported."""
    return ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}: line {error.lineno}: {error.msg}; correct it") from None


@functools.cache
def file_of(module: str) -> Path | None:
    """The library file of a module's name, if it is one of ours."""
    if not (module or "").startswith("ils."):
        return None
    path = LIBRARY.parent.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


def is_extended(path):
    """Whether users extend a library file: rules then take the digest of what they use of it."""
    places = {LIBRARY / place for place in (*PLACES.values(), EVALUATION)}
    return path in places or path.parent in places
