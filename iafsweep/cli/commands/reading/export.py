"""`run_sweep.py export`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.sweep import Folder, Show
from iafsweep.errors import UserError


def export(
    folder: Folder,
    others: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="Further sweeps over the same images, for one leaderboard of all; only `--csv` writes it.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="CSV file to write; `-`: standard output; default: leaderboard.csv in the sweep folder."),
    ] = None,
    show: Show = None,
    optuna: Annotated[
        Path | None, typer.Option(help="Also write the trials to this Optuna journal, for optuna-dashboard.")
    ] = None,
) -> None:
    """Write the leaderboard as CSV and Markdown, and print it.

    - `run_sweep.py export runs/quick-1 --csv leaderboard.csv`
    - `run_sweep.py export runs/quick-1 --show "posterior 40x4x16" --show "5000 samples"`
    - `run_sweep.py export runs/quick-1 --optuna quick-1.journal`
    - `run_sweep.py export runs/quick-1 runs/quick-2 --csv both.csv`
    """
    if others:
        export_combined([folder, *others], csv, make_console(csv), show or [], optuna)
        return
    export_leaderboard(folder, csv, make_console(csv), show or [], optuna)


def export_leaderboard(
    folder: Path, csv: Path | None, console: Console, show: Sequence[str] = (), optuna: Path | None = None
) -> None:
    """Write the leaderboard from the files on disk, and print it."""
    with loading("the sweep"):
        from iafsweep.api.results import export
        from iafsweep.cli.tables import print_leaderboard
        from iafsweep.sweep.storage.folder import SweepFolder

        board, sweep = export(folder, csv, show, optuna=optuna), SweepFolder(folder)
    print_leaderboard(console, sweep, board)
    say(console, f"CSV: {csv or sweep.leaderboard_csv}")
    if optuna is not None:
        say(console, f"Optuna journal: {optuna}")


def export_combined(
    folders: Sequence[Path], csv: Path | None, console: Console, show: Sequence[str] = (), optuna: Path | None = None
) -> None:
    """Print one leaderboard of several sweeps and write it to ``csv`` if given, never into the sweep folders."""
    if optuna is not None:
        raise UserError(f"an Optuna journal holds one sweep, but {len(folders)} are named; name one, or no journal")
    with loading("the sweeps"):
        from iafsweep.api.several import export_several
        from iafsweep.cli.tables import print_combined
        from iafsweep.results.several import read_several

        several = read_several(folders, show)
        if csv is not None:
            export_several(several, csv)
    print_combined(console, several)
    if csv is not None:
        say(console, f"CSV: {csv}")
