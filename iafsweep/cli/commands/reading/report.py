"""`run_sweep.py report`."""

from pathlib import Path
from typing import Annotated

import typer

from iafsweep.cli.command_line import report_command
from iafsweep.cli.console import make_console, say
from iafsweep.cli.options.sweep import Folder, Show
from iafsweep.errors import UserError


def report(
    folder: Folder,
    png: Annotated[bool, typer.Option("--png", help="Write the figures as PNG files too, into DIR/figures.")] = False,
    show: Show = None,
    to: Annotated[
        Path | None, typer.Option(help="Where to write the page; `-`: to standard output; default: DIR/report.html.")
    ] = None,
) -> None:
    """Write report.html into a sweep folder: one page with leaderboard, figures and pictures that opens offline.

    The sweep may be running, interrupted or without a single good trial: the page says what is not there, and why.

    - `run_sweep.py report runs/quick-1 --png`
    - `run_sweep.py report /shared/runs/quick-1 --to quick.html` writes nothing into the sweep folder
    """
    from iafsweep.api import results

    console, whole = make_console(to), folder.absolute()
    if to is not None and png:
        raise UserError("--png writes into the sweep folder and --to does not; give one of them")
    path, figures = results.report(folder, report_command(whole, show or []), show or [], to=to, png=png)
    say(console, f"Report: {path}")
    if png:
        say(console, f"Figures: {len(figures)} PNG files in {path.parent / 'figures'}")
