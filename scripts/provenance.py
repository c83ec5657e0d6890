"""Write down what ran: the resolved config, versions, machine and commit, as JSON and as a page for
the report."""

import json
from html import escape
from pathlib import Path

import pandas as pd

from ils.document.pages import page, table
from ils.document.provenance import facts
from ils.files import write_text
from ils.job import run


def listing(record):
    """The facts as (name, value) rows, each package one."""
    packages = record["packages"] | {"Python": record["python"]}
    rows = [
        (name, record[name])
        for name in ("config_file", "device", "commit", "platform", "processor", "cores")
    ]
    kernels = record["kernels"]
    rows += [
        ("kernels", kernels["capability"]),
        ("kernels limited by", ", ".join("=".join(item) for item in kernels["limits"].items())),
        ("processor flags", ", ".join(kernels["flags"])),
        ("libraries", "; ".join(kernels["libraries"])),
        ("threads", kernels["threads"]),
        ("GPUs", ", ".join(record["gpus"]) or "none"),
        *sorted(packages.items(), key=lambda item: item[0].lower()),
    ]
    return pd.DataFrame(
        [(name.replace("_", " "), str(value or "none")) for name, value in rows],
        columns=["what", "value"],
    )


def provenance(config, settings, config_file, repository, caption, output, html):
    """config: every setting; settings: the same to read; config_file: its name; repository: the
    folder of the code."""
    record = {
        "config_file": config_file,
        "device": config["device"],
        **facts(repository),
        "config": config,
    }
    write_text(output, json.dumps(record, indent=2, sort_keys=True) + "\n")
    sentence = Path(caption).read_text(encoding="utf-8").strip()
    body = f"{table(listing(record), 'facts')}<h1>Config</h1><pre>{escape(settings)}</pre>"
    write_text(html, page("Config and versions of this run", sentence, body))


if __name__ == "__main__":
    run(
        provenance,
        snakemake,
        config=snakemake.params.config,
        settings=snakemake.params.settings,
        config_file=snakemake.params.config_file,
        repository=snakemake.params.repository,
        caption=snakemake.input.caption,
        output=snakemake.output.json,
        html=snakemake.output.html,
    )
