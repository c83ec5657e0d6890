"""Forecast what a study will cost on this machine's device: measure some training steps of every
pair, and multiply."""

import pandas as pd
import torch

from ils.files import write_csv
from ils.job import log, run
from ils.plan.plan import Plan
from ils.training.costs import known_sizes
from ils.training.devices import choose_device
from ils.training.forecast import forecast


def short(number):
    """A number in three digits or whole, for reading."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def advice(table, hours_per_job):
    """Say in one line whether the longest job keeps to `hours_per_job`, and what `hours` to give
    each experiment."""
    longest, student = table["longest_job_hours"].max(), table["hours"].max()
    verdict = "exceeds" if longest > hours_per_job else "keeps to"
    line = f"The longest job takes {short(longest)} h, which {verdict} hours_per_job "
    line += f"({hours_per_job:g}). The column `hours` is what to write into the config as `hours` "
    line += "of each experiment"
    if student > hours_per_job:
        line += f", after raising hours_per_job above {short(student)}: one student cannot be split"
    return f"{line}."


def write_forecast(config, data, output):
    """Write the rows of `ils.training.forecast.forecast` and the device as a csv file to `output`,
    and print them.

    config: the study's, without its synthetic section; data: the prepared files of the datasets
    that have no `expect`.
    """
    torch.set_num_threads(1)  # as the training jobs do: a device-hour on a CPU is one core's
    device = choose_device(config["device"])
    plan = Plan(config)
    table = pd.DataFrame(forecast(plan, known_sizes(plan, data), device))
    table["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    write_csv(output, table)
    lines = table.drop(columns="device").to_string(
        index=False, na_rep="", float_format=short, formatters={"trainings": short, "epochs": short}
    )
    where = "CPU core" if device.type == "cpu" else table["device"][0]
    text = f"Measured on one {where}:\n{lines}\n{advice(table, config['hours_per_job'])}"
    log.info("%s", text)
    print(text, flush=True)


if __name__ == "__main__":
    run(
        write_forecast,
        snakemake,
        config=snakemake.params.config,
        data=dict(zip(snakemake.params.data, snakemake.input.data, strict=True)),
        output=snakemake.output[0],
    )
