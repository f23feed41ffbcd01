"""What there is to hear while a run or a sweep goes on: bases whose methods do nothing; a member says what it hears."""

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
    """On what a sweep runs, and who hears of it."""

    options: LaunchOptions
    data_root: Path
    news: SweepNews
    images: Given = None
    """Images of one's own, in place of those that the configuration names, or where they are."""


class StepNews:
    """Hears of the batches and epochs of a run."""

    def batch_done(self, images: int) -> None:
        """A batch of so many images was trained."""

    def epoch_done(self, metrics: EpochMetrics) -> None:
        """An epoch was trained."""


class RunNews:
    """Hears of a single run."""

    def acknowledging(self) -> AbstractContextManager[object]:
        """All is done in the block; whoever sends a signal meanwhile may be told at once what becomes of it."""
        return nullcontext()

    def going_on(self, folder: Path) -> str:
        """Return what goes on with the run in a folder, in the words of whoever is told."""
        return f"iafsweep.train(config, {str(folder)!r}, resume=True)"

    def training(self, trainer: Trainer, images: TrainingImages, batches: int) -> AbstractContextManager[StepNews]:
        """Training begins or goes on, so many batches an epoch; the block is its length."""
        return nullcontext(StepNews())

    def trained(self, trainer: Trainer) -> None:
        """Training has ended."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def scoring(self) -> AbstractContextManager[Callable[[str, int, int], None]]:
        """Scoring begins; what it gives is called with a figure, the evaluations done, and of how many."""
        return nullcontext(lambda what, done, total: None)


class SweepNews:
    """Hears of a sweep."""

    def acknowledging(self) -> AbstractContextManager[object]:
        """All is done in the block; whoever sends a signal meanwhile may be told at once what becomes of it."""
        return nullcontext()

    def report_command(self, folder: Path) -> Sequence[str]:
        """Return the words that make the report of a sweep again; they stand in it, without what is private."""
        return report_command(folder)

    def opened(self, folder: SweepFolder) -> None:
        """The sweep's folder is known; nothing was done in it."""

    def importing(self) -> AbstractContextManager[object]:
        """Ray is imported in the block, which takes seconds; nothing was made yet but an empty folder."""
        return nullcontext()

    def working(self, space: SearchSpace, folder: SweepFolder) -> AbstractContextManager[SweepCallback]:
        """All that could be refused was not, and the work begins; the block is its length, the trials tell it more."""
        from iafsweep.sweep.callbacks.base import SweepCallback

        return nullcontext(SweepCallback())

    def message(self, text: str) -> None:
        """Something worth a line happened."""

    def problem(self, text: str) -> None:
        """Something went wrong that costs no more than it says; who hears nothing else is warned of it."""
        warnings.warn(text, stacklevel=2)

    def trained(self, outcome: SweepOutcome, space: SearchSpace) -> None:
        """Training has ended, and scoring follows."""

    def scoring(self, trials: Sequence[str], *, named: bool) -> AbstractContextManager[UnitProgress]:
        """These trials are scored in the block: those that were named, or the best."""
        return nullcontext(lambda done: None)

    def scored(self, runs: Mapping[str, RunFolder]) -> None:
        """These trials, whose run folders these are, have figures, if their scoring did not fail."""
