"""What the config may name, read off the source without importing it: the workflow itself needs neither torch nor numpy."""

import ast
import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

LIBRARY = Path(__file__).parent
EXTENDED = ("datasets", "methods", "networks", "target_inputs")  # modules that users add functions to


class Plugin(NamedTuple):
    """A function that a config entry names: what it is given, the options it must have and those it may have."""

    inputs: tuple
    required: frozenset
    optional: frozenset

    @property
    def needs_teacher(self):
        """Whether a target function looks at the teacher."""
        return any("teacher" in name for name in self.inputs)


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


def code_of(node):
    """The code of a definition as text, without comments and docstrings."""
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if isinstance(body, list) and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            inner.body = body[1:]
    return ast.dump(node)


@functools.cache
def definitions(path):
    """Return {name: (code, names it uses, names of its positional parameters)} of what a module defines at its top."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for target in getattr(node, "targets", [node]):
            name = getattr(target, "id", getattr(target, "name", None))
            used = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
            parameters = [argument.arg for argument in node.args.args] if isinstance(node, ast.FunctionDef) else []
            found[name] = code_of(node), used, parameters
    return found


def fingerprint(module, *names):
    """Return a digest of the code of functions and of everything in their module that they use.

    A target function also uses the inputs that its parameters name. As a rule's parameter the digest reruns what that
    function made, and nothing else, when the function changes.
    """
    used, todo = {}, [(module, name) for name in names]
    while todo:
        place = module, name = todo.pop()
        defined = definitions(LIBRARY / f"{module}.py")
        if name in defined and place not in used:
            used[place], more, parameters = defined[name]
            todo += [(module, other) for other in more]
            if module == "methods":
                todo += [("target_inputs", other) for other in (*parameters, "Batch", "inputs_of")]
    return hashlib.sha256("\n".join(used[place] for place in sorted(used)).encode()).hexdigest()[:16]


@functools.cache
def imports(path):
    """The library files that a file imports itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "ils":
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                found.add(LIBRARY.parent.joinpath(*name.split(".")).with_suffix(".py"))
    return {file for file in found if file.exists()}


def modules_of(script):
    """List the library files that `script` imports, directly or not: declared as input, an edit reruns the rule.

    The modules that users extend are left out, so that one more method does not retrain the others: the rules take the
    `fingerprint` of the function that they use instead.
    """
    found, todo = set(), {Path(script)}
    while todo:
        todo = set().union(*map(imports, todo)) - found
        found |= todo
    return sorted(str(path) for path in found if path.stem not in EXTENDED)
