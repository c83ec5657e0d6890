"""Configs made wrong on purpose, by rule and hundreds of them: each is one line that names the key, before any job starts."""

import copy
import itertools
import math
import re

import pytest
import yaml

from conftest import ROOT, Clone
from ils import config as study
from ils.errors import UserError

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIGS = {name: yaml.safe_load((ROOT / name).read_text()) for name in ("config/config.yaml", "tests/small.yaml")}
ITSELF = []
ITSELF.append(ITSELF)

ANY = [
    *(None, "", "word", "1e-2", "two\nlines", "x" * 10_000, -1, 0, 3.0, 0.5, 10**400, 10**18, -(10**400), math.inf, -math.inf, math.nan),
    *(True, False, [], {}, [[]], [None], [{}], {"a": 1}, {1: 2}, {None: 0}, {"two\nlines": 0}, ITSELF, yaml.safe_load("2020-01-01")),
]
NAMES = ["../x", "/etc/x", "a/b", ".hidden", "..", "a\nb", "a\n", "a" * 200, "con\0", "a b", "é", "-x", "$(id)", "<b>", "metrics.csv", "a\\b"]


def places(value, place=()):
    """Every way into a config, one for all entries of a list that look alike."""
    yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*place, key))
    elif isinstance(value, list):
        seen = set()
        for i, inner in enumerate(value):
            kind = tuple(inner) if isinstance(inner, dict) else type(inner)
            if kind not in seen:
                yield from places(inner, (*place, i))
            seen.add(kind)


def at(config, place):
    for key in place:
        config = config[key]
    return config


def changed(config, place, value=None, remove=False):
    """A copy with one value replaced or removed; at the empty place the whole config is replaced."""
    config = copy.deepcopy(config)
    if not place:
        return value
    owner = at(config, place[:-1])
    if remove:
        del owner[place[-1]]
    else:
        owner[place[-1]] = value
    return config


def mutations(config):
    """Yield (what was done, the key that it was done to, the config)."""
    for place in places(config):
        old = at(config, place)
        if place:
            yield "removed", place, changed(config, place, remove=True)
        for value in ANY + (NAMES if isinstance(old, str) else []):
            yield f"set to {repr(value)[:40]}", place, changed(config, place, value)
        if isinstance(old, str):
            yield "misspelt", place, changed(config, place, old + "x")
        if isinstance(old, dict):
            for key in ("unknown", "u" * 300, "two\nlines", 1, False, None, "no\0"):
                yield f"a key {str(key)[:10]!r} added", place, changed(config, place, old | {key: 0})
        if isinstance(old, list) and old:
            yield "its first entry twice", place, changed(config, place, [*old, old[0]])
            yield "a list in place of a list's entries", place, changed(config, place, [old])
        if isinstance(old, dict) and place and old:
            yield "a list of pairs", place, changed(config, place, list(old.items()))


def after_the_check(config):
    """What the workflow computes from a config once it is checked: none of it may fail."""
    config = study.ordered(config)
    study.summary(config), study.batches(config), study.columns(config), study.distillation_jobs(config)


def refusal(config):
    """The message by which a config is refused, or None; anything but a UserError escapes."""
    try:
        study.check(config, SCHEMA)
    except UserError as error:
        return str(error)
    after_the_check(config)
    return None


def names_the_key(message, place):
    """Whether a message names a key or, where a reference broke elsewhere, at least a key of the config."""
    plain = [key for key in place if isinstance(key, str)]
    return not plain or any(key in message for key in plain) or re.match(r"config: [a-z_]+[\[.:]", message)


def test_every_wrong_config_is_one_line_that_names_the_key():
    refused, accepted, wrong = 0, 0, []
    for name, config in CONFIGS.items():
        for what, place, mutant in itertools.islice(mutations(config), 0, None, 1 if name.startswith("tests") else 9):
            where = f"{name}: {place}: {what}"
            try:
                message = refusal(mutant)
            except Exception as error:  # noqa: BLE001
                wrong.append(f"{where}: {type(error).__name__}: {error}"[:300])
                continue
            if message is None:
                accepted += 1
                continue
            refused += 1
            if "\n" in message or not message.isprintable() or len(message) > 400 or not message.startswith("config: "):
                wrong.append(f"{where}: {message[:500]!r}")
            elif re.search(r"Traceback|\w+Error\b|<class|object at 0x", message) or not names_the_key(message, place):
                wrong.append(f"{where}: {message}")
    assert not wrong, f"{len(wrong)} of {refused + accepted}:\n" + "\n".join(wrong[:40])
    print(refused, accepted)
    assert refused > 2000 and accepted < refused / 4
