"""The protocol of experiment trackers."""

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
    """What a tracker needs to know about a run.

    Attributes:
        key: unique, and unchanged when the run is resumed; letters, digits, ``-``.
        name: display name.
        group: the sweep it belongs to; empty for a single run.
        config: the run's configuration.
        folder: folder of its metrics and figures; may not exist yet.
    """

    key: str
    name: str
    group: str
    config: RunConfig
    folder: RunFolder


class TrackedRun(Protocol):
    """A run in the tracker.

    Attributes:
        epochs_sent: the last epoch that the tracker already has.
    """

    epochs_sent: int

    def epoch(self, metrics: EpochMetrics) -> None:
        """Send the metrics of an epoch."""

    def figures(self, values: Mapping[str, float]) -> None:
        """Send figures that do not belong to an epoch."""

    def image(self, name: str, path: Path) -> None:
        """Send an image."""

    def end(self, status: str) -> None:
        """Report how the run ended; it may be opened again."""


class Tracker(Protocol):
    """Opens new and existing runs in a tracker."""

    def open(self, run: RunToTrack) -> TrackedRun:
        """Open a run; one that the tracker already has is continued."""

    def close(self) -> None:
        """Release the tracker."""
