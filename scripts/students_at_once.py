"""Measure how many students of each network train fastest together on this machine's device, and
suggest it for the config."""

import pandas as pd
import torch

from ils.files import write_csv
from ils.job import log, run
from ils.plan.plan import Plan
from ils.training.costs import known_sizes
from ils.training.devices import choose_device
from ils.training.forecast import speeds


def write_speeds(config, data, output):
    """Write the rows of `ils.training.forecast.speeds` as a csv file to `output`, and print what to
    write into the config.

    config: the study's, without its synthetic section; data: the prepared files of the datasets
    that have no `expect`.
    """
    torch.set_num_threads(1)  # as the training jobs do
    plan = Plan(config)
    device = choose_device(config["device"])
    table = pd.DataFrame(speeds(plan, known_sizes(plan, data), device))
    write_csv(output, table)
    lines = ["samples x students a second; best to write into the config as students_at_once:"]
    for (network, device), rows in table.groupby(["network", "device"], sort=False):
        speed = rows.set_index("students")["samples_per_second"]
        best = rows.loc[rows["suggested"], "students"].item()
        now = rows.loc[rows["configured"], "students"]
        said = (
            f"as configured, {now.item()}: {speed[now.item()]:,.0f}"
            if len(now)
            else "the configured number was not tried"
        )
        lines.append(
            f"{network}, {device}: {best} ({speed[best]:,.0f}); {said}; alone: {speed[1]:,.0f}"
        )
    text = "\n".join(lines)
    log.info("%s", text)
    print(text, flush=True)


if __name__ == "__main__":
    run(
        write_speeds,
        snakemake,
        config=snakemake.params.config,
        data=dict(zip(snakemake.params.data, snakemake.input.data, strict=True)),
        output=snakemake.output[0],
    )
