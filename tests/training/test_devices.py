"""GPUs: how many there are, and which one a process takes.

And that the workflow neither overloads one nor lets it wait.
"""

import functools
import re
import subprocess
import sys

import pytest
import torch

from conftest import ROOT, Clone, on_gpus
from ils.errors import UserError
from ils.training import devices

NAMED = {
    "0": 1,
    "0,1": 2,
    " 2 , 0": 2,
    "GPU-8932f937,MIG-4f2a": 2,
    "": 0,
    "-1": 0,
    "0,-1,1": 1,
    "NoDevFiles": 0,
}


def test_gpus_are_those_that_cuda_would_see():
    assert {visible: devices.count(visible) for visible in NAMED} == NAMED


def test_gpus_are_those_of_the_machine_where_none_are_named(tmp_path):
    assert devices.count(None, tmp_path) == 0
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "proc/driver/nvidia/gpus" / name).mkdir(parents=True)
    assert devices.count(None, tmp_path) == 2 and devices.count("0", tmp_path) == 1
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):  # a container was given one of the two
        (tmp_path / "dev" / name).touch()
    assert devices.count(None, tmp_path) == 1


CLAIM = """
import sys
from ils.training.devices import claim
print(claim(), "torch" in sys.modules, flush=True)
input()
"""


def test_processes_take_different_slots_and_a_killed_one_frees_its_own(tmp_path):
    variables, started = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "scripts")}, []

    def start():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started.append(
            subprocess.Popen([sys.executable, "-c", CLAIM], env=variables, text=True, **pipes)
        )
        return started[-1]

    def slot(process):
        return process.stdout.readline().strip()

    try:
        processes = {slot(process): process for process in [start() for _ in range(3)]}
        assert set(processes) == {"0 False", "1 False", "2 False"}
        processes["1 False"].kill()
        processes["1 False"].wait()
        assert slot(start()) == "1 False" and slot(start()) == "3 False"
    finally:
        for process in started:
            with process:
                process.kill()


def test_a_folder_of_slots_that_is_none_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert devices.claim() == 0
    (folder,) = tmp_path.iterdir()
    folder.rename(tmp_path / "another")
    folder.write_text("")
    message = r"ils-gpu-slots-.*: cannot lock a file: File exists; set TMPDIR"
    with pytest.raises(UserError, match=message):
        devices.claim()


def test_a_process_takes_one_gpu_for_all_its_cells(monkeypatch, caplog):
    slots = iter([3])
    for name, value in {"is_available": True, "device_count": 2}.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "get_device_name", "model of {}".format)
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(devices, "claim", lambda: next(slots))
    monkeypatch.setattr(devices, "gpu", functools.cache(devices.gpu.__wrapped__))
    with caplog.at_level("INFO"):
        chosen = [devices.choose_device(wanted) for wanted in ("cpu", "auto", "auto", "cuda")]
    assert [str(device) for device in chosen] == ["cpu", "cuda:1", "cuda:1", "cuda:1"]
    assert caplog.messages == ["device: cuda:1, model of cuda:1"]
    assert current == [torch.device("cuda", 1)]


@pytest.fixture(scope="module")
def clone(finished, tmp_path_factory):
    """A finished clone whose networks now ask for a GPU, of which there seems to be one."""
    names = [path.name for path in finished.folder.iterdir()]
    copied = Clone(tmp_path_factory.mktemp("one_gpu"), finished.folder, names)
    copied.edit_config(on_gpus)
    copied.variables = copied.variables | {"CUDA_VISIBLE_DEVICES": "0"}
    return copied


def rounds(output):
    """Yield the messages of the jobs that ran after each time that Snakemake started some."""
    running = {}
    for text in output.split("\nExecute ")[1:]:
        running |= dict(re.findall(r"^Job (\d+): (.*)", text, re.M))
        yield list(running.values())
        for number in re.findall(r"^Finished jobid: (\d+)", text, re.M):
            del running[number]


def test_one_gpu_job_runs_at_a_time_beside_cpu_jobs_and_waits_for_none_of_them(clone):
    batch = "results/students/iris_MLP_and_1_more_seed0"
    trained = [f"{batch}/{method}/shard0.safetensors" for method in ("no_ls", "ls")]
    replicates = [
        f"results/synthetic/{setup}/replicates{numbers}.csv"
        for setup in ("deep", "shallow")
        for numbers in ("0-1", "2-2")
    ]
    ran = list(rounds(clone.snakemake("--cores", "2", "--force", *trained, *replicates)))
    assert len(set().union(*ran)) == 6 and max(map(len, ran)) == 2
    on_gpu = [sum(message.startswith("Training") for message in messages) for messages in ran]
    # Never two, and none only when both are done.
    assert on_gpu[0] == 1 and on_gpu == sorted(on_gpu, reverse=True)


@pytest.mark.parametrize(
    "visible, arguments, gpus",
    [
        ("0,1", "--cores 4", "2"),
        ("0", "--cores 4 --resources gpu=3", "3"),
        ("", "--cores 4", None),
        ("0", "--profile slurm", None),
    ],
)
def test_snakemake_is_told_the_number_of_gpus_unless_the_user_says_one_or_a_cluster_counts(
    clone, visible, arguments, gpus
):
    """Only a run says what is provided; the shortest run is one that touches a file."""
    clone.variables["CUDA_VISIBLE_DEVICES"] = visible
    output = clone.snakemake(*arguments.split(), "--touch", "--force", "results/table3.tex")
    assert "(100%) done" in output
    provided = re.findall(r"^Provided resources:.*\bgpu\D+(\d+)", output, re.M)
    assert provided == ([gpus] if gpus else [])
