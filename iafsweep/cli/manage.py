"""Look at a sweep and tell it something while it runs, without importing Ray or PyTorch."""

from __future__ import annotations

import shlex
from itertools import islice
from pathlib import Path

from rich.console import Console

from iafsweep.cli.command_line import program
from iafsweep.errors import SweepError, UserError
from iafsweep.results.status import Status, status_of
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.texts import duration

_LINES_OF_ERROR = 20
_MOST_NAMED = 8


def show_status(folder: Path, console: Console) -> None:
    """Print how a sweep stands."""
    for line in status_lines(status_of(read_sweep(SweepFolder(folder)))):
        console.print(line, markup=False, soft_wrap=True)


def status_lines(now: Status) -> list[str]:
    """Return how a sweep stands, in lines."""
    running = "not running" if now.driver is None else f"running ({now.driver})"
    lines = [f"{now.folder}: {running}"]
    counts = ", ".join(f"{count} {status}" for status, count in now.counts.items())
    lines.append(f"{now.ended} of {now.trials} trials ended{': ' + counts if counts else ''}")
    if now.best is not None:
        lines.append(f"best: {now.best.trial}, {now.best.best_value:.2f} nats at epoch {now.best.best_epoch}")
    lines += [f"  {each.trial}: epoch {each.epochs}{_bound(each.best)}" for each in now.running]
    if now.rerun_files:
        lines.append(f"{now.rerun_files} results of scoring on disk")
    if now.seconds_left is not None:
        lines.append(f"about {duration(now.seconds_left)} of training left")
    if now.ended_as is not None and now.driver is None:
        because = f": {now.ended_as.reason}" if now.ended_as.reason else ""
        lines.append(f"training ended as {now.ended_as.outcome}{because}, {now.ended_as.time}")
    if now.was_killed:
        lines.append("the last driver was killed: it left no word of its end")
    if now.unscored:
        lines.append(_unscored(now))
    is_exhausted = now.ended_as is not None and now.ended_as.outcome == "exhausted"  # there is nothing new to propose
    if now.driver is None and now.ended < now.trials and not is_exhausted:
        lines.append(f"to go on: {_command('resume', now)}")
    return [*lines, *(f"ledger: {problem}" for problem in now.problems)]


def stop_sweep(folder: Path, trial: str | None, console: Console) -> None:
    """Ask a running sweep, or one of its trials, to end in good order."""
    old = SweepFolder(folder)
    sweep = read_sweep(old)
    if sweep.driver is None:
        raise SweepError(f"no driver runs on {old.path}, so there is nothing to stop")
    if trial is None:
        _ask(old.stop_request)
        console.print("Asked to stop: running trials save after the current step. `resume` goes on with them.")
        return
    if trial not in {each.trial for each in sweep.state.unfinished}:
        running = ", ".join(each.trial for each in sweep.state.unfinished) or "none"
        raise UserError(f"--trial {trial}: no such trial is unfinished; unfinished are: {running}")
    _ask(old.trial_stop_request(trial))
    console.print(f"Asked {trial} to stop after the current step; the sweep goes on with others.")


def _ask(request: Path) -> None:
    try:
        request.touch()
    except OSError as error:
        raise SweepError(f"cannot ask it to stop: {error}; signal its driver instead, where it runs") from error


def show_logs(folder: Path, trial: str | None, lines: int, console: Console) -> None:
    """Print the end of the sweep's log or of a trial's, and the error it ended with."""
    old = SweepFolder(folder)
    state = read_sweep(old).state
    path = old.log if trial is None else old.trial(trial) / "run.log"
    if trial is not None:
        old.refuse_unknown(trial, [each.trial for each in state.trials])
    ended = next((each.finished for each in state.trials if each.trial == trial), None)
    if not path.exists() and ended is None:
        raise SweepError(f"{path} does not exist (yet)")
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]:
            console.print(line, markup=False, soft_wrap=True)
    if ended is not None:
        console.print(f"{ended.trial} {ended.status} after {ended.epochs} epochs", markup=False)
        for line in ended.error.splitlines()[-_LINES_OF_ERROR:]:
            console.print(line, markup=False, soft_wrap=True)


def _unscored(now: Status) -> str:
    shown = (f"{each} (its evaluation.json is damaged)" if each in now.damaged else each for each in now.unscored)
    some = ", ".join(islice(shown, _MOST_NAMED)) + (", ..." if len(now.unscored) > _MOST_NAMED else "")
    if now.driver is not None:
        return f"not scored yet: {some}"
    return f"not scored: {some}; to score: {_command('rerun', now)}"


def _command(name: str, now: Status) -> str:
    return shlex.join([*program(), name, str(now.folder)])


def _bound(value: float | None) -> str:
    return "" if value is None else f", best bound {value:.2f} nats"
