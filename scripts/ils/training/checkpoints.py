"""Checkpoints of a training job: one that was killed goes on after the last epoch that it kept.

It ends with the same bytes. Beside the shard that a job is to write lies `<shard>.partial/<cell>`
with one file for each chunk of students: its results, or its state after some epoch. A file is
trusted only if it is whole and the training is the same one: what it is told, the files that it
reads and the code that it runs.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import time
from pathlib import Path

import torch

from ils.errors import UserError
from ils.files import load_arrays, save_arrays
from ils.job import log, tell


def digest(arguments, files):
    """Return what identifies a job: its arguments (as JSON), and the content of the files that it
    reads and runs."""
    content = hashlib.blake2b(json.dumps(arguments, sort_keys=True).encode(), digest_size=16)
    for path in files:
        with open(path, "rb") as file:
            content.update(hashlib.file_digest(file, "blake2b").digest())
    return content.hexdigest()


def folder_of(output):
    """Where the checkpoints of a job that writes `output` lie."""
    return Path(f"{output}.partial")


def forget(output):
    """Remove the checkpoints of a job whose output is written."""
    shutil.rmtree(folder_of(output), ignore_errors=True)


class Checkpoints:
    """The folder of one cell of the job that writes `output`.

    `minutes` pass between two checkpoints of a training; `digest` identifies what is trained.
    all_chunks: whether the last chunk is kept as well when it is finished. A job that trains more
    cells needs that: its output is written when all are done.
    """

    def __init__(self, output, digest, minutes, all_chunks=False, cell=""):
        self.folder = folder_of(output) / cell
        self.digest, self.minutes, self.all_chunks = digest, minutes, all_chunks
        self.told_to_end = self.warned = False

    def listen(self):
        """From now on SIGTERM (a time limit, a drained node, a kill) ends the job after the epoch
        that it is in."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "told_to_end", True))

    def chunk(self, start, students):
        """The `Checkpoint` of the students from `start` on in the job's grid points."""
        return Checkpoint(self.folder / f"{start}-{start + students - 1}.safetensors", self)


class Checkpoint:
    """The file of one chunk of students, finished or in training."""

    def __init__(self, path, job):
        self.path, self.job, self.written = path, job, time.monotonic()

    def load(self):
        """Return (arrays, metadata), or None where there is none to trust: a damaged file is set
        aside."""
        if not self.path.exists():
            return None
        try:
            arrays, metadata = load_arrays(self.path)
            digest = metadata["digest"]
        except UserError as error:
            aside = self.path.with_suffix(".damaged")
            with contextlib.suppress(
                OSError
            ):  # of a folder that cannot be written the next warning tells
                os.replace(self.path, aside)
            tell(
                logging.WARNING,
                f"{error}; set aside as {aside.name}, these students are trained from the start",
            )
            return None
        if digest != self.job.digest:
            log.info("%s is of another config, input or code: left alone", self.path)
            return None
        return arrays, metadata

    def save(self, arrays, **metadata):
        """Write what `load` returns, over what was there; returns whether that was possible.

        A training goes on without a checkpoint: its result may still fit on the disk, or there may
        be room by then.
        """
        self.written = time.monotonic()
        try:
            save_arrays(self.path, arrays, digest=self.job.digest, **metadata)
        except UserError as error:
            if not self.job.warned:
                tell(
                    logging.WARNING,
                    f"{error}; the training goes on without a checkpoint and tries again later",
                )
            self.job.warned = True
            return False
        return True

    def finished(self):
        """Return the arrays of a chunk that is finished, else None."""
        saved = self.load()
        return saved[0] if saved and saved[1]["finished"] else None

    def resume(self, training):
        """Put `training` into the state that was kept; returns how many of its epochs are done."""
        saved = self.load()
        if not saved or saved[1]["finished"]:
            return 0
        training.restore(saved[0])
        log.info("%s: goes on after epoch %d", training.title, saved[1]["epoch"])
        return saved[1]["epoch"]

    def keep(self, training, epoch):
        """Write the state after `epoch` epochs if it is time; end the job if it was told to."""
        kept = False
        if self.job.told_to_end or time.monotonic() - self.written >= 60 * self.job.minutes:
            kept = self.save(training.arrays(), finished=False, epoch=epoch)
        if self.job.told_to_end:
            where = (
                f"kept in {self.path}; run again and it goes on"
                if kept
                else "not kept; free some space and run again"
            )
            raise UserError(
                f"{training.title}: told to end by a signal after epoch {epoch}, which is {where}"
            )


class State:
    """What changes while students train: live tensors, arrays and generators that are read and set
    in place.

    tensors: {name: tensor}; arrays: {name: array}; generators: {name: torch generator}; learners:
    the `step.Learners` of each group, whose targets remember tensors or copies of their network.
    """

    def __init__(self, title, tensors, arrays, generators, learners):
        self.title, self.tensors, self.records, self.generators = title, tensors, arrays, generators
        self.learners = {f"{n} {group.method}": group for n, group in enumerate(learners)}

    def arrays(self):
        """All of it as arrays, {"kind/name": array}."""
        arrays = {
            f"tensor/{name}": tensor.detach().cpu().numpy() for name, tensor in self.tensors.items()
        }
        arrays |= {f"record/{name}": array for name, array in self.records.items()}
        arrays |= {
            f"generator/{name}": generator.get_state().numpy()
            for name, generator in self.generators.items()
        }
        for group, learners in self.learners.items():
            for name, value in learners.memory.items():
                if isinstance(value, torch.nn.Module):
                    arrays |= {
                        f"network/{group}/{name}/{key}": tensor.cpu().numpy()
                        for key, tensor in value.state_dict().items()
                    }
                else:
                    tensor = torch.as_tensor(value)  # or a number
                    arrays[f"memory/{group}/{name}"] = tensor.detach().cpu().numpy()
        return arrays

    def restore(self, arrays):
        """Take over what `arrays` returned."""
        networks: dict[tuple[str, str], dict] = {}
        for key, array in arrays.items():
            kind, name = key.split("/", 1)
            if kind == "record":
                self.records[name][...] = array
                continue
            tensor = torch.from_numpy(array)
            if kind == "tensor":
                with torch.no_grad():
                    self.tensors[name].copy_(tensor)
                continue
            if kind == "generator":
                self.generators[name].set_state(tensor)
                continue
            group, name, *keys = name.split("/")
            if kind == "memory":
                learners = self.learners[group]
                learners.memory[name] = tensor.to(next(learners.network.parameters()).device)
            else:
                networks.setdefault((group, name), {})["/".join(keys)] = tensor
        for (group, name), weights in networks.items():
            copied = self.learners[group].network.copied()
            copied.load_state_dict(weights)
            self.learners[group].memory[name] = copied
