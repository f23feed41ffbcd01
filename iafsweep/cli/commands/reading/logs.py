"""`run_sweep.py logs`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import make_console, say
from iafsweep.cli.options.sweep import Folder, trials
from iafsweep.errors import SweepError
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.texts import counted

_LINES_OF_ERROR = 20


def logs(
    folder: Folder,
    trial: Annotated[
        str | None, typer.Argument(help="Trial, such as `t0007`; default: the sweep's own log.", autocompletion=trials)
    ] = None,
    lines: Annotated[int, typer.Option(min=1, help="Number of lines to show, from the end.")] = 40,
) -> None:
    """Show the log of a trial and the error that ended it, or the log of the sweep.

    Example: `run_sweep.py logs runs/quick-1 t0007`
    """
    show_logs(folder, trial, lines, make_console())


def show_logs(folder: Path, trial: str | None, lines: int, console: Console) -> None:
    """Print the end of the sweep's or a trial's log, and the error that ended the trial."""
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
            say(console, line)
    if ended is not None:
        say(console, f"{ended.trial} {ended.status} after {counted(ended.epochs, 'epoch')}")
        for line in ended.error.splitlines()[-_LINES_OF_ERROR:]:
            say(console, line)
