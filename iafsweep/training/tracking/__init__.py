"""Experiment trackers.

``base`` the tracker protocol · ``mirror`` sends runs without ever holding them up · ``mlflow`` MLflow · ``wandb``
Weights & Biases.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable

from iafsweep.errors import UserError
from iafsweep.shown_command import install_command
from iafsweep.training.tracking.base import RunToTrack, TrackedRun, Tracker
from iafsweep.training.tracking.mirror import Mirror
from iafsweep.training.tracking.mlflow import MlflowTracker
from iafsweep.training.tracking.wandb import WandbTracker

TRACKERS: dict[str, Callable[[], Tracker]] = {"mlflow": MlflowTracker, "wandb": WandbTracker}
"""Every tracker by the name of its package; creating one imports that package."""


def make_mirror(name: str) -> Mirror:
    """Return a mirror that sends runs to a tracker.

    Args:
        name: name of the tracker.

    Raises:
        UserError: the tracker is unknown, its package is not installed, or MLflow would refuse its store.
    """
    if name not in TRACKERS:
        raise UserError(f"--tracker {name!r} is not known; choose one of {', '.join(TRACKERS)}")
    if not _is_installed(name):
        raise UserError(f"--tracker {name}: the package {name} is not installed; install it: {install_command(name)}")
    if name == "mlflow":
        _refuse_file_store(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return Mirror(name, TRACKERS[name])


def _refuse_file_store(uri: str) -> None:
    """Refuse a folder as MLflow's store before a run begins, since MLflow raises for it unless told not to."""
    if uri.startswith("file:") and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise UserError(
            f"--tracker mlflow: MLFLOW_TRACKING_URI={uri} is a folder, which MLflow no longer accepts; set "
            f"MLFLOW_TRACKING_URI=sqlite:///mlflow.db, or MLFLOW_ALLOW_FILE_STORE=true to use the folder anyway"
        )


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


__all__ = ["TRACKERS", "Mirror", "RunToTrack", "TrackedRun", "Tracker", "make_mirror"]
