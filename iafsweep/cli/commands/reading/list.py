"""`run_sweep.py list`, without Ray, PyTorch and pandas."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import make_console, say
from iafsweep.cli.tables import print_table
from iafsweep.records import FigureCell, TextTable, details_of
from iafsweep.records.bits import bits_per_dim
from iafsweep.results.listing import state_of, sweeps_in
from iafsweep.sweep.storage.stored_sweep import StoredSweep
from iafsweep.texts import one_line


def list_sweeps(
    folder: Annotated[Path, typer.Argument(help="Folder that contains sweeps.")] = Path("runs"),
) -> None:
    """List the sweeps in a folder, oldest first, with their state, best bound and question.

    Example: `run_sweep.py list`
    """
    show_sweeps(folder, make_console())


def show_sweeps(folder: Path, console: Console) -> None:
    """Print a table of the sweeps in a folder, and which ones cannot be read."""
    found = sweeps_in(folder)
    if found.sweeps:
        print_table(console, sweeps_table(found.sweeps), [], shortened="question")
    else:
        say(console, f"No sweep that can be read in {folder}." if found.problems else f"No sweep in {folder}.")
    for problem in found.problems:
        say(console, problem, "yellow")


def sweeps_table(sweeps: Sequence[StoredSweep]) -> TextTable:
    """Return a table with one row per sweep; cells of bounds tell different images apart."""
    data = {sweep.space.base.data.measured_on: None for sweep in sweeps if sweep.state.best is not None}
    numbers = {each: number for number, each in enumerate(data, 1)}
    rows = tuple(
        (
            one_line(sweep.folder.path.name),
            state_of(sweep),
            f"{len(sweep.state.finished):,}/{sweep.space.sweep.trials:,}",
            _best(sweep, numbers if len(numbers) > 1 else {}),
            _minute(sweep.state.header.created),
            one_line(sweep.space.title) or "-",
        )
        for sweep in sweeps
    )
    notes = ["Best: the lowest validation bound of a completed trial, in nats per image, and the trial."]
    if len(numbers) > 1:
        told = "; ".join(f"images {number}: {one_line(each)}" for each, number in numbers.items())
        notes.append(f"Bounds on different images cannot be compared. {told}.")
    else:
        notes += [f"All on {one_line(each)}." for each in numbers]
    header = ("sweep", "state", "trials", "best", "begun (UTC)", "question")
    return TextTable(header=header, rows=rows, notes=tuple(notes))


def _best(sweep: StoredSweep, numbers: dict[str, int]) -> FigureCell | str:
    best, data = sweep.state.best, sweep.space.base.data
    if best is None or best.finished is None or (bound := best.finished.best_value) is None:
        return "-"
    bits = bits_per_dim(bound, data.image_format.dimensions)
    details = details_of(bits, autoregressive=sweep.space.is_autoregressive(best.proposed.parameters))
    images = (f"images {numbers[data.measured_on]}",) if numbers else ()
    return FigureCell(value=bound, details=(*details, best.trial, *images))


def _minute(time: str) -> str:
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M}"
    except ValueError:
        return "-"
