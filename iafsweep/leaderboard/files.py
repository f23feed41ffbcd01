"""The leaderboard as files: Markdown for people, and CSV (or a pandas frame) with every figure in its own column."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from iafsweep.atomic import replacing, write_text
from iafsweep.leaderboard.ranking import ranked
from iafsweep.leaderboard.table import leaderboard_table, searched_parameters
from iafsweep.records import LeaderboardRow, TextTable

_FORMULA = ("=", "+", "-", "@")
_LEADING = {"rank": "Int64", "trial": "string", "status": "string"}

_PARTS = {"images": "Int64", "samples": "Int64", "seeds": "Int64", "settings": "string"}
"""Columns beside a figure that are not floating-point numbers, with their types."""


def _figure(path: str, *parts: str) -> dict[str, tuple[str, str]]:
    column = path.replace(".", "_")
    beside = {
        f"{column}_{part}": (f"{path}.{'error' if part == 'spread' else part}", _PARTS.get(part, "float64"))
        for part in parts
    }
    return {column: (f"{path}.value", "float64"), **beside}


_COLUMNS: dict[str, tuple[str, str]] = {
    "epochs": ("epochs", "Int64"),
    "best_epoch": ("best_epoch", "Int64"),
    "validation_negative_elbo": ("validation_negative_elbo", "float64"),
    "validation_images": ("validation_images", "Int64"),
    **_figure("test_negative_elbo", "error", "images"),
    **_figure("nll_importance_sampling", "error", "images", "samples", "estimator_error", "untrusted"),
    **_figure("nll_hais", "error", "images", "estimator_error", "settings", "untrusted"),
    **_figure("nll_importance_sampling_on_hais_images", "error"),
    "retrained_seeds": ("retrained.seeds", "Int64"),
    **_figure("retrained.test_negative_elbo", "spread", "seeds", "images"),
    **_figure("retrained.nll_importance_sampling", "spread", "seeds", "images", "samples"),
    **_figure("retrained.nll_hais", "spread", "seeds", "images", "settings"),
    **_figure("hais_gap", "error", "images", "settings"),
    "parameters": ("training.parameters", "Int64"),
    "seconds_per_epoch": ("seconds_per_epoch", "float64"),
    "precision": ("training.precision", "string"),
    "compiled": ("training.compiled", "boolean"),
    "compile_seconds": ("training.compile_seconds", "float64"),
    "pareto": ("pareto", "boolean"),
    "seconds": ("training.seconds", "float64"),
    "gpu_seconds": ("gpu_seconds", "float64"),
    "seed": ("seed", "Int64"),
    "checkpoint": ("checkpoint", "string"),
    "error": ("error", "string"),
    "validation_bits_per_dim": ("validation_bits_per_dim", "float64"),
    **{
        f"{path.replace('.', '_')}_bits_per_dim": (f"{path}.bits_per_dim", "float64")
        for place in ("", "retrained.")
        for path in (f"{place}{name}" for name in ("test_negative_elbo", "nll_importance_sampling", "nll_hais"))
    },
    "autoregressive_decoder": ("autoregressive", "boolean"),
    "kl": ("latents.kl", "float64"),
    "latent_share": ("latents.share", "float64"),
    "active_units": ("latents.active_units", "Int64"),
    "expected_negative_elbo": ("expected_negative_elbo", "float64"),
    "best_probability": ("best_probability", "float64"),
    **_figure("retrained.validation_negative_elbo", "spread", "seeds"),
}
"""Columns after the searched parameters: the attribute path of each value in a row, and the column's type."""


def _value(row: LeaderboardRow, path: str) -> object:
    found: object = row
    for name in path.split("."):
        found = None if found is None else getattr(found, name)
    return found


def leaderboard_frame(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the ranked leaderboard as a frame, one row per trial; integer columns stay integer if values are missing.

    The type of a field's column is that of the field and does not depend on the rows, even if all values are missing.

    Columns: rank, trial, status, each searched parameter under its path (missing where it was inactive), then the
    fields of :class:`~iafsweep.records.LeaderboardRow` under their names, the number of parameters as ``parameters``.
    A figure has a column for its value, and columns named with a suffix for its error, images and settings.

    Args:
        rows: one per trial, in any order.
        parameters: paths of the searched parameters, in the order of their columns; None: those in the rows, sorted.
    """
    columns = _columns(rows, parameters)
    types = _LEADING | {name: kind for name, (_, kind) in _COLUMNS.items()}
    return pd.DataFrame(
        {name: pd.Series(values, dtype=types.get(name) or _dtype(values)) for name, values in columns.items()}
    )


def _columns(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None) -> dict[str, list[object]]:
    ordered = ranked(rows)
    paths = searched_parameters(ordered, parameters)
    columns: dict[str, list[object]] = {name: [getattr(row, name) for row in ordered] for name in _LEADING}
    columns |= {path: [row.parameters.get(path) for row in ordered] for path in paths}
    return columns | {name: [_value(row, path) for row in ordered] for name, (path, _) in _COLUMNS.items()}


def write_csv(rows: Iterable[LeaderboardRow], path: Path, parameters: Sequence[str] | None = None) -> None:
    """Write the ranked leaderboard to ``path`` as CSV, atomically: a reader sees the old file or the new one.

    Missing values are empty cells; values that are not finite are ``NaN`` or ``inf``. A text that a spreadsheet would
    read as a formula (it begins with =, +, - or @) gets an apostrophe in front. ``rows`` and ``parameters`` are those
    of :func:`leaderboard_frame`.
    """
    cells = {_cell(name): [_cell(value) for value in values] for name, values in _columns(rows, parameters).items()}
    with replacing(path) as temporary:
        pd.DataFrame(cells, dtype=object).to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")


def _dtype(values: Sequence[object]) -> str:
    """Return the pandas type of a searched parameter's column; mixed values (texts and numbers) stay objects."""
    present = [value for value in values if value is not None]
    for kind, name in ((bool, "boolean"), (int, "Int64"), (str, "string")):
        if present and all(type(value) is kind for value in present):
            return name
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    return "float64" if numbers and present else "object"


def _cell(value: object) -> str:
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


_ESCAPED = {**{mark: f"\\{mark}" for mark in "\\|`*_[]~$"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ESCAPES = str.maketrans(_ESCAPED)


def markdown_table(table: TextTable, title: str = "") -> str:
    """Return a table as Markdown with its notes below; cells are escaped, so that each shows its exact text."""
    lines = [f"# {_escape(title)}", ""] if title else []
    lines += [_line(table.header), _line(["---"] * len(table.header), escape=False), *map(_line, table.texts)]
    for note in table.notes:
        lines += ["", _escape(note)]
    return "\n".join(lines) + "\n"


def write_markdown(
    rows: Iterable[LeaderboardRow], path: Path, title: str = "Leaderboard", parameters: Sequence[str] | None = None
) -> None:
    """Write the ranked leaderboard to ``path`` atomically.

    ``rows`` and ``parameters`` are those of :func:`leaderboard_frame`.
    """
    write_text(path, markdown_table(leaderboard_table(rows, parameters), title))


def _escape(text: str) -> str:
    return " ".join(text.split()).translate(_ESCAPES)


def _line(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_escape(cell) if escape else cell for cell in cells)} |"
