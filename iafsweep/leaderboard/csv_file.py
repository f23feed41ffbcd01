"""The leaderboard as a pandas frame and as CSV: every figure in full precision, a column each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

import pandas as pd

from iafsweep.atomic import replacing
from iafsweep.leaderboard.ranking import ranked
from iafsweep.leaderboard.table import searched_parameters
from iafsweep.records import LeaderboardRow

_FORMULA = ("=", "+", "-", "@")
_LEADING = ("rank", "trial", "status")
_NAMES = {"parameters_count": "parameters"}
_KINDS = ((bool, "boolean"), (int, "Int64"), (float, "float64"), (str, "string"))


def _field_dtype(annotation: object) -> str:
    """The pandas type of a field, from what it may hold: ``int | None`` is ``Int64``, a choice of texts ``string``."""
    members = [each for each in get_args(annotation) if each is not type(None)] or [annotation]
    for kind, name in _KINDS:
        if all(each is kind or type(each) is kind or _is_choice(each, kind) for each in members):
            return name
    raise TypeError(f"a column of the leaderboard cannot hold {annotation}")


def _is_choice(annotation: object, kind: type) -> bool:
    return get_origin(annotation) is Literal and all(type(each) is kind for each in get_args(annotation))


_FIELDS = {
    _NAMES.get(name, name): _field_dtype(field.annotation)
    for name, field in LeaderboardRow.model_fields.items()
    if name != "parameters"
}
"""The pandas type of every column that is a field."""


def leaderboard_frame(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the ranked leaderboard as a frame, one row a trial; whole numbers stay whole beside missing ones.

    The type of a field's column is that of the field, whatever the rows hold: a column without a value has it too.

    Columns: rank, trial, status, each searched parameter under its path (missing where it was inactive), then the
    fields of :class:`~iafsweep.records.LeaderboardRow` under their names, the number of parameters as ``parameters``.

    Args:
        rows: one a trial, in any order.
        parameters: paths of the searched parameters, in the order of their columns; None: those in the rows, sorted.
    """
    columns = _columns(rows, parameters)
    return pd.DataFrame(
        {name: pd.Series(values, dtype=_FIELDS.get(name) or _dtype(values)) for name, values in columns.items()}
    )


def _columns(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None) -> dict[str, list[object]]:
    """Return the values of every column, in the order of the ranks."""
    ordered = ranked(rows)
    paths = searched_parameters(ordered, parameters)
    fields = [name for name in LeaderboardRow.model_fields if name not in {*_LEADING, "parameters"}]
    columns: dict[str, list[object]] = {name: [getattr(row, name) for row in ordered] for name in _LEADING}
    columns |= {path: [row.parameters.get(path) for row in ordered] for path in paths}
    return columns | {_NAMES.get(name, name): [getattr(row, name) for row in ordered] for name in fields}


def write_csv(rows: Iterable[LeaderboardRow], path: Path, parameters: Sequence[str] | None = None) -> None:
    """Write the ranked leaderboard to ``path`` as CSV, atomically: a reader sees the old file or the new one.

    Missing values are empty cells, those that are not finite ``NaN`` or ``inf``. A text that a spreadsheet would take
    for a formula (it begins with =, +, - or @) gets an apostrophe in front.

    Args:
        rows: one a trial, in any order.
        path: the file.
        parameters: paths of the searched parameters, in the order of their columns; None: those in the rows, sorted.
    """
    cells = {_cell(name): [_cell(value) for value in values] for name, values in _columns(rows, parameters).items()}
    with replacing(path) as temporary:
        pd.DataFrame(cells, dtype=object).to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")


def _dtype(values: Sequence[object]) -> str:
    """The pandas type of a searched parameter's column; mixed ones (a choice of texts and numbers) stay objects."""
    present = [value for value in values if value is not None]
    for kind, name in ((bool, "boolean"), (int, "Int64"), (str, "string")):
        if present and all(type(value) is kind for value in present):
            return name
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    return "float64" if numbers and present else "object"


def _cell(value: object) -> str:
    """Text of one cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    if isinstance(value, str):
        line = " ".join(value.split())
        return f"'{line}" if line.startswith(_FORMULA) else line
    return str(value)
