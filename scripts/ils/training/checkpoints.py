"""Checkpoints of a training job: one that was killed goes on after the last epoch that it kept.

It ends with the same bytes. Beside the shard that a job is to write lies `<shard>.partial/<cell>`
with one file for each chunk of students: its results, or its state after some epoch. Where students
race, those that go on train in chunks of their own, with files of their own. A file is
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
from collections.abc import Mapping
from pathlib import Path

import numpy as np
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

    def chunk(self, start, students, after=0):
        """The `Checkpoint` of the students from `start` on in the job's grid points; those that go
        on `after` an epoch's race are counted anew."""
        stage = f"_after{after}" if after else ""
        return Checkpoint(self.folder / f"{start}-{start + students - 1}{stage}.safetensors", self)


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
    Tensors and arrays have the students first, or are one number for all of them: so students can
    leave a network, and those of several go on in one.
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
        sizes = [learners.students for learners in self.learners.values()]
        arrays["group/number"] = np.repeat(np.arange(len(sizes)), sizes)
        arrays |= {
            f"generator/{name}": generator.get_state().numpy()
            for name, generator in self.generators.items()
        }
        for group, learners in self.learners.items():
            for name, value in learners.memory.items():
                if isinstance(value, torch.nn.Module):
                    arrays |= {  # without those that the CPU computes in vain
                        f"network/{group}/{name}/{key}": tensor[: learners.students].cpu().numpy()
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
            if kind == "group":
                continue
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
            learners = self.learners[group]
            learners.memory[name] = copied = learners.network.copied()
            for key, tensor in copied.state_dict().items():
                tensor[: learners.students] = weights[key]

    def take(self, students):
        """Go on with students of other trainings that have come equally far, which their learners
        here name in the same order.

        Each is (`arrays` of its training's state, its row in them).
        """
        common, _ = students[0]
        taken = {key: common[key] for key in common if key.startswith("generator/")}
        for key in (key for key in common if key.startswith(("tensor/", "record/"))):
            read = {id(of): of for of, _ in students}  # the arrays of a training once
            read = {number: of[key] for number, of in read.items()}
            taken[key] = joined([own_part(read[id(of)], row) for of, row in students])
        start = 0
        for group, learners in self.learners.items():
            end = start + learners.students
            own = [remembered(arrays, row, learners.method) for arrays, row in students[start:end]]
            for key in own[0]:
                taken[key.replace("/", f"/{group}/", 1)] = joined([of[key] for of in own])
            start = end
        self.restore(taken)


class Kept(Mapping):
    """The state of trained students, each array read from their file when it is asked for: those of
    all students of a job need not fit into memory."""

    def __init__(self, path, names):
        self.path, self.names = path, list(names)

    def __getitem__(self, name):
        arrays, _ = load_arrays(self.path, [f"state/{name}"])
        return arrays[f"state/{name}"]

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


def own_part(array, row):
    """The part (1, ...) of a student in an array that has students first, or the number of all."""
    return array[row : row + 1] if array.ndim else array


def joined(parts):
    """The array of some students' own parts; a number is the same for all of them."""
    return np.concatenate(parts) if parts[0].ndim else parts[0]


def remembered(arrays, row, method):
    """What the targets of one student remember, {"kind/name": its own part}, from the `arrays` of
    its training's state, in which it has a `row`; UserError where it has no part of its own."""
    numbers = arrays["group/number"]
    group, place = f"{numbers[row]} {method}", row - np.argmax(numbers == numbers[row])
    students, own = np.sum(numbers == numbers[row]), {}
    for key in arrays:
        kind, of, *names = key.split("/")
        if kind not in ("memory", "network") or of != group:
            continue
        array = arrays[key]
        if array.ndim and len(array) != students:
            raise UserError(
                f"{method}: what it keeps in its memory as {names[0]!r} has shape {array.shape}; "
                f"where students race it must have them first, here {students}, or be a number"
            )
        own["/".join([kind, *names])] = own_part(array, place)
    return own
