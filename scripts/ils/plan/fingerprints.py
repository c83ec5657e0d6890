"""When a job must run again because code changed: read off the source, without importing it.

Of the places that users extend only what a plugin uses counts: `fingerprint`, a rule's parameter;
of the evaluation likewise what a script uses: `uses`. Of the rest of the library each file that a
script imports: `modules_of`, an input of rules.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ils.plan.plugins import (
    EVALUATION,
    LIBRARY,
    Plugin,
    decorated,
    file_of,
    is_extended,
    module_of,
    parsed,
    plugins,
)

USED = {  # beside the functions themselves, by all jobs that run some of a kind
    "source": ("data/sources.py", "check"),
    "method": ("targets/inputs.py", "Batch", "inputs_of"),
    "target_input": ("targets/inputs.py", "Batch"),
    "transform": ("targets/inputs.py", "Batch", "inputs_of"),
    "network": ("networks/build.py", "build", "restore"),
    "calibrator": ("evaluation/calibrators.py",),
    "metric": ("evaluation/metrics.py",),
}
UNWATCHED = LIBRARY / "plan/plugins.py"  # it finds functions; what it finds has a fingerprint


def code_of(node):
    """The code of a definition as text, without comments and docstrings."""
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        if isinstance(body[0].value, ast.Constant):
            del body[0]
    return ast.dump(node)


class Definition(NamedTuple):
    """What a module defines at its top: its code, the names it uses, those of its positional
    parameters."""

    code: str
    used: frozenset
    parameters: tuple


FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef


def names_of(node: ast.stmt) -> set[str]:
    """The names that a statement at a module's top gives a value."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return {node.name}
    targets: list = getattr(node, "targets", [node])
    if isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets = [node.target]
    inner = [part for target in targets for part in ast.walk(target)]
    named = {part.name for part in inner if isinstance(part, (*FUNCTIONS, ast.ClassDef))}
    variables = (part for part in inner if isinstance(part, ast.Name))
    return named | {part.id for part in variables if isinstance(part.ctx, ast.Store)}


def names_used(node: ast.AST) -> frozenset[str]:
    """The names in a piece of code, but for a function's parameters within its body."""
    if isinstance(node, ast.Name):
        return frozenset({node.id})
    children = list(ast.iter_child_nodes(node))
    if not isinstance(node, (*FUNCTIONS, ast.Lambda)):
        return frozenset().union(*map(names_used, children))
    body = node.body if isinstance(node.body, list) else [node.body]
    around = frozenset().union(*(names_used(child) for child in children if child not in body))
    own = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
    return around | frozenset().union(*map(names_used, body)) - own


def imports_of(node: ast.AST, path: Path) -> list[tuple[str, Path, str]]:
    """List what an import in the file `path` takes from the library: the name that it gets, its
    file, and the name that it has there, "*" for the module_file file."""
    if isinstance(node, ast.Import):
        named = [(alias.asname or "ils", alias.name, "") for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        package = module_of(path).split(".")[: -node.level] if node.level else []
        module = ".".join([*package, *filter(None, [node.module])])
        named = [(alias.asname or alias.name, module, alias.name) for alias in node.names]
    else:
        return []
    sources = []
    for name, module, inner in named:
        if module_file := file_of(f"{module}.{inner}".rstrip(".")):
            sources.append((name, module_file, "*"))
        elif file := file_of(module):
            sources.append((name, file, inner))
    return sources


@functools.cache
def definitions(path: Path) -> tuple[dict[str, Definition], dict[str, tuple[Path, str]]]:
    """Return {name: Definition} of what a library file defines, and {name: (file, its name there)}
    of what it imports from those of users."""
    defined: dict[str, Definition] = {}
    imported: dict[str, tuple[Path, str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            sources = imports_of(node, path)
            imported |= {name: (file, own) for name, file, own in sources if is_extended(file)}
            continue
        parameters: tuple[str, ...] = ()
        if isinstance(node, ast.FunctionDef):
            parameters = tuple(argument.arg for argument in node.args.args)
            if decorated(node, "metric", path) is not None:
                node.decorator_list.clear()  # what it says is a parameter of its own
        used, code = names_used(node), code_of(node)
        for name in names_of(node):
            before = defined.get(name, Definition("", frozenset(), ()))
            defined[name] = Definition(before.code + code, before.used | used, parameters)
    return defined, imported


@functools.cache
def fingerprint(kind: str, *names: str) -> str:
    """Return a digest of the code of plugins and of all that they use in the places that users
    extend.

    A target function or a transform also uses the inputs that its parameters name. As a rule's
    parameter the digest reruns what that function made, and nothing else, when it changes.
    """
    inputs, (file, *shared) = plugins("target_input"), USED[kind]
    roots = [(plugins(kind)[name].path, name) for name in names]
    roots += [(LIBRARY / file, name) for name in shared]
    return digest_of(roots, inputs if kind in ("method", "transform") else {})


def digest_of(roots: list[tuple[Path, str]], inputs: Mapping[str, Plugin]) -> str:
    """Return a digest of the definitions (file, name) and of all that they use, `inputs` by the
    names of parameters included."""
    used, todo = {}, list(roots)
    while todo:
        path, name = todo.pop()
        defined, imported = definitions(path)
        if name in imported:
            todo.append(imported[name])
        if name == "*":
            todo += [(path, other) for other in defined]
        if name not in defined or (str(path), name) in used:
            continue
        used[str(path), name] = defined[name].code
        todo += [(path, other) for other in defined[name].used]
        parameters = [other for other in defined[name].parameters if other in inputs]
        todo += [(inputs[other].path, other) for other in parameters]
    return hashlib.sha256("\n".join(used[key] for key in sorted(used)).encode()).hexdigest()[:16]


@functools.cache
def uses(script: str) -> str:
    """Return a digest of what a script of scripts/ uses of the evaluation, itself or through the
    library files that it imports: as a rule's parameter it reruns what a changed function made, and
    not what never called it. Metrics, which jobs load by name, have a `fingerprint`."""
    files = [LIBRARY.parent / script, *map(Path, modules_of(LIBRARY.parent / script))]
    roots = [
        (source, name)
        for path in files
        for node in parsed(path).body
        for _, source, name in imports_of(node, path)
        if source.parent == LIBRARY / EVALUATION
    ]
    return digest_of(roots, {})


IMPORT = re.compile(r"^ *from (ils[.\w]*) import (\([^)]*\)|.*)", re.M)


@functools.cache
def imports(path: Path) -> set[Path]:
    """The library files that a file imports itself. Faster than a tree."""
    files: set[Path | None] = set()
    for module, names in IMPORT.findall(path.read_text(encoding="utf-8")):
        aliases = re.findall(r"\w+", re.sub(r" as \w+|#.*", "", names))
        files |= {file_of(module), *(file_of(f"{module}.{name}") for name in aliases)}
    return {file for file in files if file}


@functools.cache
def modules_of(script: Path) -> list[str]:
    """List the library files that `script` imports, directly or not: declared as input, an edit
    reruns the rule.

    Those that users extend are left out, so that one more method does not retrain the others.
    """
    modules: set[Path] = set()
    todo = {Path(script)}
    while todo:
        todo = set().union(*map(imports, todo)) - modules - {UNWATCHED}
        modules |= todo
    return sorted(str(path) for path in modules if not is_extended(path))
