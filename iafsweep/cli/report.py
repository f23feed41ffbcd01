"""`run_sweep.py report`, and the report that launch, resume and rerun leave behind."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iafsweep.cli.command_line import program
from iafsweep.cli.options.ray import Folder, Show, make_console
from iafsweep.errors import UserError

if TYPE_CHECKING:
    from iafsweep.sweep.storage.stored_sweep import StoredSweep


def register(app: typer.Typer) -> None:
    """Add the command to `run_sweep.py`."""
    app.command()(report)


def report(
    folder: Folder,
    png: Annotated[bool, typer.Option("--png", help="Write the figures as PNG files too, into DIR/figures.")] = False,
    show: Show = None,
) -> None:
    """Write report.html into a sweep folder: one page with leaderboard, figures and pictures that opens offline.

    The sweep may be running, interrupted or without a single good trial: the page says what is not there, and why.

    Example: `run_sweep.py report runs/quick-1 --png`
    """
    from iafsweep.report import write_png, write_report
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.sweep.storage.stored_sweep import read_sweep

    console, sweep = make_console(), read_sweep(SweepFolder(folder))
    try:
        path = write_report(sweep, command_of(sweep.folder.path, show or []), show or [])
        console.print(f"Report: {path}", markup=False, soft_wrap=True)
        if png:
            written = write_png(sweep, show or [])
            console.print(f"Figures: {len(written)} PNG files in {sweep.folder.figures}", markup=False, soft_wrap=True)
    except OSError as error:
        raise UserError(f"cannot write the report: {error}; free some room, or check who may write there") from error


def leave_report(sweep: StoredSweep) -> str:
    """Write the report at the end of a command, before anything is printed; return the line that says where it is.

    What goes wrong is said there, and never costs the command its end.
    """
    from iafsweep.report import write_report

    try:
        return f"Report: {write_report(sweep, command_of(sweep.folder.path))}"
    except Exception as error:  # noqa: BLE001 - the sweep's results are on disk already; a picture of them is not worth more
        return f"No report was written ({error}); try: {shlex.join(command_of(sweep.folder.path))}"


def command_of(folder: Path, show: Sequence[str] = ()) -> list[str]:
    """Return the words that make the report again; they stand in it, so without an absolute path or a user's name."""
    from iafsweep.report.private import shareable

    words, here = program(), Path.cwd()
    words[-1] = os.path.relpath(words[-1]) if Path(words[-1]).is_relative_to(here) else words[-1]
    if any(os.path.isabs(word) or os.pardir in Path(word).parts or shareable(word) != word for word in words):
        words = ["iafsweep-sweep"]
    below = folder.relative_to(here) if folder.is_relative_to(here) and folder != here else Path(folder.name)
    shown = below.as_posix()
    options = [word for settings in show for word in ("--show", settings)]
    return [*words, "report", *options, shown if shareable(shown) == shown else folder.name]
