"""The config's section `add`: entries that join the lists of what it is given on top of."""

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ils.errors import UserError
from ils.plan.schema import dotted, one_of, shown

ADD = "add"


def adding(config: Mapping[str, Any], files: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """A config that files were merged into, with all that they add and not the last one's alone."""
    additions = [file[ADD] for file in files if file.get(ADD)]
    return {**config, ADD: functools.reduce(_joined, additions)} if additions else config


def _joined(base: Any, more: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(more, Mapping):
        both = {key: _joined(base[key], more[key]) for key in base if key in more}
        return {**base, **more, **both}
    return base + more if isinstance(base, list) and isinstance(more, list) else more


def extended(config: Mapping[str, Any]) -> Any:
    """Return a config with the entries of its section `add` at the ends of its own lists; UserError
    for what is none, or has the name of one that is there."""
    if config.get(ADD) is None:
        return {key: value for key, value in config.items() if key != ADD}
    base = {key: value for key, value in config.items() if key != ADD}
    return _extended(base, config[ADD], (ADD,))


def _extended(base: Any, more: Any, place: tuple) -> Any:
    key = dotted(place)
    if isinstance(base, list):
        if not isinstance(more, list):
            raise UserError(f"config: {key}: {shown(more)} is no list of entries to add")
        _refuse_names(base, more, place)
        return base + more
    if not isinstance(base, Mapping):
        raise UserError(
            f"config: {key}: only lists can be added to, and {dotted(place[1:])} is none; "
            "set it outside of `add`"
        )
    if not isinstance(more, Mapping):
        raise UserError(f"config: {key}: {shown(more)} is no mapping of keys to lists")
    for name in more:
        one_of(dotted([*place, name]), name, set(base))
    added = {name: _extended(base[name], value, (*place, name)) for name, value in more.items()}
    return {**base, **added}


def _names(entries: list) -> list:
    return [entry.get("name") if isinstance(entry, Mapping) else None for entry in entries]


def _refuse_names(base: list, more: list, place: tuple) -> None:
    names = _names(base)
    for i, name in enumerate(_names(more)):
        if name is not None and name in names:
            raise UserError(
                f"config: {dotted([*place, i])}.name: {shown(name)} is there already; choose "
                f"another name, or give a whole list `{dotted(place[1:])}` that replaces the other"
            )


def as_written(message: str, config: Mapping[str, Any]) -> str:
    """A message about an extended config as one about the config that was written: the entry
    `methods[12]` may be its `add.methods[0]`."""

    def renamed(match):
        base, more = config, config.get(ADD) or {}
        for key in match[2].split("."):
            base, more = (part.get(key, {}) for part in (base, more))
        index = int(match[3]) - len(base)
        added = isinstance(more, list) and index >= 0
        return f"{match[1]}{ADD}.{match[2]}[{index}]" if added else match[0]

    return re.sub(r"(^config: )([a-z_.]+)\[(\d+)\]", renamed, message)
