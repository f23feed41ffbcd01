"""Tables of results, for terminals of any width and for pipes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from iafsweep.cli.console import say
from iafsweep.records import (
    AUTOREGRESSIVE,
    METHOD_NAMES,
    EpochMetrics,
    Estimate,
    FigureCell,
    SandwichEstimate,
    TextTable,
    details_text,
)
from iafsweep.records.trust import FEWEST_CHAINS, level_of
from iafsweep.shown_command import sweep_command
from iafsweep.texts import counted, fitting, readable_settings, short_name

if TYPE_CHECKING:
    from iafsweep.results.publish import Published
    from iafsweep.results.several import Several
    from iafsweep.sweep.storage.folder import SweepFolder


def print_figures(console: Console, estimates: Sequence[Estimate]) -> None:
    """Print the figures of a run, one per row, in nats per image (smaller is better)."""
    rows = tuple(
        (
            _name(estimate),
            FigureCell(value=estimate.nll, error=estimate.standard_error, details=estimate.details),
            f"{estimate.split} {estimate.images:,}",
            _text(estimate.untrusted_share, ".0%"),
            _text(estimate.estimator_error, ".3f"),
        )
        for estimate in estimates
    )
    notes = (
        "Nats per image; smaller is better. ±: standard error over images. Estimator: standard error from the "
        "estimator's own randomness.",
    )
    header = ("figure", "nats", "images", "untrusted", "estimator")
    print_table(console, TextTable(header=header, rows=rows, notes=notes), ())


def latents_line(epochs: Sequence[EpochMetrics], scored: int) -> str:
    """Return a line on how much of the bound the latent variables carry with an autoregressive decoder.

    Args:
        epochs: metrics of the run's epochs.
        scored: the epoch that was scored.
    """
    found = next((str(each.latents) for each in epochs if each.epoch == scored), "not recorded")
    return (
        f"{AUTOREGRESSIVE.capitalize()}: do not compare these figures with those of other decoders. "
        f"Latent variables: {found}."
    )


def search_lines(estimates: Sequence[Estimate]) -> list[str]:
    """Return a line on each search for a small error: whether it reached its target or used up its budget.

    Where weights are too uneven, a reached target says little: the error may be understated, and doubling the samples
    hardly moves an estimate that is far off. The line of such a figure says so.
    """
    lines = []
    for estimate in estimates:
        if (found := estimate.until_error) is None:
            continue
        last = found.rounds[-1]
        untrusted = estimate.untrusted_share or 0.0
        end = "reached" if found.stopped_by == "target" else "NOT reached before the budget ran out,"
        remedy = ""
        if found.stopped_by == "target" and level_of(untrusted) != "good":
            end += ", but not to be trusted,"
            remedy = f". {untrusted:.0%} of the images are untrusted, so the bias may be far larger: "
            remedy += _remedy(estimate, beside=estimates)
        effort = "temperatures" if estimate.method == "hais" else "samples"
        half = "not known yet" if last.half_nll is None else f"{abs(last.nll - last.half_nll):.3f}"
        lines.append(
            f"{_name(estimate)}: target of {found.target:g} nats {end} after {counted(len(found.rounds), 'round')} "
            f"with {last.effort:,} {effort}: estimator's standard error {last.estimator_error:.3f}, difference from "
            f"half the {effort} {half}, {found.network_evaluations:,} network evaluations per image in all{remedy}"
        )
    return lines


def _remedy(estimate: Estimate, beside: Sequence[Estimate]) -> str:
    """Return advice on a figure that reached its target but is not to be trusted."""
    if estimate.method == "hais":
        few = f"at least {FEWEST_CHAINS} chains and " if estimate.samples < FEWEST_CHAINS else ""
        return f"use {few}a smaller target, which leads to more temperatures"
    if any((each.method, each.split) == ("hais", estimate.split) for each in beside):
        return "see the HAIS figure"
    return "score with HAIS too, which reveals it"


def sandwich_lines(sandwiches: Sequence[SandwichEstimate]) -> list[str]:
    """Return one line per sandwich."""
    return [
        f"Sandwich from the {each.start} ({each.settings}) on {each.images:,} simulated images: in expectation, mean "
        f"log p(x) lies between {each.lower:.3f} ± {each.lower_error:.3f}{details_text(each.details(each.lower))} and "
        f"{each.upper:.3f} ± {each.upper_error:.3f}{details_text(each.details(each.upper))}; "
        f"gap {each.gap:.3f} ± {each.gap_error:.3f} nats, {each.untrusted_share:.0%} of the images untrusted"
        for each in sandwiches
    ]


def _name(estimate: Estimate) -> str:
    name = METHOD_NAMES[estimate.method]
    return name if estimate.method == "negative_elbo" else f"{name}, {readable_settings(estimate.settings)}"


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


_MISSING_NAMED = 5

_EDGES, _BETWEEN = 2, "  "
"""Terminal columns taken by a table's left and right edge, and the separator between its own columns."""

_SHORTEST = 16
"""Fewest terminal columns to which a text may be shortened."""

_LEFT = {"trial", "status", "figure", "images", "sweep", "state", "question"}


def print_leaderboard(console: Console, folder: SweepFolder, board: Published) -> None:
    """Print the ranked table, with shortened parameter names, and its notes."""
    from iafsweep.leaderboard import leaderboard_table
    from iafsweep.results.publish import missing_checkpoints

    table, problems = (
        leaderboard_table(board.rows, board.order),
        [f"{each[0].upper()}{each[1:]}" for each in board.problems],
    )
    _print_board(console, table, board.order, problems, missing_checkpoints(folder, board.rows))
    if board.retrain:
        say(
            console,
            f"To find out which trial is truly the best: {sweep_command('retrain', folder.path, *board.retrain)}",
            "dim",
        )


def print_combined(console: Console, several: Several) -> None:
    """Print the leaderboard of several sweeps in the same way."""
    from iafsweep.leaderboard import leaderboard_table

    table = leaderboard_table(several.rows, several.parameters)
    table = table.model_copy(update={"notes": (*table.notes, *several.notes)})
    _print_board(console, table, several.parameters, several.problems, several.missing)


def _print_board(
    console: Console, table: TextTable, paths: Sequence[str], problems: Sequence[str], missing: Sequence[str]
) -> None:
    print_table(console, table, paths, keys=2)
    for problem in problems:
        say(console, problem, "yellow")
    if missing:
        named = ", ".join(missing[:_MISSING_NAMED]) + (", ..." if len(missing) > _MISSING_NAMED else "")
        say(console, f"Missing checkpoints, {len(missing)} in all: {named}", "yellow")


def print_table(
    console: Console, table: TextTable, paths: Sequence[str], keys: int = 1, shortened: str | None = None
) -> None:
    """Print a table of texts. On a terminal, columns that do not fit are left out and named below the table.

    Columns that are neither figures nor parameters are left out first, then parameters from the last to the first. In
    a pipe or a file the table is complete, however wide, so that its lines can be searched.

    Args:
        console: where to print.
        table: the table and its notes.
        paths: headings that are configuration paths; they are shortened as far as they stay distinct.
        keys: number of leading columns that identify a row.
        shortened: heading of a column of prose, which on a terminal gets the remaining width.
    """
    headings = [short_name(heading, table.header) if heading in paths else heading for heading in table.header]
    texts = table.texts
    widths = [max(map(cell_len, column)) for column in zip(headings, *texts, strict=True)]
    shown = list(range(len(headings)))
    if console.is_terminal or console.file.isatty():
        room = console.width - _EDGES + len(_BETWEEN)
        taken = [width + len(_BETWEEN) for width in widths]
        if shortened is not None:
            column = headings.index(shortened)
            left = max(room - sum(taken) + widths[column], _SHORTEST)
            texts = tuple(_cut(row, column, left) for row in texts)
            widths[column] = min(widths[column], left)
            taken[column] = widths[column] + len(_BETWEEN)
        shown = fitting(taken, _by_importance(table, paths, keys), room)
    columns = [(column, widths[column], headings[column] in _LEFT) for column in shown]
    head, *lines = (_line(row, columns) for row in (headings, *texts))
    blank = " " * cell_len(head)
    console.print(f"{blank}\n{head}", style="bold", markup=False, highlight=False, soft_wrap=True)
    rule = f" {'─' * (len(blank) - 2)} "  # rich's own tables take minutes for ten thousand rows
    console.print("\n".join((rule, *lines, blank)), markup=False, highlight=False, soft_wrap=True)
    if left_out := [heading for column, heading in enumerate(headings) if column not in shown]:
        say(console, f"Columns left out: {', '.join(left_out)}. A wider terminal, a pipe or a file shows them.", "dim")
    for note in table.notes:
        say(console, note, "dim")


def _cut(row: tuple[str, ...], column: int, width: int) -> tuple[str, ...]:
    """Return a row with one of its texts cut to a width."""
    text = row[column]
    if cell_len(text) > width:
        text = f"{set_cell_size(text, width - 1).rstrip()}…"
    return (*row[:column], text, *row[column + 1 :])


def _by_importance(table: TextTable, paths: Sequence[str], keys: int) -> list[int]:
    """Return the columns by importance: keys, likelihoods, other figures, parameters, the rest, each in table order."""
    figures = {column for row in table.rows for column, cell in enumerate(row) if isinstance(cell, FigureCell)}

    def rank(column: int) -> int:
        if column < keys:
            return 0
        if column in figures:
            return 1 if "NLL" in table.header[column] else 2
        return 3 if table.header[column] in paths else 4

    return sorted(range(len(table.header)), key=rank)


def _line(row: Sequence[str], columns: Sequence[tuple[int, int, bool]]) -> str:
    """Return a line of a table; ``columns`` has each column's number, width, and whether it is left-aligned."""
    cells = [(row[column], " " * (width - cell_len(row[column])), at_left) for column, width, at_left in columns]
    return f" {_BETWEEN.join(text + room if at_left else room + text for text, room, at_left in cells)} "
