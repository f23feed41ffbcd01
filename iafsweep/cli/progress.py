"""Progress of a single run: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from iafsweep.records import EpochMetrics

_LINE_EVERY_SECONDS = 10.0


class TrainingProgress:
    """Shows epoch, bounds, speed and time left."""

    def __init__(self, console: Console, epochs: int, done: int, batches: int) -> None:
        """Begin at ``done`` of ``epochs`` epochs, each of ``batches`` batches."""
        self._console = console
        self._epochs = epochs
        self._batches = batches
        self._done = done
        self._last_line = 0.0
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(
            "train", total=epochs * batches, completed=done * batches, epoch=self._epoch(done), figures=""
        )

    @contextmanager
    def shown(self) -> Iterator[TrainingProgress]:
        """Show the bar inside the block."""
        with self._bar:
            yield self

    def batch_done(self, images: int) -> None:
        """Move the bar on by one batch; of how many images does not matter to it."""
        self._bar.advance(self._task)

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """Show the figures of an epoch."""
        self._done = metrics.epoch
        figures = f"train {metrics.train_negative_elbo:.2f}"
        if metrics.validation_negative_elbo is not None:
            figures += f"  validation {metrics.validation_negative_elbo:.2f} nats"
        figures += f"  {metrics.images_per_second:,.0f} images/s"
        following = min(metrics.epoch + 1, self._epochs)
        self._bar.update(
            self._task, completed=metrics.epoch * self._batches, epoch=self._epoch(following), figures=figures
        )
        is_due = time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS or metrics.epoch == self._epochs
        if not self._console.is_terminal and is_due:
            self._last_line = time.monotonic()
            self._console.print(f"epoch {self._epoch(metrics.epoch)}  {figures}", markup=False, highlight=False)

    def _epoch(self, number: int) -> str:
        return f"{number}/{self._epochs}"


class ScoringProgress:
    """Shows which figure is being measured and how many images are done."""

    def __init__(self, console: Console) -> None:
        """Begin with nothing measured."""
        self._bar = Progress(
            TextColumn("scoring {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} images"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1)

    @contextmanager
    def shown(self) -> Iterator[ScoringProgress]:
        """Show the bar inside the block."""
        with self._bar:
            yield self

    def __call__(self, what: str, done: int, images: int) -> None:
        """Take what is being scored, the images done, and of how many."""
        self._bar.update(self._task, description=what, completed=done, total=images)


class UnitsProgress:
    """Shows how much of a rerun is done."""

    def __init__(self, console: Console, title: str) -> None:
        """Begin with nothing done."""
        self._console = console
        self._title = title
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} shards"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=1)

    @contextmanager
    def shown(self) -> Iterator[UnitsProgress]:
        """Show the bar inside the block."""
        if not self._console.is_terminal:
            self._console.print(self._title, markup=False)
        with self._bar:
            yield self

    def __call__(self, done: int, total: int, name: str) -> None:
        """Take the units done, of how many, and the name of the last one."""
        self._bar.update(self._task, completed=done, total=total)
        is_due = time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS or done == total
        if not self._console.is_terminal and is_due:
            self._last_line = time.monotonic()
            self._console.print(f"  {done}/{total} shards", markup=False)
