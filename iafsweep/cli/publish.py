"""What a sweep leaves for people: leaderboard as CSV and Markdown, the best configuration, a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from iafsweep.atomic import write_text
from iafsweep.config import dump_config
from iafsweep.errors import UserError
from iafsweep.leaderboard import best_row, leaderboard_table, write_csv, write_markdown
from iafsweep.records import LeaderboardRow, TextTable
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.proposals import candidate
from iafsweep.sweep.results import scored_rows
from iafsweep.sweep.stored import damage, read_sweep
from iafsweep.texts import short_name

_MISSING_TOLD = 5
_EDGES = 2
"""Columns of the terminal that a table's left and right edge take."""
_LEFT = {"trial", "status"}


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        rows: the leaderboard.
        order: paths of the searched fields, in the order of their columns.
        problems: what could not be read, a sentence each.
    """

    rows: tuple[LeaderboardRow, ...]
    order: list[str]
    problems: tuple[str, ...]


def publish(folder: SweepFolder, csv: Path | None = None) -> Published:
    """Write ``leaderboard.csv``, ``leaderboard.md`` and ``best.toml``; return what they were written from.

    Of a trial that has ended, all but its test figures and its median epoch comes from the ledger, so that a run folder
    that was removed is missed by none of it.

    Args:
        folder: the sweep folder.
        csv: another place for the CSV.

    Raises:
        SweepError: the folder holds no readable ledger.
    """
    space, state = read_sweep(folder)
    driver = folder.driver()
    rows, _, problems = scored_rows(folder, state, space, driver)
    order = [parameter.path for parameter in space.parameters]
    write_csv(rows, csv or folder.leaderboard_csv, order)
    write_markdown(rows, folder.leaderboard_markdown, space.title or "Leaderboard", order)
    if (best := best_row(rows)) is not None and not (state.problems and folder.best.exists()):  # the best may be missed
        trial = state.named[best.trial]
        found = candidate(space, trial.proposed.parameters, trial.afresh, trial.proposed.repeat)
        if found is not None:
            titled = found.config.model_copy(update={"title": f"Best of {folder.path.name}: {best.trial}"})
            write_text(folder.best, dump_config(titled))
    damaged = (f"the ledger is damaged: {problem}" for problem in damage(state, driver))
    return Published(rows, order, (*damaged, *problems))


def refuse_csv(folder: SweepFolder, csv: Path, name: str) -> None:
    """Refuse what ``--csv`` says if it is a folder or one of the sweep's own files.

    Args:
        folder: the sweep folder.
        csv: the file asked for.
        name: what such a file may be called, for the message.

    Raises:
        UserError: it is.
    """
    folder.refuse_inside(csv, "--csv")
    if csv.is_dir():
        raise UserError(f"--csv {csv} is a folder; name a file in it, such as {csv / name}")


def missing_checkpoints(folder: SweepFolder, rows: Sequence[LeaderboardRow]) -> list[str]:
    """Return the checkpoints that rows name and that are not there (any more), relative to the sweep folder."""
    return [
        row.checkpoint for row in rows if row.checkpoint is not None and not (folder.path / row.checkpoint).exists()
    ]


def print_leaderboard(console: Console, folder: SweepFolder, board: Published) -> None:
    """Print the ranked table, with the last parts of parameter names, and its notes."""
    print_table(console, leaderboard_table(board.rows, board.order), board.order, keys=2)
    for problem in board.problems:
        console.print(f"{problem[0].upper()}{problem[1:]}", markup=False, style="yellow", soft_wrap=True)
    if missing := missing_checkpoints(folder, board.rows):
        told = ", ".join(missing[:_MISSING_TOLD]) + (", ..." if len(missing) > _MISSING_TOLD else "")
        console.print(
            f"Missing checkpoints, {len(missing)} in all: {told}", markup=False, style="yellow", soft_wrap=True
        )


def print_table(console: Console, table: TextTable, paths: Sequence[str], keys: int = 1) -> None:
    """Print a table of texts; one too wide for the terminal is printed as several, each with the key columns.

    Args:
        console: where to.
        table: the texts.
        paths: configuration paths among the headings; they are cut to what tells them apart.
        keys: how many columns in front say which row it is.
    """
    headings = [short_name(heading, paths) if heading in paths else heading for heading in table.header]
    widths = [max(len(text) for text in column) for column in zip(headings, *table.rows, strict=True)]
    for block in _blocks(widths, keys, console.width):
        drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in block:
            drawn.add_column(headings[column], justify="left" if headings[column] in _LEFT else "right", no_wrap=True)
        for row in table.rows:
            drawn.add_row(*(row[column] for column in block))
        console.print(drawn)
    for note in table.notes:
        console.print(note, markup=False, style="dim", soft_wrap=True)


def _blocks(widths: Sequence[int], keys: int, width: int) -> list[list[int]]:
    """Columns of each table: the keys, then as many others in turn as fit."""
    blocks = [list(range(keys))]
    for column in range(keys, len(widths)):
        taken = sum(widths[each] + 2 for each in blocks[-1])  # a space beside the text, another between columns
        if taken + widths[column] + _EDGES > width and len(blocks[-1]) > keys:
            blocks.append(list(range(keys)))
        blocks[-1].append(column)
    return blocks
