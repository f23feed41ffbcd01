"""Who hears of a sweep's progress: a live table on a terminal, a line a trial elsewhere."""

import math
import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from iafsweep.records import nats_text
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished, ParameterValue
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport
from iafsweep.texts import duration, seconds_left, short_name

_SHOWN = 12
_Parameters = dict[str, ParameterValue]


class PlainProgress(SweepCallback):
    """A line for each trial that ends; for logs and pipes. ``dimensions`` are those of images that are not bits."""

    def __init__(self, write: Callable[[str], object] = print, dimensions: int | None = None) -> None:
        self._write, self._dimensions = write, dimensions
        self._trials = 0
        self._clock = _Clock()

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Print the plan."""
        self._trials = trials
        self._clock.begin(state)
        self._write(f"{trials} trials, {len(state.finished)} done; {plan}")

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Print the trial's line."""
        done = len(state.finished)
        left = self._clock.left(state, self._trials)
        best = None if row.best_value is None else nats_text(row.best_value, self._dimensions)
        bound = "" if best is None else f", best bound {best} at epoch {row.best_epoch}"
        error = f": {_last_line(row.error)}" if row.error else ""
        self._write(
            f"[{done}/{self._trials}] {row.trial} {row.status} after {row.epochs} epochs{bound}, {row.seconds:.1f} s"
            f"{error}{left}"
        )

    def message(self, text: str) -> None:
        """Print the message."""
        self._write(text)


class LiveProgress(SweepCallback):
    """A table of trials that is redrawn in place. ``dimensions`` are those of images that are not bits."""

    def __init__(self, console: Console, dimensions: int | None = None) -> None:
        self._dimensions = dimensions
        self._live = Live(console=console, refresh_per_second=4, transient=False)
        self._plan = ""
        self._trials = 0
        self._running: dict[str, TrialReport] = {}
        self._clock = _Clock()

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Draw the empty table."""
        self._plan = str(plan)
        self._trials = trials
        self._clock.begin(state)
        self._live.update(self._draw(state))
        self._live.start(refresh=True)

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Redraw with the trial's new epoch."""
        self._running[report.trial] = report
        self._live.update(self._draw(state))

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Redraw with the trial's end."""
        self._running.pop(row.trial, None)
        self._live.update(self._draw(state))

    def message(self, text: str) -> None:
        """Print the message above the table."""
        self._live.console.print(text, markup=False, highlight=False)

    def end(self) -> None:
        """Leave the last table standing."""
        self._live.stop()

    def _draw(self, state: LedgerState) -> Group:
        best = state.best
        table = Table(box=None, pad_edge=False)
        for name in ("trial", "status", "epoch", "bound", "best", "seconds", "configuration"):
            table.add_column(name, justify="left" if name in ("trial", "status", "configuration") else "right")
        ended = state.finished[-max(_SHOWN - len(self._running), 3) :]
        for trial in ended:
            row = trial.finished
            if row is not None:
                style = "green" if trial is best else None
                table.add_row(*_cells(row, str(row.epochs), row.value, trial.proposed.parameters), style=style)
        parameters = {trial.trial: trial.proposed.parameters for trial in state.unfinished}
        for report in self._running.values():
            epochs, searched = f"{report.epoch}/{report.epochs}", parameters.get(report.trial, {})
            table.add_row(*_cells(report, epochs, report.validation_negative_elbo, searched), style="cyan")
        return Group(table, Text(self._summary(state), style="dim"))

    def _summary(self, state: LedgerState) -> str:
        best = state.best
        left = self._clock.left(state, self._trials)
        end = None if best is None else best.finished
        shown = "" if end is None else f", best {end.trial} {nats_text(end.best_value or math.nan, self._dimensions)}"
        return f"{len(state.finished)} of {self._trials} trials done{shown}; {self._plan}{left}"


class _Clock:
    """Estimates the time left from the trials that ended since the beginning."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._before = 0

    def begin(self, state: LedgerState) -> None:
        self._started = time.monotonic()
        self._before = len(state.finished)

    def left(self, state: LedgerState, trials: int) -> str:
        done = len(state.finished)
        seconds = seconds_left(done - self._before, trials - done, time.monotonic() - self._started)
        return f", about {duration(seconds)} left" if seconds and seconds > 0 else ""


def _cells(row: Finished | TrialReport, epochs: str, bound: float | None, parameters: _Parameters) -> tuple[str, ...]:
    bounds = ("" if value is None else f"{value:.2f}" for value in (bound, row.best_value))
    return (row.trial, row.status, epochs, *bounds, f"{row.seconds:.1f}", _in_a_line(parameters))


def _in_a_line(parameters: _Parameters) -> str:
    """The searched values, each under the shortest end of its path that is no other's."""
    cells = []
    for path, value in parameters.items():
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        cells.append(f"{short_name(path, parameters)}={shown}")
    return " ".join(cells)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
