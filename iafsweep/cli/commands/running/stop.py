"""`run_sweep.py stop`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import make_console, say
from iafsweep.cli.options.sweep import Folder, trials
from iafsweep.errors import SweepError, UserError
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep


def stop(
    folder: Folder,
    trial: Annotated[
        str | None, typer.Option(help="Stop only this trial, as the scheduler would.", autocompletion=trials)
    ] = None,
) -> None:
    """Ask a running sweep to stop cleanly, from any machine that sees its folder.

    Running trials save after the current step, and `resume` continues them. A trial stopped with --trial appears on
    the leaderboard with status `stopped`, and the sweep continues with others.

    Example: `run_sweep.py stop runs/quick-1 --trial t0007`
    """
    stop_sweep(folder, trial, make_console())


def stop_sweep(folder: Path, trial: str | None, console: Console) -> None:
    """Ask a running sweep, or one of its trials, to stop cleanly."""
    sweep = read_sweep(SweepFolder(folder))
    if sweep.driver is None:
        raise SweepError(f"no driver runs on {sweep.folder.path}, so there is nothing to stop")
    unfinished = [each.trial for each in sweep.state.unfinished]
    if trial is not None and trial not in unfinished:
        running = ", ".join(unfinished) or "none"
        raise UserError(f"--trial {trial} is not an unfinished trial; unfinished are: {running}")
    request = sweep.folder.stop_request if trial is None else sweep.folder.trial_stop_request(trial)
    try:
        request.touch()
    except OSError as error:
        raise SweepError(
            f"cannot ask the sweep to stop: {error}; signal its driver instead, on its own machine"
        ) from error
    if trial is None:
        say(console, "Asked to stop: running trials save after the current step. To go on with them:")
        say(console, f"  {sweep_command('resume', sweep.folder.path)}")
    else:
        console.print(f"Asked {trial} to stop after the current step; the sweep goes on with others.")
