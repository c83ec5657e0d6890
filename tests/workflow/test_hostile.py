"""Configs made wrong on purpose, by rule and hundreds of them: each is one line that names the key,
before any job starts."""

import copy
import itertools
import math
import re
from functools import partial

import pytest
import yaml

from conftest import ROOT, Clone
from ils.errors import UserError
from ils.plan import checks
from ils.plan.artefacts import Artefacts
from ils.plan.plan import Plan

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIGS = {
    name: yaml.safe_load((ROOT / name).read_text())
    for name in ("config/config.yaml", "tests/small.yaml")
}
ITSELF = []
ITSELF.append(ITSELF)

ANY = [
    *(
        None,
        "",
        "word",
        "1e-2",
        "two\nlines",
        "x" * 10_000,
        yaml.safe_load("2020-01-01"),
        True,
        False,
    ),
    *(-1, 0, 3.0, 0.5, 10**300, 10**400, -(10**400), math.inf, -math.inf, math.nan),
    *([], {}, [[]], [None], [{}], {"a": 1}, {1: 2}, {None: 0}, {"two\nlines": 0}, ITSELF),
]
NAMES = [
    "../x",
    "/etc/x",
    "a/b",
    ".hidden",
    "..",
    "a\nb",
    "a\n",
    "a" * 200,
    "con\0",
    "a b",
    "é",
    "-x",
    "a\\b",
]
NAMES += ["$(id)", "<b>", "metrics.csv", "{x}", "{"]


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
    """A copy with one value replaced or removed; at the empty place the whole config is."""
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
    """Yield (what is done, the key that it is done to, a function that returns the config)."""
    for place in places(config):
        old = at(config, place)
        if place:
            yield "removed", place, partial(changed, config, place, remove=True)
        for value in ANY + (NAMES if isinstance(old, str) else []):
            yield f"set to {repr(value)[:40]}", place, partial(changed, config, place, value)
        if isinstance(old, str):
            yield "misspelt", place, partial(changed, config, place, old + "x")
        if isinstance(old, dict):
            for key in ("unknown", "u" * 300, "two\nlines", 1, False, None, "no\0"):
                yield (
                    f"a key {str(key)[:10]!r} added",
                    place,
                    partial(changed, config, place, old | {key: 0}),
                )
        if isinstance(old, list) and old:
            yield "its first entry twice", place, partial(changed, config, place, [*old, old[0]])
            yield (
                "a list in place of a list's entries",
                place,
                partial(changed, config, place, [old]),
            )
        if isinstance(old, dict) and place and old:
            yield "a list of pairs", place, partial(changed, config, place, list(old.items()))


def after_the_check(plan):
    """What the rules ask of the plan of a config that is accepted: none of it may fail."""
    plan.summary()
    for batch in plan.batches:
        plan.evaluation(batch)
        for name in plan.rounds(batch):
            plan.training(batch, name)
            plan.needs(batch, name)
            plan.urgency(batch, name)
    assert plan.wildcards and plan.measuring and Artefacts(plan, "hostile.yaml").outputs


def refusal(config):
    """The message by which a config is refused, or None; anything but a UserError escapes."""
    try:
        checks.check(config, SCHEMA)
        plan = Plan(config)
    except UserError as error:
        return str(error)
    after_the_check(plan)
    return None


def names_the_key(message, place):
    """Whether a message names the key or, where a reference broke elsewhere, one of the config."""
    plain = [key for key in place if isinstance(key, str)]
    return (
        not plain
        or any(key in message for key in plain)
        or re.match(r"config: [a-z_]+[\[.:]", message)
    )


def test_every_wrong_config_is_one_line_that_names_the_key():
    refused, accepted, wrong = 0, 0, []
    mutants = [
        (name, *m)
        for name, step in (("config/config.yaml", 47), ("tests/small.yaml", 5))
        for m in every(step, name)
    ]
    for name, what, place, mutate in mutants:
        where = f"{name}: {place}: {what}"
        try:
            message = refusal(mutate())
        except Exception as error:
            wrong.append(f"{where}: {type(error).__name__}: {error}"[:300])
            continue
        if message is None:
            accepted += 1
            continue
        refused += 1
        if not (message.isprintable() and len(message) <= 400 and message.startswith("config: ")):
            wrong.append(f"{where}: {message[:500]!r}")
        elif re.search(r"Traceback|\w+Error\b|<class|object at 0x", message) or not names_the_key(
            message, place
        ):
            wrong.append(f"{where}: {message}")
    assert not wrong, f"{len(wrong)} of {refused + accepted}:\n" + "\n".join(wrong[:40])
    assert refused > 1000 and accepted < refused / 10


def every(step, name):
    """Every so many mutations of a config; a prime number meets all kinds of them."""
    return itertools.islice(mutations(CONFIGS[name]), 0, None, step)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"cells_per_job": 10**400},
            "config: cells_per_job: 1000.* is not of type 'integer'; it must be finite",
        ),
        ({"cells_per_job": 3.0}, "config: cells_per_job: 3.0 is not of type 'integer'"),
        ({"alpha": math.nan}, "config: alpha: nan is not of type 'number'; it must be finite"),
        (
            {"alpha": "5e-2"},
            "config: alpha: '5e-2' is not of type 'number'; YAML wants a point and a sign, 1.0e-2",
        ),
        (
            {"teacher": False},
            "config: teacher: False is not of type 'string'; in quotes it is text",
        ),  # YAML's no
        (
            {"teacher": "{x}"},
            "config: teacher: '{x}' has braces, which mean wildcards to Snakemake",
        ),
        ({1: 2}, r"config: \(top level\): the key 1 is no text"),
        ({"seeds": ITSELF}, r"config: seeds\[0\].*: nests too deeply; is there an anchor"),
        ({"seeds": [0] * 10_000}, r"config: seeds: \[0, 0, .*\.\.\. has non-unique elements"),
    ],
)
def test_values_that_yaml_makes_of_a_slip_are_explained(change, message):
    assert re.match(message, refusal(CONFIGS["tests/small.yaml"] | change))


def with_beta(**entries):
    """The small config whose method beta has other entries."""
    config = copy.deepcopy(CONFIGS["tests/small.yaml"])
    config["methods"][2] |= entries
    return config


def test_what_methods_inherit_never_leads_back_to_them():
    config = with_beta(inherit={"epsilon": "gamma"})
    gamma = {
        "name": "gamma",
        "label": "G",
        "grid": {"epsilon": [0.1]},
        "inherit": {"alpha": "beta"},
    }
    config["methods"].append(config["methods"][2] | gamma)
    assert "methods[2].inherit: 'beta' inherits from itself, by way of other methods" in refusal(
        config
    )
    both = with_beta(grid={"alpha": [0.4], "epsilon": [0.1]})
    assert "methods[2].inherit.epsilon: epsilon is in the grid, too" in refusal(both)
    assert "must add up to less than 1" in refusal(with_beta(grid={"alpha": [0.8]}))


def test_a_grid_of_who_only_teaches_keeps_the_beta_method_possible():
    config = with_beta()
    config["distillation"] |= {"teachers": ["beta"], "grids": {"ls": {"epsilon": [0.7]}}}
    assert "alpha 0.4 and epsilon 0.7 must add up to less than 1" in refusal(config)


def test_two_pairs_never_share_their_files_names():
    config = copy.deepcopy(CONFIGS["tests/small.yaml"])
    names = ["a_b", "a"], ["c", "b_c"]
    for section, renamed in zip(("datasets", "networks"), names):
        for entry, name in zip(config[section], renamed):
            entry["name"] = name
    for entry, dataset, network in zip(config["experiments"], *names):
        entry |= {"dataset": dataset, "network": network}
    config |= {"distillation": None, "synthetic": None}
    assert (
        "experiments[1]: the files of a with b_c and of a_b with c would have the same names"
        in refusal(config)
    )


@pytest.mark.parametrize("covariance", [[[1, 2], [2, 1]], [[1, 0.5], [0, 1]], [[-1, 0], [0, -1]]])
def test_a_geometry_is_one_that_can_be_drawn_from(covariance):
    config = copy.deepcopy(CONFIGS["tests/small.yaml"])
    config["synthetic"]["geometries"][0]["covariance"] = covariance
    assert "synthetic.geometries[0].covariance: is not symmetric and positive definite" in refusal(
        config
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone"))


SMALL = (ROOT / "tests/small.yaml").read_bytes()


@pytest.mark.parametrize(
    "content, said",
    [
        (SMALL + b"1: x\n", "the key 1 is no text"),
        (b"seeds: &a [*a]\n", r"config: seeds\[0\].*nests too deeply"),
        (
            SMALL.replace(b"name: iris", b"name: ../../x"),
            r"config: datasets\[0\].name: '../../x' does not match: a name is",
        ),
        # Snakemake's own words from here on: they come before a line of ours runs.
        (b"seeds: [0\n  x: : }", "Config file is not valid JSON or YAML"),
        (b"- a\n- b\n", "Config file must be given as JSON or YAML with keys at top level"),
        (b"", "Config file must be given as JSON or YAML with keys at top level"),
        (
            b'seeds: !!python/object/apply:os.mkdir ["results"]\n',
            "Config file is not valid JSON or YAML",
        ),
        (
            SMALL + b"x: caf\xe9\n",
            "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9",
        ),  # with its own traceback
    ],
)
def test_on_the_command_line_a_hostile_config_ends_before_any_job(content, said, clone):
    clone.config.write_bytes(content)
    with pytest.raises(AssertionError) as failed:  # its exit code is not 0
        clone.snakemake("all", "--cores", "1", "--dry-run")
    output = str(failed.value)
    assert re.search(said, output) and "Job stats" not in output
    assert ("Traceback" in output) == ("UnicodeDecodeError" in said) and "scripts/ils" not in output
    assert not (clone.folder / "results").exists()
