"""How long a run may still take, by the durations of jobs: of this run, and of an earlier one."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

METADATA = Path(".snakemake/metadata")  # what Snakemake keeps of the job behind every file
DEFAULT_STUDY = Path(__file__).with_name("default_study.json")  # `durations` of one, on two cores


def kind_of(rule: str) -> str:
    """A rule's name without numbers: the jobs of all seeds and batches of pairs are of one kind."""
    return re.sub(r"\d+", "", rule)


def durations(metadata: Path = METADATA) -> dict[str, list[float]]:
    """The seconds that earlier jobs took, by kind, in the order in which they started."""
    jobs = {}
    for path in metadata.rglob("*"):
        try:
            kept = json.loads(path.read_text())
            seconds = round(kept["endtime"] - kept["starttime"], 1)
            jobs[kept["rule"], kept["job_hash"]] = kept["starttime"], kind_of(kept["rule"]), seconds
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a folder, or of another version of Snakemake
    found = defaultdict(list)
    for _, kind, seconds in sorted(jobs.values()):
        found[kind].append(seconds)
    return found


class TimeLeft:
    """What a run still needs.

    Where an earlier run had as many jobs of a kind, the n-th is expected to take what the n-th took
    then, times how much slower this run has been so far; else what its kind took on average in this
    run, or before the first of it has ended, earlier. Of other jobs nothing is known.
    """

    def __init__(self, rules: Mapping[str, int], cores: int, now: float):
        self.counts: Counter[str] = Counter()
        for rule, jobs in rules.items():
            self.counts[kind_of(rule)] += jobs
        self.earlier, self.source = durations(), "earlier runs here"
        default: dict[str, list[float]] = json.loads(DEFAULT_STUDY.read_text())
        if not self.earlier.keys() & self.counts.keys():
            same = all(self.counts[kind] == len(took) for kind, took in default.items())
            self.earlier, self.source = default if same else {}, "this study on another machine"
        self.cores, self.start = cores, now
        self.begun: Counter[str] = Counter()
        self.running: dict[int, tuple[str, int, float]] = {}
        self.took: dict[str, list[float]] = defaultdict(list)  # in this run, by kind
        # Seconds of the jobs so far, and what they took earlier; the first short ones weigh little.
        weight = sum(sum(took) for kind, took in self.earlier.items() if self.same(kind)) / 20
        self.compared = [weight, weight]

    def begin(self, job: int, rule: str, now: float) -> None:
        """Note that a job starts."""
        kind = kind_of(rule)
        self.running[job] = kind, self.begun[kind], now
        self.begun[kind] += 1

    def end(self, job: int, now: float, finished: bool = True) -> None:
        """Note that a job has ended; how long one took that failed tells nothing."""
        if job not in self.running:
            return
        kind, number, start = self.running.pop(job)
        if finished:
            self.took[kind].append(now - start)
            if self.same(kind):
                self.compared[0] += now - start
                self.compared[1] += self.earlier[kind][number]

    def same(self, kind: str) -> bool:
        """Whether an earlier run had as many jobs of this kind."""
        return len(self.earlier.get(kind, [])) == self.counts[kind]

    def expected(self, kind: str, number: int) -> float | None:
        """The seconds of a job, where something is known."""
        if self.same(kind):
            slower = self.compared[0] / self.compared[1] if self.compared[1] else 1
            return slower * self.earlier[kind][number]
        took = self.took.get(kind) or self.earlier.get(kind)
        return fmean(took) if took else None

    def seconds(self, now: float) -> tuple[float, float]:
        """The seconds left, and the share of the jobs left whose length is known."""
        running = self.running.values()
        jobs = [(self.expected(kind, number), now - start) for kind, number, start in running]
        for kind, count in self.counts.items():
            jobs += [(self.expected(kind, n), 0.0) for n in range(self.begun[kind], count)]
        left = [max(0.0, seconds - passed) for seconds, passed in jobs if seconds is not None]
        busy = sum(map(sum, self.took.values())) + sum(now - start for *_, start in running)
        at_a_time = busy / (now - self.start) if self.took else self.cores
        return max([sum(left) / max(1.0, at_a_time), *left]), len(left) / max(1, len(jobs))

    def words(self, now: float) -> str:
        """The time left: "about" where an earlier run had the same jobs, "perhaps" where the times
        of some stand for others, nothing where the length of more than half of them is unknown.
        """
        seconds, known = self.seconds(now)
        if known < 0.5 or not (self.cores or self.took):  # on a cluster: how many run at a time?
            return ""
        if seconds < 60:
            return "under 1 min left"
        alike = known > 0.9 and all(map(self.same, self.counts.keys() & self.earlier.keys()))
        return f"{'about' if alike else 'perhaps'} {in_words(seconds)} left"


def in_words(seconds: float) -> str:
    """A time as roughly as it is known: minutes, from ten on in fives, then hours, then days."""
    minutes = seconds / 60
    if minutes < 9.5:
        return f"{minutes:.0f} min" if minutes >= 1 else "under 1 min"
    if minutes < 90:
        return f"{5 * round(minutes / 5)} min"
    return f"{minutes / 60:.0f} h" if minutes < 36 * 60 else f"{minutes / 1440:.0f} days"
