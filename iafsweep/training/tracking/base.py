"""What a tracker is: somebody else's record of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from iafsweep.config import RunConfig
from iafsweep.records import EpochMetrics
from iafsweep.run_files.run_folder import RunFolder


@dataclass(frozen=True)
class RunToTrack:
    """A run as a tracker is told of it.

    Attributes:
        key: unique, and the same however often the run is taken up again; letters, digits, ``-``.
        name: for people.
        group: the sweep it belongs to; empty for a run of its own.
        config: what is trained.
        folder: where its metrics and figures are; may not be there yet.
    """

    key: str
    name: str
    group: str
    config: RunConfig
    folder: RunFolder


class TrackedRun(Protocol):
    """A run at the tracker.

    Attributes:
        epochs_sent: the last epoch that the tracker has already.
    """

    epochs_sent: int

    def epoch(self, metrics: EpochMetrics) -> None:
        """Send an epoch."""

    def figures(self, values: Mapping[str, float]) -> None:
        """Send figures that belong to no epoch."""

    def image(self, name: str, path: Path) -> None:
        """Send an image."""

    def end(self, status: str) -> None:
        """Say how the run ended; it may be opened again."""


class Tracker(Protocol):
    """Opens runs at a tracker, those it has already too."""

    def open(self, run: RunToTrack) -> TrackedRun:
        """Open a run; one that the tracker has goes on."""

    def close(self) -> None:
        """Let go of the tracker."""
