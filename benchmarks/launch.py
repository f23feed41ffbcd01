"""Where the seconds of a whole sweep go, from the start of the command to its end.

    python -m benchmarks.launch quick

Runs `run_sweep.py launch` in a temporary folder and makes a table of its wall clock by stage, from times that stand in
its files (the sweep's ledger and log, the trials' logs and metrics, the shards' results) and from when its lines were
printed. While trials train or are scored, side by side, a stage's seconds are those of all processes over their number.
What each kind of process took of the processors is sampled from /proc.
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
"""What stands in the command line of a process of Ray, and what it does."""


@dataclass
class Watched:
    """A command that was run.

    Attributes:
        began, ended: when, by the clock of the files.
        lines: when each line was printed, and which.
        processors: processor seconds by kind of process.
    """

    began: float
    ended: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)
    processors: dict[str, float] = field(default_factory=dict)

    def printed(self, text: str) -> float:
        """When the first line with a text was printed."""
        return next(moment for moment, line in self.lines if text in line)


def watch(command: list[str]) -> Watched:
    """Run a command to its end and note when it prints what, and who works for it."""
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
    """Note the processor time of a process and of all that descend from it, as long as they live."""
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
                if words or pid not in kinds:  # who has ended has none, until its parent asks
                    kinds[pid] = "driver" if pid == root else next(named, "others")
    sums: dict[str, float] = defaultdict(float)
    for pid, seconds in taken.items():
        sums[kinds[pid]] += seconds
    watched.processors = dict(sums)


def stamped(path: Path) -> list[tuple[float, str]]:
    """When each line of a log was written, and which."""
    found = (STAMP.match(line) for line in path.read_text().splitlines())
    return [(datetime.strptime(each[1], "%Y-%m-%d %H:%M:%S,%f").timestamp(), each[2]) for each in found if each]


def trial_stages(folder: SweepFolder) -> dict[str, float]:
    """Seconds of all trials by stage, from their logs: each line of an epoch stands behind its bound."""
    sums: dict[str, float] = defaultdict(float)
    for trial in read_ledger(folder.ledger).finished:
        run = RunFolder(folder.trial(trial.trial))
        lines = stamped(run.log)
        rows = {row.epoch: row for row in metrics_file.read(run.metrics)}
        compiling = 0.0 if trial.finished is None else trial.finished.compile_seconds
        sums["epochs"] += sum(row.seconds for row in rows.values()) - compiling
        sums["compiling"] += compiling
        began = next(moment for moment, line in stamped(folder.log) if line == f"{trial.trial} started")
        sums["building model and files of a trial"] += lines[0][0] - began
        sums["between epochs: checkpoints, pictures, TensorBoard"] += (
            lines[-1][0] - lines[0][0] - sum(row.seconds for row in rows.values())
        )
    return sums


def shard_seconds(folder: SweepFolder) -> float:
    """Seconds that all tasks of scoring took."""
    return sum(json.loads(path.read_text())["seconds"] for path in folder.result("x").parent.glob("*.json"))


def table(watched: Watched, folder: SweepFolder) -> list[tuple[str, float]]:
    """The wall clock by stage, in order."""
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
        ("Ray's start", began - watched.printed("Starting Ray")),
        ("processes of trials", first - began),
        *of_trials.items(),
        ("a core without a trial, proposing, ledger", ended - first - sum(of_trials.values())),
        ("scoring", scoring),
        ("processes of scoring, a core without a task", scored - ended - scoring),
        ("Ray's end, tables, report", published - scored),
        ("printing, end of the process", watched.ended - published),
    ]


WORK = {"epochs", "compiling", "scoring"}
"""Training and scoring themselves."""


def main() -> None:
    """Run it and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", default="quick")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="further words for `run_sweep.py launch`")
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
    for name, seconds in [*rows, ("all", whole)]:
        console.print(f"| {name} | {seconds:.1f} | {seconds / whole:.0%} |", markup=False)
    beside = sum(seconds for name, seconds in rows if name not in WORK)
    console.print(f"\nNeither training nor scoring: {beside:.1f} s, {beside / whole:.0%}\n", markup=False)
    console.print("| processes | processor seconds |\n| --- | ---: |", markup=False)
    for kind, seconds in sorted(watched.processors.items(), key=lambda each: -each[1]):
        console.print(f"| {kind} | {seconds:.1f} |", markup=False)


if __name__ == "__main__":
    main()
