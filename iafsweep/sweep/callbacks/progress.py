"""Display of a sweep's progress: a live table on a terminal, lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from iafsweep.records import nats_text
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.callbacks.running import RunningTrial, RunningTrials
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished, ParameterValue
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport
from iafsweep.texts import counted, fitting, short_name, value_text

_MOST_RUNNING, _MOST_ENDED, _FEWEST = 40, 12, 3
_BESIDE = 5
"""Terminal lines that are not available for trials."""
_COLUMNS = ("trial", "status", "epoch", "bound", "best", "seconds")
_LEFT = {"trial", "status"}


class PlainProgress(SweepCallback):
    """Prints a line for each trial that starts or ends; for logs and pipes."""

    def __init__(self, running: RunningTrials, write: Callable[[str], object] = print) -> None:
        self._write, self._running = write, running
        self._trials = 0

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Print the plan."""
        self._trials = trials
        self._running.begin(plan.at_a_time)
        self._write(f"{counted(trials, 'trial')}, {len(state.finished)} done; {plan}")

    def started(self, trial: str, state: LedgerState) -> None:
        """Print the values that the trial trains with."""
        self._running.started(trial, state)
        values = state.named[trial].proposed.parameters
        searched = (f"{short_name(path, values)} = {value_text(value)}" for path, value in values.items())
        self._write(f"{trial} starts: {', '.join(searched)}")

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Note how fast the trial is."""
        self._running.epoch(report)

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Print the trial's line."""
        self._running.finished(row.trial)
        best = None if row.best_value is None else nats_text(row.best_value, self._running.dimensions)
        bound = "" if best is None else f", best bound {best} at epoch {row.best_epoch}"
        error = f": {_last_line(row.error)}" if row.error else ""
        self._write(
            f"[{len(state.finished)}/{self._trials}] {row.trial} {row.status} after {counted(row.epochs, 'epoch')}"
            f"{bound}, {row.seconds:.1f} s{error}{self._running.left(state, self._trials)}"
        )

    def message(self, text: str) -> None:
        """Print the message."""
        self._write(text)


class LiveProgress(SweepCallback):
    """A table of trials that is redrawn in place; it shows running trials from their start."""

    def __init__(self, running: RunningTrials, paths: Sequence[str], console: Console) -> None:
        """Draw nothing yet; ``paths`` are the searched parameters."""
        self._console, self._running, self._paths = console, running, paths
        self._plan = ""
        self._trials = 0
        self._state: LedgerState | None = None
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw)

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Draw the empty table."""
        self._plan, self._trials, self._state = str(plan), trials, state
        self._running.begin(plan.at_a_time)
        self._live.start(refresh=True)

    def started(self, trial: str, state: LedgerState) -> None:
        """Show that the trial has started."""
        self._running.started(trial, state)
        self._state = state

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Show the trial's new epoch."""
        self._running.epoch(report)
        self._state = state

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Show the trial's end."""
        self._running.finished(row.trial)
        self._state = state

    def message(self, text: str) -> None:
        """Print the message above the table."""
        self._console.print(text, markup=False, highlight=False)

    def end(self) -> None:
        """Stop redrawing, and leave the last table on the screen."""
        self._live.stop()

    def _draw(self) -> Group:
        if (state := self._state) is None:
            return Group()
        running = self._running.all
        room = max(min(self._console.height - _BESIDE, _MOST_RUNNING), _FEWEST)
        shown = running[-room:]
        ended = state.finished[-min(max(room - len(shown), _FEWEST), _MOST_ENDED) :]
        rows = [_ended(row, trial.proposed.parameters) for trial in ended if (row := trial.finished) is not None]
        styles = ["green" if trial is state.best else "" for trial in ended] + ["cyan"] * len(shown)
        rows += [_going(trial) for trial in shown]
        table, left_out = self._table(rows, styles)
        return Group(table, *(Text(line, style="dim") for line in self._below(state, len(running), left_out)))

    def _table(self, rows: Sequence[_Row], styles: Sequence[str]) -> tuple[Table, list[str]]:
        """Return the rows in as many columns as fit, and the headings of those that do not."""
        header = [*_COLUMNS, *(short_name(path, self._paths) for path in self._paths)]
        texts = [[*row.cells, *(value_text(row.parameters.get(path)) for path in self._paths)] for row in rows]
        widths = [max(map(len, column)) + 1 for column in zip(header, *texts, strict=True)]
        columns = fitting(widths, range(len(header)), self._console.width)
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        for column in columns:
            table.add_column(header[column], justify="left" if header[column] in _LEFT else "right", no_wrap=True)
        for cells, style in zip(texts, styles, strict=True):
            table.add_row(*(cells[column] for column in columns), style=style)
        return table, [name for column, name in enumerate(header) if column not in columns]

    def _below(self, state: LedgerState, running: int, left_out: Sequence[str]) -> Iterator[str]:
        if not running and len(state.finished) < self._trials:
            yield "Waiting for a process: Ray is starting one, or has no room for a trial yet."
        best = state.best
        end = None if best is None else best.finished
        dimensions = self._running.dimensions
        shown = "" if end is None else f", best {end.trial} {nats_text(end.best_value or math.nan, dimensions)}"
        left = self._running.left(state, self._trials)
        yield f"{len(state.finished)} of {counted(self._trials, 'trial')} done{shown}{left}"
        yield self._plan
        if left_out:
            yield f"Columns left out: {', '.join(left_out)}"


@dataclass(frozen=True)
class _Row:
    cells: tuple[str, ...]
    parameters: Mapping[str, ParameterValue]


def _ended(row: Finished, parameters: Mapping[str, ParameterValue]) -> _Row:
    cells = (row.trial, row.status, str(row.epochs), _nats(row.value), _nats(row.best_value), f"{row.seconds:.0f}")
    return _Row(cells, parameters)


def _going(trial: RunningTrial) -> _Row:
    report = trial.report
    bound, best = (None, None) if report is None else (report.validation_negative_elbo, report.best_value)
    epochs = f"{trial.epoch}/{'?' if trial.epochs is None else trial.epochs}"
    seconds = f"{trial.pace.elapsed:.0f}"
    return _Row((trial.trial, trial.doing, epochs, _nats(bound), _nats(best), seconds), trial.parameters)


def _nats(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
