"""A real Slurm on this machine: munged, slurmctld and one slurmd on loopback, with two GPUs that
are only device files.

As root, with Debian's packages slurmctld, slurmd, slurm-client and munge. No database: job states
come from squeue.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.txt
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=5
MinJobAge=3600
KillWait={kill_wait}
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
GRES = "AutoDetect=off\nNodeName={host} Name=gpu File={folder}/dev/gpu[0-1]\n"
CONFIGURATION = Path("/etc/slurm/slurm.conf")  # job steps look for it there
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")


def lacking():
    """Why no cluster can be started here, or an empty text."""
    if os.geteuid():
        return "starting a Slurm takes root"
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"no {', '.join(missing)}: .ci/run says which packages"
    if CONFIGURATION.exists() and not CONFIGURATION.is_symlink():
        return f"{CONFIGURATION} belongs to a real cluster"
    return ""


def client(*command, check=True):
    """Run one of Slurm's commands; none may wait for ever."""
    done = subprocess.run(["timeout", "20", *map(str, command)], capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def slurm(folder, kill_wait=5):
    """Run the cluster in `folder` (a short path: a socket lies in it) while the body runs; yields
    its node's name."""
    host, configuration = socket.gethostname(), CONFIGURATION
    for name in ("munge", "dev", "state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    for gpu in range(2):
        os.mknod(folder / f"dev/gpu{gpu}", 0o666 | 0o020000, os.makedev(195, gpu))
    key = folder / "munge/key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for name, text in (("slurm.conf", CONF), ("gres.conf", GRES)):
        (folder / name).write_text(text.format(folder=folder, host=host, kill_wait=kill_wait))
        configuration.with_name(name).parent.mkdir(exist_ok=True)
        configuration.with_name(name).unlink(missing_ok=True)
        configuration.with_name(name).symlink_to(folder / name)
    munge = {
        "key-file": key,
        "socket": folder / "munge/socket",
        "pid-file": folder / "munge/pid",
        "log-file": folder / "munge/log",
    }
    munge |= {"seed-file": folder / "munge/seed"}
    daemons = []
    try:
        for command in (
            [
                "munged",
                "--foreground",
                "--force",
                *(f"--{name}={path}" for name, path in munge.items()),
            ],
            ["slurmctld", "-D"],
            ["slurmd", "-D", "-N", host],
        ):
            options = {"stderr": subprocess.STDOUT, "start_new_session": True}
            with open(folder / f"{command[0]}.out", "w") as log:
                daemons.append(subprocess.Popen(command, stdout=log, **options))
            if command[0] == "munged":
                wait_for(lambda: (folder / "munge/socket").exists(), "munged")
        wait_for(lambda: "idle" in client("sinfo", "-h", "-o", "%T", check=False), "the node")
        yield host
    finally:
        client("scancel", "--user=root", check=False)
        for process, _ in processes(
            "SLURM_CLUSTER_NAME=test"
        ):  # what it lost track of when a node failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for daemon in reversed(daemons):
            daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            daemon.kill()
        for name in ("slurm.conf", "gres.conf"):
            configuration.with_name(name).unlink(missing_ok=True)


def processes(variable):
    """Yield (id, command) of every process with an environment variable, "NAME=value"."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\0{variable}\0".encode() in b"\0" + (path / "environ").read_bytes():
                yield int(path.name), (path / "cmdline").read_bytes()


def wait_for(condition, what, seconds=60):
    """Wait until `condition()` is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: nothing in {seconds} s"
        time.sleep(0.1)
