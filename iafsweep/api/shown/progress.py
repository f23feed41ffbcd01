"""Progress of a run and of scoring: a bar on a terminal or in a notebook, elsewhere a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Self, get_args

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from iafsweep.api.news import StepNews
from iafsweep.errors import UserError
from iafsweep.records import METHOD_NAMES, EpochMetrics, bits_text
from iafsweep.texts import Span, duration, fitting, say, span_text

if TYPE_CHECKING:
    from iafsweep.sweep.cluster.actor_pool import UnitsDone

_FIRST_LINE_SECONDS, _LINE_EVERY_SECONDS = 2.0, 10.0


def is_live(console: Console) -> bool:
    """Return whether output can be redrawn in place: on a terminal, or in a notebook with widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


Shown = Literal["auto", "off"]
"""``auto``: shown on a terminal or in a notebook; ``off``: nothing is printed."""


def console_of(shown: str) -> Console | None:
    """Return the console on which a user's program shows progress: its terminal or notebook; None if there is neither.

    Raises:
        UserError: ``shown`` is not one of :data:`Shown`.
    """
    if shown not in get_args(Shown):
        raise UserError(f"progress must be 'auto' or 'off', got {shown!r}")
    console = Console(highlight=False, stderr=True)
    if shown == "off":
        return None
    if is_live(console):
        return console
    if console.is_jupyter:  # without widgets: lines below the cell
        return Console(highlight=False, force_jupyter=False, force_terminal=False)
    return None


class Pace:
    """Schedule of plain lines: the first some seconds after the beginning, then one every ten seconds."""

    def __init__(self, first_seconds: float = _FIRST_LINE_SECONDS) -> None:
        """Begin now."""
        self._due = time.monotonic() + first_seconds

    def is_due(self) -> bool:
        """Return whether a line is due; if so, the next is due ten seconds from now."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + _LINE_EVERY_SECONDS
        return True


_EARLY_SHARE, _EARLY_SECONDS = 0.01, 20.0
"""Until either is reached, a rate says more about the start (of a worker, or with a tiny shard) than about the work."""
_SURE_SHARE, _SURE_SECONDS = 0.1, 60.0
"""Until either is reached, the time left may be half or twice the estimate."""


class Rate:
    """Units per second since the first update, and the time left at that rate."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._first: tuple[float, int] | None = None
        self._rate = 0.0
        self._share = 0.0
        self._left: Span | None = None
        self._updated = 0.0

    def update(self, done: int, total: int) -> None:
        """Record the units done and their total; units done before the first call do not count towards the rate."""
        self._updated = now = time.monotonic()
        if self._first is None:
            self._first = now, done
        seconds, here = now - self._first[0], done - self._first[1]
        is_early = seconds <= 0 or here <= 0 or (here < _EARLY_SHARE * total and seconds < _EARLY_SECONDS)
        self._rate = 0.0 if is_early else here / seconds
        self._share = done / total if total else 1.0
        if is_early:
            self._left = None
        else:
            left, doubt = (total - done) / self._rate, 1.0
            if here < _SURE_SHARE * total and seconds < _SURE_SECONDS:
                doubt = 2.0
            self._left = left / doubt, left * doubt

    @property
    def speed(self) -> str:
        """Evaluations per second; empty while unknown."""
        return f"{self._rate:,.0f} evaluations/s" if self._rate else ""

    @property
    def left(self) -> str:
        """The time left from now on, in words; empty once all is done."""
        if self._share >= 1:
            return ""
        silent = time.monotonic() - self._updated
        if self._left is None or silent >= self._left[1]:
            return "time left unknown"
        low, high = self._left
        return f"{span_text((max(low - silent, 0.0), high - silent))} left"

    def __str__(self) -> str:
        """Return share done, speed and time left in one line."""
        return ", ".join(part for part in (f"{self._share:.0%}", self.speed, self.left) if part)


_BETWEEN = "  "


class _Below:
    """A line of details below a bar: if room is short, the elapsed time and the first parts take precedence."""

    def __init__(self) -> None:
        self.parts: tuple[str, ...] = ()
        self._began = time.monotonic()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = [*filter(None, self.parts), f"{duration(time.monotonic() - self._began)} so far"]
        *others, last = range(len(parts))
        widths = [len(part) + len(_BETWEEN) for part in parts]
        shown = fitting(widths, [last, *others], options.max_width + len(_BETWEEN))
        yield Text(_BETWEEN.join(parts[place] for place in shown), style="dim")


class _Lines(Progress):
    """A bar with a line of details below it; both fit a narrow terminal, and their times advance without updates."""

    below: RenderableType = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, then the line."""
        yield self.make_tasks_table(self.tasks)
        yield self.below


class _Bar:
    """A bar with rate and time left on a terminal; elsewhere no bar, but plain lines at intervals."""

    def __init__(self, console: Console, *, transient: bool = False) -> None:
        self._console = console
        self._pace, self._rate, self._below = Pace(), Rate(), _Below()
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.percentage:.0f}%"))
        self._bar = _Lines(
            *columns,
            TextColumn("{task.fields[rate].left}"),
            console=console,
            transient=transient,
            expand=True,
            disable=not is_live(console),
        )
        self._bar.below = self._below
        self._task = self._bar.add_task("", total=1, rate=self._rate)

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bar inside the block."""
        with self._bar:
            yield self

    def _show(self, what: str, done: int, total: int, *below: str) -> None:
        """Move the bar, and set the details below it."""
        self._below.parts = below
        self._bar.update(self._task, description=what, completed=done, total=max(total, 1), rate=self._rate)

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class TrainingProgress(_Bar, StepNews):
    """Shows epoch, bounds, speed and time left."""

    def __init__(
        self,
        console: Console,
        epochs: int,
        done: int,
        batches: int,
        begun: int = 0,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin after ``done`` of ``epochs`` epochs of ``batches`` batches each, and ``begun`` batches of the next one.

        ``news`` is called after each epoch.
        """
        super().__init__(console)
        self._epochs = epochs
        self._batches = batches
        self._steps = done * batches + begun
        self._figures: tuple[str, ...] = ()
        self._news = news
        self._move()

    def batch_done(self, images: int) -> None:
        """Move the bar on by one batch, whatever its number of images."""
        self._steps += 1
        # Timed from the end of the first batch, which may compile for minutes.
        self._rate.update(self._steps, self._epochs * self._batches)
        self._move()
        if not is_live(self._console) and self._pace.is_due():
            after = f"after epoch {self._steps // self._batches}:" if self._figures else ""
            self._print_line(-(-self._steps // self._batches), after)

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """Show the figures of an epoch."""
        self._steps = metrics.epoch * self._batches
        figures = [f"train {metrics.train_negative_elbo:.2f}", f"{metrics.images_per_second:,.0f} images/s"]
        if metrics.validation_negative_elbo is not None:
            bits = bits_text(metrics.validation_bits_per_dim)
            figures.insert(1, f"validation {metrics.validation_negative_elbo:.2f} nats{bits}")
        self._figures = tuple(figures)
        self._move()
        if not is_live(self._console) and (self._pace.is_due() or metrics.epoch == self._epochs):
            self._print_line(metrics.epoch)
        self._news()

    def _move(self) -> None:
        epoch = min(self._steps // self._batches + 1, self._epochs)
        compiles = () if self._figures or self._steps else ("the first step may compile",)
        self._show(
            f"epoch {epoch}/{self._epochs}",
            self._steps,
            self._epochs * self._batches,
            *(self._figures or compiles),
        )

    def _print_line(self, epoch: int, after: str = "") -> None:
        self._rate.update(self._steps, self._epochs * self._batches)
        parts = (f"epoch {epoch}/{self._epochs}", after, *self._figures, self._rate.left)
        self._line(_BETWEEN.join(filter(None, parts)))


class ScoringProgress(_Bar):
    """Shows which figure is being measured, network evaluations per second, and the time left."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing measured."""
        super().__init__(console, transient=True)
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Update with the figure being measured, and the evaluations done and in total over all figures."""
        if what != self._what:  # an evaluation takes longer with one method than with another
            self._what, self._rate = what, Rate()
        self._rate.update(done, total)
        method, _, split = what.partition(" ")
        name = f"{next((name for each, name in METHOD_NAMES.items() if each == method), method)} {split}"
        self._show("scoring", done, total, name, self._rate.speed)
        if not is_live(self._console) and self._pace.is_due():
            self._line(f"scoring {name}: {self._rate}")


class UnitsProgress(_Bar):
    """Shows how much of a rerun is done, network evaluations per second, and the time left."""

    def __init__(self, console: Console, title: str) -> None:
        """Begin with nothing done."""
        super().__init__(console)
        self._title = title
        self._cost_done, self._has_begun = 0, False
        self._pace = Pace(_LINE_EVERY_SECONDS)

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bar inside the block."""
        say(self._console, self._title)
        with super().shown():
            self._show("scoring", 0, 1, "waiting for a process")
            yield self

    def __call__(self, done: UnitsDone) -> None:
        """Update with the units done; work that was found done counts as done, but not towards the rate."""
        is_first, self._has_begun = bool(done.name) and not self._has_begun, self._has_begun or bool(done.name)
        is_small = done.cost_done - self._cost_done < _SURE_SHARE * done.cost_total
        # Work found done says nothing about the rate; the first small unit mostly times the start of its process.
        if (not done.name and done.cost_done != self._cost_done) or (is_first and is_small):
            self._rate = Rate()
        self._cost_done = done.cost_done
        self._rate.update(done.cost_done, done.cost_total)
        waits = "" if done.name else "waiting for a process"
        self._show("scoring", done.cost_done, done.cost_total, self._rate.speed or waits)
        if not is_live(self._console) and (self._pace.is_due() or done.done == done.total):
            self._line(f"  {self._rate}")
