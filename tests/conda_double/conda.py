"""A double of the conda command, for machines that reach no channel: it answers what Snakemake
9.27.1 calls, no more.

It builds each environment with uv from the packages that the YAML file lists, taken from PyPI, and
nothing else: no package of the launcher or of the tests can be imported there. Of a lower bound it
takes the bound. What real conda would solve and install is another matter.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

BASE = Path(__file__).resolve().parent
REQUIREMENTS = BASE.parent.parent / "requirements.txt"
PYPI = {"pytorch": "torch"}  # where PyPI's name is another
REQUIREMENT = r"([\w.-]+)(?:\[\w+\])?(?:(?:==?|>=)([\w.]+))?"  # as in envs/; else an error
# Which scripts ran on the environment's own Python, for the test: {prefix}.ran lists them.
SITECUSTOMIZE = """
import sys

with open(sys.prefix + ".ran", "a") as file:
    file.write(sys.argv[-1] + "\\n")
"""


def locked():
    """The pins of requirements.txt without hashes, {package: [lines]}: some depend on Python's
    version."""
    pins = {}
    for name, pin in re.findall(r"^([\w.-]+)(==.*?) *\\$", REQUIREMENTS.read_text(), re.M):
        pins.setdefault(name, []).append(name + pin)
    return pins


def packages(environment):
    """What an environment file lists, pip's section included: {conda's or PyPI's name: version or
    lower bound}, "" where it is open."""
    versions = {}
    for entry in environment["dependencies"]:
        for requirement in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, version = re.fullmatch(REQUIREMENT, requirement).groups()
            versions[name] = version or ""
    return versions


def uv(*arguments):
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


def create(file, prefix):
    """Build the environment that a YAML file describes in the folder `prefix`."""
    listed = packages(yaml.safe_load(Path(file).read_text()))
    wanted = {
        PYPI.get(name, name): version
        for name, version in listed.items()
        if name not in ("python", "pip")
    }
    # What the file leaves open is as in requirements.txt: no release of tomorrow changes the test.
    open_pins = [line for name, lines in locked().items() if name not in wanted for line in lines]
    constraints = Path(f"{prefix}.constraints.txt")
    constraints.write_text("\n".join(open_pins) + "\n")
    uv("venv", "--quiet", "--python", listed["python"], prefix)
    requirements = [
        f"{name}=={version}.*" for name, version in wanted.items()
    ]  # `=` takes 3.11.2 for 3.11
    uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        prefix,
        "--constraint",
        str(constraints),
        *requirements,
    )
    for folder in Path(prefix).glob("lib/python*/site-packages"):
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--version"]:
            print("conda 24.7.1, a double")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(BASE), "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case [
            "env",
            "create",
            "--quiet",
            "--no-default-packages",
            "--file",
            file,
            "--prefix",
            prefix,
        ]:
            create(file, prefix)
        case ["clean", "-y", "--tarballs"]:
            pass
        case other:
            print(f"the double of conda does not know: conda {' '.join(other)}", file=sys.stderr)
            sys.exit(2)
