"""What the config may name, read off the source without importing it: the workflow itself needs neither torch nor numpy."""

import ast
from pathlib import Path
from typing import NamedTuple

LIBRARY = Path(__file__).parent


class Plugin(NamedTuple):
    """A function that a config entry names: what it is given, the options it must have and those it may have."""

    inputs: tuple
    required: frozenset
    optional: frozenset


def plugins(module, decorator):
    """Return {name: Plugin} of the functions under `@decorator` in scripts/ils/`module`.py."""
    found = {}
    for node in ast.parse((LIBRARY / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and any(getattr(d, "id", None) == decorator for d in node.decorator_list):
            keywords = [argument.arg for argument in node.args.kwonlyargs]
            optional = {name for name, default in zip(keywords, node.args.kw_defaults) if default is not None}
            inputs = tuple(argument.arg for argument in node.args.args)
            found[node.name] = Plugin(inputs, frozenset(keywords) - optional, frozenset(optional))
    return found


def modules_of(script):
    """List the library files that `script` imports, directly or not: declared as input, an edit reruns the rule."""
    found, todo = set(), [Path(script)]
    while todo:
        for node in ast.walk(ast.parse(todo.pop().read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                path = LIBRARY.parent.joinpath(*name.split(".")).with_suffix(".py")
                if name.startswith("ils.") and path.exists() and path not in found:
                    found.add(path)
                    todo.append(path)
    return sorted(str(path) for path in found)
