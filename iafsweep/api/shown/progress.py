"""Progress of a run and of scoring: a bar on a terminal or in a notebook, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Self, get_args

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from iafsweep.api.news import StepNews
from iafsweep.errors import UserError
from iafsweep.records import EpochMetrics, bits_text
from iafsweep.texts import Span, duration, say, span_text

if TYPE_CHECKING:
    from iafsweep.sweep.cluster.actor_pool import UnitsDone

_FIRST_LINE_SECONDS, _LINE_EVERY_SECONDS = 2.0, 10.0


def is_live(console: Console) -> bool:
    """Return whether what is drawn can be drawn again in place: on a terminal, in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


Shown = Literal["auto", "off"]
"""``auto``: shown where there is a terminal or a notebook; ``off``: nothing is printed."""


def console_of(shown: str) -> Console | None:
    """Return where somebody's program shows how far it is: its terminal, the notebook; None: nobody looks.

    Raises:
        UserError: it is asked for in other words than :data:`Shown`.
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
    """When a plain line is due: some seconds after the beginning, then every ten."""

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
"""Before either a rate says more of how the work began (a worker's start, one tiny shard) than of how it goes."""
_SURE_SHARE, _SURE_SECONDS = 0.1, 60.0
"""Before either the time left may be half of what it seems, or twice."""


class Rate:
    """Units a second since the first update, and the time left at that rate."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._first: tuple[float, int] | None = None
        self._rate = 0.0
        self._share = 0.0
        self._left: Span | None = None

    def update(self, done: int, total: int) -> None:
        """Take the units done, and of how many; what was done at the first call does not count as speed."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        seconds, here = now - self._first[0], done - self._first[1]
        is_early = seconds <= 0 or here <= 0 or (here < _EARLY_SHARE * total and seconds < _EARLY_SECONDS)
        self._rate = 0.0 if is_early else here / seconds
        self._share = done / total if total else 1.0
        if done >= total:
            self._left = 0.0, 0.0
        elif is_early:
            self._left = None
        else:
            left, doubt = (total - done) / self._rate, 1.0
            if here < _SURE_SHARE * total and seconds < _SURE_SECONDS:
                doubt = 2.0
            self._left = left / doubt, left * doubt

    @property
    def speed(self) -> str:
        """Evaluations a second; empty before there are any."""
        return f"{self._rate:,.0f} evaluations/s" if self._rate else ""

    @property
    def left(self) -> str:
        """The time left, in words."""
        return "time left unknown" if self._left is None else f"{span_text(self._left)} left"

    def __str__(self) -> str:
        """Share done, speed and time left, in a line."""
        return ", ".join(part for part in (f"{self._share:.0%}", self.speed, self.left) if part)


class _Lines(Progress):
    """A bar and, below it, a line that says more; both fit a narrow terminal."""

    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, then the line."""
        yield self.make_tasks_table(self.tasks)
        yield Text(self.below, style="dim")


class _Bar:
    """A bar on a terminal, with its rate and the time left; elsewhere nothing, and lines at a pace."""

    def __init__(self, console: Console, *, transient: bool = False) -> None:
        self._console = console
        self._pace, self._rate = Pace(), Rate()
        self._began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.percentage:.0f}%"))
        self._bar = _Lines(
            *columns,
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=transient,
            expand=True,
            disable=not is_live(console),
        )
        self._task = self._bar.add_task("", total=1, left=self._rate.left)

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bar inside the block."""
        with self._bar:
            yield self

    def _show(self, what: str, done: int, total: int, *below: str) -> None:
        """Move the bar, and say more below it."""
        so_far = f"{duration(time.monotonic() - self._began)} so far"
        self._bar.below = "  ".join(part for part in (*below, so_far) if part)
        self._bar.update(self._task, description=what, completed=done, total=max(total, 1), left=self._rate.left)

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
        """Begin at ``done`` of ``epochs`` epochs of ``batches`` batches, and ``begun`` of the next one's.

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
        """Move the bar on by one batch; of how many images does not matter to it."""
        self._steps += 1
        # From the end of the first batch: it may compile for minutes, which says nothing of the others.
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
        parts = (f"epoch {epoch}/{self._epochs}", *([after] if after else []), *self._figures, self._rate.left)
        self._line("  ".join(parts))


class ScoringProgress(_Bar):
    """Shows which figure is being measured, evaluations of the network a second, and the time left."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing measured."""
        super().__init__(console, transient=True)
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take what is being scored, the evaluations done, and of how many."""
        if what != self._what or done == 0:
            self._what, self._rate, self._began = what, Rate(), time.monotonic()
        self._rate.update(done, total)
        self._show("scoring", done, total, what, self._rate.speed)
        if not is_live(self._console) and self._pace.is_due():
            self._line(f"scoring {what}: {self._rate}")


class UnitsProgress(_Bar):
    """Shows how much of a rerun is done, evaluations of the network a second, and the time left."""

    def __init__(self, console: Console, title: str) -> None:
        """Begin with nothing done."""
        super().__init__(console)
        self._title = title
        self._cost_done = 0
        self._pace = Pace(_LINE_EVERY_SECONDS)

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bar inside the block."""
        say(self._console, self._title)
        with super().shown():
            self._show("scoring", 0, 1, "waiting for a process")
            yield self

    def __call__(self, done: UnitsDone) -> None:
        """Take how far the rerun is; what earlier calls have done counts as done, not as speed."""
        if not done.name and done.cost_done != self._cost_done:
            self._rate = Rate()
        self._cost_done = done.cost_done
        self._rate.update(done.cost_done, done.cost_total)
        waits = "" if done.name else "waiting for a process"
        self._show("scoring", done.cost_done, done.cost_total, self._rate.speed or waits)
        if not is_live(self._console) and (self._pace.is_due() or done.done == done.total):
            self._line(f"  {self._rate}")
