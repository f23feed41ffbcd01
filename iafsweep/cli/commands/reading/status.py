"""`run_sweep.py status`, without Ray and PyTorch."""

import math
from itertools import islice
from pathlib import Path

from rich.console import Console

from iafsweep.cli.console import make_console, say
from iafsweep.cli.options.sweep import Folder
from iafsweep.records import nats_text
from iafsweep.results.status import Status, status_of
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep, resume_command
from iafsweep.texts import counted, span_text

_MOST_NAMED = 8


def status(folder: Folder) -> None:
    """Show whether a sweep is running, how its trials ended, the best one, what is not scored, and the time left.

    Example: `run_sweep.py status runs/quick-1`
    """
    show_status(folder, make_console())


def show_status(folder: Path, console: Console) -> None:
    """Print the state of a sweep."""
    sweep = read_sweep(SweepFolder(folder))
    for line in status_lines(status_of(sweep), resume_command(sweep.folder, sweep.space, sweep.state)):
        say(console, line)


def status_lines(now: Status, going_on: str) -> list[str]:
    """Return the state of a sweep, line by line; ``going_on`` is the command that continues its training."""
    running = "not running" if now.driver is None else f"running ({now.driver})"
    lines = [f"{now.folder}: {running}"]
    counts = ", ".join(f"{count} {status}" for status, count in now.counts.items())
    lines.append(f"{now.ended} of {counted(now.trials, 'trial')} ended{': ' + counts if counts else ''}")
    if now.best is not None:
        best = nats_text(now.best.best_value or math.nan, now.dimensions)
        lines.append(f"best: {now.best.trial}, {best} at epoch {now.best.best_epoch}")
    lines += [
        f"  {each.trial}: {each.doing}, epoch {each.epochs}{_bound(each.best, now.dimensions)}" for each in now.running
    ]
    if now.rerun_files:
        lines.append(f"{counted(now.rerun_files, 'scoring result')} on disk")
    if now.left is not None:
        lines.append(f"{span_text(now.left)} of training left")
    if now.ended_as is not None and now.driver is None:
        because = f": {now.ended_as.reason}" if now.ended_as.reason else ""
        lines.append(f"training ended as {now.ended_as.outcome}{because}, {now.ended_as.time}")
    if now.was_killed:
        lines.append("the last driver was killed: it recorded no end")
    if now.unscored:
        lines.append(_unscored(now))
    is_exhausted = now.ended_as is not None and now.ended_as.outcome == "exhausted"  # nothing new is left to propose
    if now.driver is None and now.ended < now.trials and not is_exhausted:
        lines.append(f"to go on: {going_on}")
    return [*lines, *(f"ledger: {problem}" for problem in now.problems)]


def _unscored(now: Status) -> str:
    shown = (f"{each} (its evaluation.json is damaged)" if each in now.damaged else each for each in now.unscored)
    some = ", ".join(islice(shown, _MOST_NAMED)) + (", ..." if len(now.unscored) > _MOST_NAMED else "")
    if now.driver is not None:
        return f"not scored yet: {some}"
    return f"not scored: {some}; to score: {sweep_command('rerun', now.folder)}"


def _bound(value: float | None, dimensions: int | None) -> str:
    return "" if value is None else f", best bound {nats_text(value, dimensions)}"
