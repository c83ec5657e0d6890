"""The texts of the repository: what they link and name exists, and what the README shows works."""

import functools
import inspect
import re
import tomllib
from collections import Counter

import pytest
import torch
import yaml

from conftest import ROOT
from ils.plan.plan import Plan

FOLDERS = "", "docs/", "config/", "config/published/", "workflow/", "benchmarks/"
TEXTS = sorted(
    str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("*.md")
)
YOURS = {"config/mine.yaml"}  # readers write it
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


@functools.cache
def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


@functools.cache
def anchors(name):
    """The anchors that GitHub gives a text's headings."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", read(name)), re.M)
    words = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", head).strip().lower() for head in heads]
    slugs = [re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in words]
    seen = Counter()
    for slug in slugs:
        seen[slug] += 1
    return set(slugs) | {f"{slug}-{n}" for slug in seen for n in range(1, seen[slug])}


def links(text):
    """Where a text's links and pictures lead, outside code."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    return re.findall(r"\]\(([^()\s]+)\)", prose) + re.findall(r'src="([^"]+)"', prose)


def leads_nowhere(name, link):
    """Whether a link of the text `name` to a place in the repository leads to none."""
    path, _, anchor = link.partition("#")
    target = (ROOT / name).parent / path if path else ROOT / name
    if not target.resolve().is_relative_to(ROOT) or not target.exists():
        return True
    return bool(anchor) and anchor not in anchors(str(target.resolve().relative_to(ROOT)))


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_to_files_and_headings_that_exist(name):
    inside = [link for link in links(read(name)) if not re.match(r"[a-z]+:", link)]
    assert [link for link in inside if leads_nowhere(name, link)] == []


def test_a_link_to_nothing_is_found():
    found = links(
        "[a](b.md) `[not](this.md)` <img src='no' src=\"docs/c.svg\">\n```\n[nor](d)\n```\n"
    )
    assert found == ["b.md", "docs/c.svg"]
    assert leads_nowhere("README.md", "docs/none.md")
    assert leads_nowhere("README.md", "../elsewhere.md")
    assert leads_nowhere("config/README.md", "YOUR_OWN.md#no-such-heading")
    assert not leads_nowhere("config/README.md", "YOUR_OWN.md#your-own-table")


@pytest.mark.parametrize("name", TEXTS)
def test_named_targets_and_configs_exist(name):
    text = read(name)
    code = " ".join(re.findall(r"`([^`\n]+)`", text) + [block for _, block in FENCE.findall(text)])
    named = set(re.findall(r"(?:^|[\s(`])make ([a-z][\w-]*)", code))
    targets = set(re.findall(r"^([a-z]+):(?!=)", read("Makefile"), re.M))
    assert named <= targets
    configs = set(re.findall(r"(?<![\w/])config/[\w-]+\.yaml", text)) - YOURS
    assert [path for path in configs if not (ROOT / path).exists()] == []


def test_the_readme_is_short_and_its_pictures_are_small():
    assert len(read("README.md").splitlines()) <= 120
    pictures = [link for link in links(read("README.md")) if link.endswith((".svg", ".png"))]
    assert len(pictures) == 2
    assert all((ROOT / picture).stat().st_size < 100_000 for picture in pictures)


def test_the_version_is_said_alike():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    citation = yaml.safe_load(read("CITATION.cff"))
    newest = re.search(r"^## (\S+) \((\S+)\)$", read("CHANGELOG.md"), re.M).groups()
    assert newest == (version, str(citation["date-released"]))
    assert citation["version"] == version


def test_the_picture_of_the_rules_shows_rules():
    rules = {
        rule
        for path in (ROOT / "workflow/rules").glob("*.smk")
        for rule in re.findall(r"^ *(?:use rule \w+ as|rule) (\w+)\b", path.read_text(), re.M)
    }
    drawn = set(re.findall(r">(\w+)</text>", read("docs/rulegraph.svg")))
    assert {"dataset", "train_teacher", "soft_targets", "train_students", "table3"} <= drawn
    assert drawn <= rules


def test_the_readmes_own_data_and_method_fit_into_the_default_study():
    blocks = {language: [] for language in ("yaml", "python")}
    for language, block in FENCE.findall(read("README.md")):
        if language:
            blocks[language].append(block)
    data, method = (yaml.safe_load(block)["add"] for block in blocks["yaml"])
    (code,) = blocks["python"]
    (entry,) = method["methods"]
    names = {}
    exec(code, names)
    function = names[entry["targets"]]
    kinds = inspect.signature(function).parameters.values()
    assert {p.name for p in kinds if p.kind is p.KEYWORD_ONLY} == set(entry["grid"])
    onehot, logits = torch.eye(3), torch.tensor([[0.0, 0, 0], [0, 99, 0], [0, 0, 99]])
    targets = function(onehot, logits, epsilon=0.3)  # Gini's impurity is 2/3 and 0
    expected = [[1 - 0.2 * 2 / 3, 0.2 / 3, 0.2 / 3], [0, 1, 0], [0, 0, 1]]
    torch.testing.assert_close(targets, torch.tensor(expected), atol=1e-6, rtol=0)
    config = yaml.safe_load(read("config/config.yaml"))
    for section, entries in (data | {"methods": [entry | {"targets": "ls"}]}).items():
        config[section] += entries  # this one's own function is in no file
    assert "Gini LS" in [column["column"] for column in Plan.checked(config).columns]
