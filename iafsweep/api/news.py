"""Listeners to the progress of runs and sweeps: base classes that do nothing; a subclass overrides what it needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from iafsweep.api.shown.command import report_command
from iafsweep.records import EpochMetrics

if TYPE_CHECKING:
    from iafsweep.api.own_images import Given
    from iafsweep.data import TrainingImages
    from iafsweep.run_files.run_folder import RunFolder
    from iafsweep.search_space.space import SearchSpace
    from iafsweep.sweep.callbacks.base import SweepCallback
    from iafsweep.sweep.cluster.actor_pool import UnitProgress
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.sweep.tune.driver import SweepOutcome
    from iafsweep.sweep.tune.options import LaunchOptions
    from iafsweep.training import Trainer


@dataclass(frozen=True)
class Place:
    """What a sweep runs on, and the listener that hears of it."""

    options: LaunchOptions
    data_root: Path
    news: SweepNews
    images: Given = None
    """Your own images, or their path, in place of those that the configuration names."""


class StepNews:
    """Listener to the batches and epochs of a run."""

    def batch_done(self, images: int) -> None:
        """Called after a batch of ``images`` images was trained."""

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """Called after an epoch was trained."""


class RunNews:
    """Listener to a single run."""

    def acknowledging(self) -> AbstractContextManager[object]:
        """Return a context around all work, in which a signal may be acknowledged as soon as it comes."""
        return nullcontext()

    def going_on(self, folder: Path) -> str:
        """Return the command or call that continues the run in a folder, for messages to this listener's user."""
        return f"iafsweep.train(config, {str(folder)!r}, resume=True)"

    def training(self, trainer: Trainer, images: TrainingImages, batches: int) -> AbstractContextManager[StepNews]:
        """Return a context around training, of ``batches`` batches per epoch; it gives the listener to its steps."""
        return nullcontext(StepNews())

    def trained(self, trainer: Trainer) -> None:
        """Called after training has ended."""

    def note(self, text: str) -> None:
        """Called with a message for the user."""

    def scoring(self) -> AbstractContextManager[Callable[[str, int, int], None]]:
        """Return a context around scoring; it gives a function of the figure, the evaluations done and their total."""
        return nullcontext(lambda what, done, total: None)


class SweepNews:
    """Listener to a sweep."""

    def acknowledging(self) -> AbstractContextManager[object]:
        """Return a context around all work, in which a signal may be acknowledged as soon as it comes."""
        return nullcontext()

    def report_command(self, folder: Path) -> Sequence[str]:
        """Return the command that makes a sweep's report, as words; the report shows it, without private paths."""
        return report_command(folder)

    def opened(self, folder: SweepFolder) -> None:
        """Called when the sweep's folder is known and nothing has been done in it."""

    def importing(self) -> AbstractContextManager[object]:
        """Return a context around the import of Ray, which takes seconds; so far only an empty folder was created."""
        return nullcontext()

    def working(self, space: SearchSpace, folder: SweepFolder) -> AbstractContextManager[SweepCallback]:
        """Return a context around the work, once all checks have passed; it gives the callback that hears of trials."""
        from iafsweep.sweep.callbacks.base import SweepCallback

        return nullcontext(SweepCallback())

    def message(self, text: str) -> None:
        """Called with a message for the user."""

    def problem(self, text: str) -> None:
        """Called with a problem that affects no more than it says; unless overridden, it becomes a warning."""
        warnings.warn(text, stacklevel=2)

    def trained(self, outcome: SweepOutcome, space: SearchSpace) -> None:
        """Called after training has ended, before scoring."""

    def scoring(self, trials: Sequence[str], *, named: bool) -> AbstractContextManager[UnitProgress]:
        """Return a context around the scoring of these trials: those that were ``named``, or the best."""
        return nullcontext(lambda done: None)

    def scored(self, runs: Mapping[str, RunFolder]) -> None:
        """Called after scoring with the run folders by trial; those whose scoring did not fail have figures."""
