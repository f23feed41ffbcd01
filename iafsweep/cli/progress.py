"""Progress of a single run: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from iafsweep.api.news import StepNews
from iafsweep.records import EpochMetrics, bits_text
from iafsweep.texts import seconds_left

if TYPE_CHECKING:
    from iafsweep.sweep.cluster.actor_pool import UnitsDone

_FIRST_LINE_SECONDS, _LINE_EVERY_SECONDS = 2.0, 10.0


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


class Rate:
    """Evaluations a second since the first update, and the time left at that rate."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._first: tuple[float, int] | None = None
        self._rate = 0.0
        self._share = 0.0
        self._left: float | None = None

    def update(self, done: int, total: int) -> None:
        """Take the evaluations done, and of how many; what was done at the first call does not count as speed."""
        now = time.monotonic()
        if self._first is None:
            self._first = now, done
        seconds, here = now - self._first[0], done - self._first[1]
        is_early = seconds <= 0 or (here < _EARLY_SHARE * total and seconds < _EARLY_SECONDS)
        self._rate = 0.0 if is_early else here / seconds
        self._share = done / total if total else 1.0
        self._left = 0.0 if done >= total else (None if is_early else seconds_left(here, total - done, seconds))

    @property
    def speed(self) -> str:
        """Evaluations a second; empty before there are any."""
        return f"{self._rate:,.0f} evaluations/s" if self._rate else ""

    @property
    def left(self) -> str:
        """Time left, h:mm:ss; a question mark before it can be known."""
        if self._left is None:
            return "?"
        minutes, seconds = divmod(round(self._left), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"

    def __str__(self) -> str:
        """Share done, speed and time left, in a line."""
        return ", ".join(part for part in (f"{self._share:.0%}", self.speed, f"{self.left} left") if part)


class _Bar:
    """A bar on a terminal, with its rate; elsewhere nothing, and lines at a pace."""

    def __init__(self, console: Console, *columns: ProgressColumn, transient: bool = False) -> None:
        self._console = console
        self._pace, self._rate = Pace(), Rate()
        self._bar = Progress(*columns, console=console, transient=transient, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=1, speed="", left="?", text="", figures="")

    @contextmanager
    def shown(self) -> Iterator[Self]:
        with self._bar:
            yield self

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
        super().__init__(
            console,
            TextColumn("epoch {task.fields[text]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )
        self._epochs = epochs
        self._batches = batches
        self._steps = done * batches + begun
        self._figures = ""
        self._news = news
        self._bar.update(
            self._task, total=epochs * batches, completed=self._steps, text=self._epoch(min(done + 1, epochs))
        )

    def batch_done(self, images: int) -> None:
        """Move the bar on by one batch; of how many images does not matter to it."""
        self._steps += 1
        # From the end of the first batch: it may compile for minutes, which says nothing of the others.
        self._rate.update(self._steps, self._epochs * self._batches)
        self._bar.update(self._task, completed=self._steps, left=self._rate.left)
        if not self._console.is_terminal and self._pace.is_due():
            self._print_line(-(-self._steps // self._batches), self._figures and f"  after {self._figures}")

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """Show the figures of an epoch."""
        self._steps = metrics.epoch * self._batches
        figures = f"train {metrics.train_negative_elbo:.2f}"
        if metrics.validation_negative_elbo is not None:
            bits = bits_text(metrics.validation_bits_per_dim)
            figures += f"  validation {metrics.validation_negative_elbo:.2f} nats{bits}"
        figures += f"  {metrics.images_per_second:,.0f} images/s"
        self._figures = f"epoch {metrics.epoch}: {figures}"
        following = self._epoch(min(metrics.epoch + 1, self._epochs))
        self._bar.update(self._task, completed=self._steps, text=following, figures=f"after {self._figures}")
        if not self._console.is_terminal and (self._pace.is_due() or metrics.epoch == self._epochs):
            self._print_line(metrics.epoch, f"  {figures}")
        self._news()

    def _print_line(self, epoch: int, figures: str) -> None:
        self._rate.update(self._steps, self._epochs * self._batches)
        self._line(f"epoch {self._epoch(epoch)}{figures}  {self._rate.left} left")

    def _epoch(self, number: int) -> str:
        return f"{number}/{self._epochs}"


class ScoringProgress(_Bar):
    """Shows which figure is being measured, evaluations of the network a second, and the time left."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing measured."""
        columns = (
            TextColumn("scoring {task.fields[text]}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %  {task.fields[speed]}  left {task.fields[left]}"),
        )
        super().__init__(console, *columns, transient=True)
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take what is being scored, the evaluations done, and of how many."""
        if what != self._what or done == 0:
            self._what, self._rate = what, Rate()
        self._rate.update(done, total)
        self._bar.update(
            self._task, text=what, completed=done, total=total, speed=self._rate.speed, left=self._rate.left
        )
        if not self._console.is_terminal and self._pace.is_due():
            self._line(f"scoring {what}: {self._rate}")


class UnitsProgress(_Bar):
    """Shows how much of a rerun is done, evaluations of the network a second, and the time left."""

    def __init__(self, console: Console, title: str) -> None:
        """Begin with nothing done."""
        super().__init__(
            console,
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.fields[text]}  {task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )
        self._title = title
        self._cost_done = 0
        self._pace = Pace(_LINE_EVERY_SECONDS)

    @contextmanager
    def shown(self) -> Iterator[Self]:
        """Show the bar inside the block."""
        if not self._console.is_terminal:
            self._line(self._title)
        with super().shown():
            yield self

    def __call__(self, done: UnitsDone) -> None:
        """Take how far the rerun is; what earlier calls have done counts as done, not as speed."""
        if not done.name and done.cost_done != self._cost_done:
            self._rate = Rate()
        self._cost_done = done.cost_done
        self._rate.update(done.cost_done, done.cost_total)
        units = f"{done.done}/{done.total} shards"
        self._bar.update(
            self._task,
            completed=done.cost_done,
            total=max(1, done.cost_total),
            text=units,
            speed=self._rate.speed,
            left=self._rate.left,
        )
        if not self._console.is_terminal and (self._pace.is_due() or done.done == done.total):
            self._line(f"  {units}, {self._rate}")
