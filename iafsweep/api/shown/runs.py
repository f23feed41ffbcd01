"""Show the progress of a run: a bar on a terminal or in a notebook, lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from iafsweep.api.news import RunNews, StepNews
from iafsweep.api.shown.progress import ScoringProgress, Shown, TrainingProgress, console_of
from iafsweep.signals import AGAIN, told_at_once
from iafsweep.texts import say

if TYPE_CHECKING:
    from rich.console import Console

    from iafsweep.data import TrainingImages
    from iafsweep.training import Trainer


class RunShown(RunNews):
    """Shows the progress of a run; ``news`` is called after each epoch."""

    def __init__(self, console: Console, news: Callable[[], None] = lambda: None) -> None:
        self._console = console
        self._news = news
        self._stopping = ""

    @contextmanager
    def acknowledging(self) -> Iterator[None]:
        """Acknowledge Ctrl-C or SIGTERM at once, and say what is still done."""
        with told_at_once(self.stopping):
            yield

    def stopping(self) -> None:
        """Acknowledge a signal, and say what is still done."""
        say(self._console, f"\nStopping{self._stopping}")

    def training(self, trainer: Trainer, images: TrainingImages, batches: int) -> AbstractContextManager[StepNews]:
        """Print what is trained, and show its progress."""
        say(
            self._console,
            f"Training {trainer.folder.path} on {trainer.place}: {trainer.parameters:,} parameters, "
            f"{len(images.training):,} training and {len(images.validation):,} validation images",
        )
        if trainer.note:
            self.note(trainer.note)
        training = trainer.config.training
        done, begun = trainer.epochs_done, trainer.batches_begun
        self._stopping = f": the run saves after the current step; {AGAIN}"
        return TrainingProgress(self._console, training.epochs, done, batches, begun, self._news).shown()

    def trained(self, trainer: Trainer) -> None:
        """Print whether training ended early, and what is wrong with the bounds."""
        self._stopping = ""
        if trainer.end_note:
            self.note(trainer.end_note)
        if trainer.bounds_note:
            self.note(trainer.bounds_note)

    def note(self, text: str) -> None:
        """Print a message for the user."""
        say(self._console, f"Note: {text}")

    def scoring(self) -> AbstractContextManager[ScoringProgress]:
        """Show the progress of scoring."""
        self._stopping = ": the trained model is kept"
        return ScoringProgress(self._console).shown()


def run_news(progress: Shown | RunNews) -> RunNews:
    """Return the listener to a run that ``progress`` stands for."""
    if isinstance(progress, RunNews):
        return progress
    console = console_of(progress)
    return RunNews() if console is None else RunShown(console)
