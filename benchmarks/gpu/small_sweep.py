"""A real sweep of small trials at a quarter of the device each, through `run_sweep.py`: killed once, and resumed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.context import Context, run_step
from iafsweep.run_files.metrics_file import read
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.training import RunFolder

PROGRAM = Path(__file__).parent.parent.parent / "run_sweep.py"
SPACE = Path(__file__).parent / "small_sweep.toml"
EPOCHS_BEFORE_THE_KILL = 2


def main(context: Context) -> None:
    """Launch, kill the driver when a trial has trained some epochs, resume, and look at what came of it."""
    folder = SweepFolder(context.work / "gpu-sweep")
    shutil.rmtree(folder.path, ignore_errors=True)
    words = ["launch", SPACE, "--runs", folder.path.parent, "--name", folder.path.name]
    words += ["--set", f"data.validation_images={context.sizes.sweep_held_out}"]
    words += ["--epochs", context.sizes.sweep_epochs, "--gpus-per-trial", 0.25 if context.device == "cuda" else 0]
    started = time.perf_counter()
    driver = _begin(*words)
    while _epochs(folder) < EPOCHS_BEFORE_THE_KILL and driver.poll() is None:
        time.sleep(0.1)
    ended_before = driver.poll() is not None
    driver.kill()
    code = driver.wait()
    context.record(seconds_to_the_kill=time.perf_counter() - started)
    context.require("the sweep trained until it was killed", not ended_before)
    if ended_before:
        raise SystemExit(f"the sweep ended by itself with exit code {code}")
    before = read_ledger(folder.ledger)
    context.record(begun_before=sum(each.starts > 0 for each in before.trials), ended_before=len(before.finished))
    started = time.perf_counter()
    code = _begin("resume", folder.path).wait()
    context.record(seconds_resumed=time.perf_counter() - started)
    context.require("the sweep that goes on ends well", code == 0)
    _look(context, folder)


def _begin(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(PROGRAM), *map(str, words)], stdin=subprocess.DEVNULL)


def _epochs(folder: SweepFolder) -> int:
    """Epochs that the trial that is furthest has trained."""
    logs = folder.trials.glob("*/metrics.jsonl")
    return max((log.read_text(encoding="utf-8").count("\n") for log in logs), default=0)


def _look(context: Context, folder: SweepFolder) -> None:
    state = read_ledger(folder.ledger)
    ended = [each.finished for each in state.finished if each.finished is not None]
    completed = [each for each in ended if each.status == "completed"]
    context.record(
        trials=len(state.trials),
        completed=len(completed),
        went_on=sum(each.starts > 1 for each in state.trials),
        devices=sorted({each.device for each in ended}),
        seconds_of_trials=sum(each.seconds for each in ended),
        best=min((each.best_value for each in completed if each.best_value is not None), default=None),
    )
    context.require("every trial was completed", len(completed) == len(state.trials) > 0)
    context.require("a trial went on after the kill", any(each.starts > 1 for each in state.trials))
    context.require("all trained on the device", all(each.device.startswith(context.device) for each in ended))
    epochs = [[row.epoch for row in read(RunFolder(folder.trial(each.trial)).metrics)] for each in ended]
    context.require(
        "every epoch was trained once", all(each == [*range(1, context.sizes.sweep_epochs + 1)] for each in epochs)
    )
    context.require("there is a leaderboard", folder.leaderboard_csv.is_file())


if __name__ == "__main__":
    run_step(main)
