"""What any config may get wrong: its keys, types and ranges, each a message that names the key."""

import difflib
import re
import sys
from typing import Any

from ils.errors import UserError


def short(text, most=60):
    """Return a text cut to so many characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def shown(value):
    """Return a value of the config as a message shows it: one short line."""
    plain = value is None or isinstance(value, (bool, int, float, str, list, dict))
    return short(repr(value if plain else str(value)))  # YAML also makes dates, for example


def dotted(keys):
    """Return the way to a value as a message shows it, such as "datasets[0].name"."""
    text = ""
    for key in keys:
        plain = isinstance(key, str) and re.fullmatch(r"[\w+-][\w.+-]{0,59}", key)
        text += f".{key}" if plain else f"[{shown(key)}]"
    return text.removeprefix(".") or "(top level)"


def one_of(key, name, allowed):
    """Raise UserError unless `name` is one of `allowed`, suggesting the nearest."""
    if name not in allowed:
        near = difflib.get_close_matches(str(name), allowed, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UserError(
            f"config: {key}: {shown(name)} is none of "
            f"{short(', '.join(sorted(allowed)), 200)}{hint}"
        )


def check_keys(value, place=()):
    """Raise UserError for a key, at any depth, that is no short line of text; YAML reads 1 and `no`
    as something else.

    And for braces in a text: the config becomes parameters of rules, in which Snakemake takes {x}
    for a wildcard.
    """
    if not place and not isinstance(value, dict):
        raise UserError(f"config: (top level): {shown(value)} is no mapping of keys to values")
    if len(place) > 20:  # YAML's anchors can make a list that contains itself
        raise UserError(
            f"config: {dotted(place[:6])}: nests too deeply; "
            "is there an anchor (&) in its own value?"
        )
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(value, dict) and not isinstance(key, str):
            raise UserError(
                f"config: {dotted(place)}: the key {shown(key)} is no text; "
                "correct it or put it in quotes"
            )
        if isinstance(value, dict) and not (
            key.isprintable() and len(key) <= 60 and not {"{", "}"} & set(key)
        ):
            raise UserError(
                f"config: {dotted(place)}: the key {shown(key)} is no line of at most 60 letters "
                "without braces"
            )
        if isinstance(inner, str) and {"{", "}"} & set(inner):
            place = dotted([*place, key])
            raise UserError(
                f"config: {place}: {shown(inner)} has braces, which mean wildcards to Snakemake; "
                "remove them"
            )
        if isinstance(inner, (dict, list)):
            check_keys(inner, (*place, key))


def is_number(_, value):
    """Whether a value is a number that floating point can hold; JSON's checker takes .inf, .nan and
    10^400, too."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def is_integer(_, value):
    """Whether a value is a number written without a point: 3.0 is no count."""
    return isinstance(value, int) and is_number(_, value)


def remedy(wanted, value):
    """Return what to do about a value of the wrong type, where YAML's rules surprise."""
    if isinstance(value, (int, float)) and not abs(value) <= sys.float_info.max:
        return "; it must be finite"
    if (
        wanted == "number"
        and isinstance(value, str)
        and re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", value)
    ):
        return "; YAML wants a point and a sign, 1.0e-2"
    if wanted == "string" and not isinstance(value, (str, list, dict)):
        return "; in quotes it is text"
    return ""


def check_schema(config, schema):
    """Raise UserError for the first violation of the JSON schema, naming the key and what is
    allowed there."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": is_integer, "number": is_number}
    )
    error = best_match(extend(Draft202012Validator, type_checker=types)(schema).iter_errors(config))
    if error is None:
        return
    key, value = dotted(error.absolute_path), error.instance
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = sorted(set(value) - set(known))[0]
        one_of(dotted([*error.absolute_path, unknown]), unknown, set(known))
    message = error.message.replace(repr(value), shown(value))
    if error.validator == "pattern":
        wanted = error.schema.get("description", error.validator_value)
        message = f"{shown(value)} does not match: {wanted}"
    elif error.validator == "type":
        message += remedy(error.validator_value, value)
    raise UserError(f"config: {key}: {message}")
