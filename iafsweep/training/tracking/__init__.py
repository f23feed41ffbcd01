"""Experiment trackers.

``base`` what all are · ``mirror`` keeps them from ever holding up a run · ``mlflow`` · ``wandb``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from iafsweep.errors import UserError
from iafsweep.training.tracking.base import RunToTrack, TrackedRun, Tracker
from iafsweep.training.tracking.mirror import Mirror, Watch
from iafsweep.training.tracking.mlflow import MlflowTracker
from iafsweep.training.tracking.wandb import WandbTracker

TRACKERS: dict[str, Callable[[], Tracker]] = {"mlflow": MlflowTracker, "wandb": WandbTracker}
"""Every tracker by the name of its package; making one imports that package."""


def make_mirror(name: str, watch: Watch | None = None) -> Mirror:
    """Return a mirror that sends runs to a tracker.

    Args:
        name: of the tracker.
        watch: finds a run that may have news without anybody saying so.

    Raises:
        UserError: there is no such tracker, or its package is not installed.
    """
    if name not in TRACKERS:
        raise UserError(f"--tracker {name!r}: known are {', '.join(TRACKERS)}")
    if not _is_installed(name):
        raise UserError(
            f"--tracker {name}: the package {name} is not installed; install it with: pip install 'iafsweep[{name}]' "
            f"(in a checkout .venv/bin/pip install -e '.[{name}]')"
        )
    return Mirror(name, TRACKERS[name], watch)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


__all__ = ["TRACKERS", "Mirror", "RunToTrack", "TrackedRun", "Tracker", "Watch", "make_mirror"]
