"""`run_sweep.py export-model`, and the work of `run_single.py --export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.sweep import Folder, trials
from iafsweep.errors import SweepError
from iafsweep.run_files.run_folder import new_folder
from iafsweep.shown_command import sweep_command
from iafsweep.signals import leaving_at_once

if TYPE_CHECKING:
    from iafsweep.api.run import Run


def export_model(
    folder: Folder,
    to: Annotated[Path, typer.Option(help="Folder for the model, new or empty.")],
    trial: Annotated[
        str | None, typer.Option(help="Trial, such as `t0007`; default: the best.", autocompletion=trials)
    ] = None,
) -> None:
    """Write a trial's model to one folder: weights (safetensors), configuration, and a card with its figures.

    The folder contains nothing that identifies this machine; `iafsweep.load_run` reads it anywhere.

    Example: `run_sweep.py export-model runs/quick-1 --to models/best`
    """
    export_trial(folder, trial, to, make_console())


def export_trial(sweep: Path, trial: str | None, to: Path, console: Console) -> None:
    """Write the model of a sweep's trial, or of its best, to a folder of its own."""
    new_folder(to)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api.sweep import load_sweep
    from iafsweep.leaderboard import best_row
    from iafsweep.run_files.run_folder import RunFolder
    from iafsweep.sweep.storage.folder import SweepFolder

    loaded = load_sweep(sweep)
    SweepFolder(loaded.path).refuse_inside(to, "--to")
    if trial is None:
        if (best := best_row(loaded.rows)) is None:
            saved = [each.trial for each in loaded.rows if RunFolder(loaded.path / "trials" / each.trial).best.exists()]
            other = ("export-model", sweep, "--to", to, "--trial")
            remedy = f"take another trial: {sweep_command(*other, saved[0])}" if saved else "try again later"
            raise SweepError(f"{loaded.path} has no completed trial with a finite bound yet; {remedy}")
        trial = best.trial
    _export(loaded.run(trial, "cpu"), to, console)


def export_run(run: Path, to: Path, console: Console) -> None:
    """Write the model of a run folder to a folder of its own."""
    new_folder(to)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api.run import load_run

    _export(load_run(run, "cpu"), to, console)


def _export(run: Run, to: Path, console: Console) -> None:
    folder = run.export(to)
    for problem in run.problems:
        say(console, f"{problem[0].upper()}{problem[1:]}", "yellow")
    say(console, f"Model of {run.path.name}, epoch {run.epoch}: {folder}")
    say(console, f"In Python: iafsweep.load_run({str(to)!r}).model.sample(64)")
