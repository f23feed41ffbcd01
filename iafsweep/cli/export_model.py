"""The work behind `run_sweep.py export-model` and `run_single.py --export`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from iafsweep.api.run import Run, load_run
from iafsweep.api.sweep import load_sweep
from iafsweep.errors import SweepError
from iafsweep.leaderboard import best_row
from iafsweep.sweep.storage.folder import SweepFolder


def export_run(run: Path, to: Path, console: Console) -> None:
    """Write the model of a run folder to a folder of its own."""
    _export(load_run(run, "cpu"), to, console)


def export_trial(sweep: Path, trial: str | None, to: Path, console: Console) -> None:
    """Write the model of a sweep's trial, or of its best, to a folder of its own."""
    loaded = load_sweep(sweep)
    SweepFolder(loaded.path).refuse_inside(to, "--to")
    if trial is None:
        best = best_row(loaded.rows)
        if best is None:
            raise SweepError(
                f"{loaded.path} has no completed trial with a finite bound yet; name a trial with --trial, or try "
                f"again later"
            )
        trial = best.trial
    _export(loaded.run(trial, "cpu"), to, console)


def _export(run: Run, to: Path, console: Console) -> None:
    folder = run.export(to)
    for problem in run.problems:
        console.print(f"{problem[0].upper()}{problem[1:]}", markup=False, style="yellow", soft_wrap=True)
    console.print(
        f"Model of {run.path.name}, epoch {run.epoch}: {folder}\n"
        f"In Python: iafsweep.load_run({str(to)!r}).model.sample(64)",
        markup=False,
        soft_wrap=True,
    )
