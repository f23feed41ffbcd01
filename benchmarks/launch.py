"""Measure where the time of a whole sweep goes, from the start of the command to its end.

    python -m benchmarks.launch quick

It runs `run_sweep.py launch` in a temporary folder and prints its wall-clock time by stage. The times come from the
sweep's files (its ledger and log, the logs and metrics of trials, the results of shards) and from when its lines were
printed. While trials train or are scored in parallel, a stage's seconds are the total of all processes divided by
their number. The CPU time of each kind of process is sampled from /proc.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from os import sysconf
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.timing import hardware
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger

ROOT = Path(__file__).parent.parent
LOOK_SECONDS = 0.2
STAMP = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) \w+ (.*)$")
KINDS = {
    **dict.fromkeys(("ray::Resource", "ray::SweepTrial"), "trials"),
    "ray::_Actor": "scoring",
    **dict.fromkeys(("ray::IDLE", "default_worker"), "Ray's idle workers"),
    **dict.fromkeys(("gcs_server", "raylet", "dashboard", "log_monitor", "agent"), "Ray's daemons"),
}
"""Text in the command line of a Ray process, and the kind of process it marks."""


@dataclass
class Watched:
    """The record of a command that was run.

    Attributes:
        began, ended: start and end, by the clock of the files.
        lines: the printed lines, each with its time.
        processors: CPU seconds by kind of process.
    """

    began: float
    ended: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)
    processors: dict[str, float] = field(default_factory=dict)

    def printed(self, text: str) -> float:
        """Return when the first line that contains ``text`` was printed."""
        return next(moment for moment, line in self.lines if text in line)


def watch(command: list[str]) -> Watched:
    """Run a command to its end; record its lines with their times, and the CPU time of its processes."""
    watched = Watched(time.time())
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    done = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, watched, done))
    sampler.start()
    for line in process.stdout:
        watched.lines.append((time.time(), line))
    code = process.wait()
    watched.ended = time.time()
    done.set()
    sampler.join()
    if code:
        sys.exit("".join(line for _, line in watched.lines))
    return watched


def _sample(root: int, watched: Watched, done: threading.Event) -> None:
    """Record the CPU time of a process and of all its descendants while they live."""
    ours, taken, kinds = {root}, dict[int, float](), dict[int, str]()
    while not done.wait(LOOK_SECONDS):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                words = (path / "cmdline").read_text(errors="replace").replace("\0", " ")
            except OSError:  # it has ended
                continue
            pid, parent = int(path.name), int(fields[1])
            if pid in ours or parent in ours:
                ours.add(pid)
                taken[pid] = (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")
                named = (kind for sign, kind in KINDS.items() if sign in words)
                if words or pid not in kinds:  # a zombie has no command line
                    kinds[pid] = "driver" if pid == root else next(named, "others")
    sums: dict[str, float] = defaultdict(float)
    for pid, seconds in taken.items():
        sums[kinds[pid]] += seconds
    watched.processors = dict(sums)


def stamped(path: Path) -> list[tuple[float, str]]:
    """Return the lines of a log, each with its time."""
    found = (STAMP.match(line) for line in path.read_text().splitlines())
    return [(datetime.strptime(each[1], "%Y-%m-%d %H:%M:%S,%f").timestamp(), each[2]) for each in found if each]


def trial_stages(folder: SweepFolder) -> dict[str, float]:
    """Return the seconds of all trials by stage, from their logs; an epoch's line is written after its bound."""
    sums: dict[str, float] = defaultdict(float)
    for trial in read_ledger(folder.ledger).finished:
        run = RunFolder(folder.trial(trial.trial))
        lines = stamped(run.log)
        rows = {row.epoch: row for row in metrics_file.read(run.metrics)}
        compiling = 0.0 if trial.finished is None else trial.finished.compile_seconds
        sums["epochs"] += sum(row.seconds for row in rows.values()) - compiling
        sums["compiling"] += compiling
        began = next(moment for moment, line in stamped(folder.log) if line == f"{trial.trial} started")
        sums["building each trial's model and files"] += lines[0][0] - began
        sums["between epochs: checkpoints, pictures, TensorBoard"] += (
            lines[-1][0] - lines[0][0] - sum(row.seconds for row in rows.values())
        )
    return sums


def shard_seconds(folder: SweepFolder) -> float:
    """Return the total seconds of all scoring tasks."""
    return sum(float(json.loads(path.read_text())["seconds"]) for path in folder.result("x").parent.glob("*.json"))


def table(watched: Watched, folder: SweepFolder) -> list[tuple[str, float]]:
    """Return the wall-clock seconds by stage, in order."""
    log = stamped(folder.log)
    at_a_time = next(int(each[1]) for _, line in log if (each := re.search(r"(\d+) trials? at a time", line)))
    began = next(moment for moment, line in log if " to go, " in line)
    first = next(moment for moment, line in log if line.endswith(" started"))
    ended = next(moment for moment, line in log if line.startswith("the sweep is "))
    results = [path.stat().st_mtime for path in folder.result("x").parent.glob("*.json")]
    scored = max(results, default=ended)
    published = folder.report.stat().st_mtime
    of_trials = {name: seconds / at_a_time for name, seconds in trial_stages(folder).items()}
    scoring = shard_seconds(folder) / at_a_time
    return [
        ("interpreter, importing PyTorch and Ray, images", watched.printed("Starting Ray") - watched.began),
        ("starting Ray", began - watched.printed("Starting Ray")),
        ("starting processes for trials", first - began),
        *of_trials.items(),
        ("idle cores, proposing trials, ledger", ended - first - sum(of_trials.values())),
        ("scoring", scoring),
        ("starting processes for scoring, idle cores", scored - ended - scoring),
        ("stopping Ray, tables, report", published - scored),
        ("printing, end of the process", watched.ended - published),
    ]


WORK = {"epochs", "compiling", "scoring"}
"""The stages that train or score."""


def main() -> None:
    """Run the sweep and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", default="quick")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="further arguments of `run_sweep.py launch`")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    with tempfile.TemporaryDirectory() as temporary:
        where = ["--runs", temporary, "--name", "sweep"]
        words = [sys.executable, "run_sweep.py", "launch", arguments.space, *where, *arguments.words]
        watched = watch(words)
        rows = table(watched, SweepFolder(Path(temporary) / "sweep"))
    whole = watched.ended - watched.began
    console.print(f"{hardware(torch.device('cpu'))}; `run_sweep.py launch {arguments.space}`\n", markup=False)
    console.print("| stage | seconds | share |\n| --- | ---: | ---: |", markup=False)
    for name, seconds in [*rows, ("total", whole)]:
        console.print(f"| {name} | {seconds:.1f} | {seconds / whole:.0%} |", markup=False)
    beside = sum(seconds for name, seconds in rows if name not in WORK)
    console.print(f"\nNeither training nor scoring: {beside:.1f} s, {beside / whole:.0%}\n", markup=False)
    console.print("| processes | CPU seconds |\n| --- | ---: |", markup=False)
    for kind, seconds in sorted(watched.processors.items(), key=lambda each: -each[1]):
        console.print(f"| {kind} | {seconds:.1f} |", markup=False)


if __name__ == "__main__":
    main()
