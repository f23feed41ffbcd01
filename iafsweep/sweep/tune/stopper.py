"""What ends Tune's loop before its last trial: signals, and faults that would only repeat themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray.tune import Stopper
from ray.tune.experiment import Trial

from iafsweep.sweep.tune.options import STALLED_SECONDS


class SweepStopper(Stopper):
    """Ends Tune's loop in good order; running trials save and stay unfinished.

    Args:
        should_end: asked after every event.
    """

    def __init__(self, should_end: Callable[[], bool]) -> None:
        self._should_end = should_end

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its parts into a file of its own, which is never read back."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial; that is the scheduler's."""
        return False

    def stop_all(self) -> bool:
        """Return whether the sweep should end."""
        return self._should_end()


class StallWatch:
    """Notices that trials wait although none runs.

    Args:
        limit: seconds after which that is a stall.
    """

    def __init__(self, limit: float = STALLED_SECONDS) -> None:
        self._limit = limit
        self._moved = time.monotonic()
        self.stalled = False

    def look(self, trials: list[Trial]) -> None:
        """Look at Tune's trials; called in every turn of its loop."""
        waiting = any(trial.status == Trial.PENDING for trial in trials)
        if not waiting or any(trial.status == Trial.RUNNING for trial in trials):
            self._moved = time.monotonic()
        self.stalled = time.monotonic() - self._moved > self._limit
