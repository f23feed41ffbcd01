"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from iafsweep.atomic import write_text
from iafsweep.leaderboard.table import leaderboard_table
from iafsweep.records import LeaderboardRow, TextTable

_ESCAPED = {**{mark: f"\\{mark}" for mark in "\\|`*_[]~$"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ESCAPES = str.maketrans(_ESCAPED)


def markdown_table(table: TextTable, title: str = "") -> str:
    """Return a table as Markdown, its notes below; every cell is shown as the text it is, whatever marks it holds."""
    lines = [f"# {_escape(title)}", ""] if title else []
    lines += [_line(table.header), _line(["---"] * len(table.header), escape=False), *map(_line, table.texts)]
    for note in table.notes:
        lines += ["", _escape(note)]
    return "\n".join(lines) + "\n"


def write_markdown(
    rows: Iterable[LeaderboardRow], path: Path, title: str = "Leaderboard", parameters: Sequence[str] | None = None
) -> None:
    """Write the ranked leaderboard to ``path`` atomically.

    Args:
        rows: one a trial, in any order.
        path: the file.
        title: heading.
        parameters: paths of the searched parameters, in the order of their columns; None: those in the rows, sorted.
    """
    write_text(path, markdown_table(leaderboard_table(rows, parameters), title))


def _escape(text: str) -> str:
    return " ".join(text.split()).translate(_ESCAPES)


def _line(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_escape(cell) if escape else cell for cell in cells)} |"
