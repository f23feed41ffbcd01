"""`run_sweep.py export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import make_console, say
from iafsweep.cli.options.sweep import Folder


def export(
    folder: Folder,
    csv: Annotated[
        Path | None,
        typer.Option(help="Where to write the CSV; `-`: to standard output alone; default: in the sweep folder."),
    ] = None,
) -> None:
    """Write the leaderboard as CSV and Markdown, and print it.

    Example: `run_sweep.py export runs/quick-1 --csv leaderboard.csv`
    """
    export_leaderboard(folder, csv, make_console(csv))


def export_leaderboard(folder: Path, csv: Path | None, console: Console) -> None:
    """Write the leaderboard from what is on disk, and print it."""
    from iafsweep.api.results import export
    from iafsweep.cli.tables import print_leaderboard
    from iafsweep.sweep.storage.folder import SweepFolder

    board, sweep = export(folder, csv), SweepFolder(folder)
    print_leaderboard(console, sweep, board)
    say(console, f"CSV: {csv or sweep.leaderboard_csv}")
