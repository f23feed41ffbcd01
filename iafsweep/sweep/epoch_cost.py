"""What an epoch of a trial costs, by its own record."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from iafsweep.errors import RunFolderError
from iafsweep.records import EpochMetrics
from iafsweep.training import RunFolder, metrics_file


def usual_seconds(epochs: Sequence[EpochMetrics]) -> float | None:
    """Return the median of the seconds of an epoch, the first left out; None with fewer than two.

    It is the wall clock's, beside whatever else ran: the median forgets epochs that a neighbour slowed down, and those
    that compiled, unless they are most of them. The first one has everything to make ready.
    """
    return median(each.seconds for each in epochs[1:]) if len(epochs) > 1 else None


def seconds_of_epochs(run: RunFolder) -> float | None:
    """Return :func:`usual_seconds` of a run folder; None also where its record is missing or damaged."""
    try:
        return usual_seconds(metrics_file.read(run.metrics))
    except (RunFolderError, OSError):
        return None
