"""The Weights & Biases tracker: ``pip install wandb``; project ``WANDB_PROJECT``, by default ``iafsweep``.

``WANDB_MODE=offline`` works too. A run keeps its identity when it is resumed. Everything that wandb collects by itself
(host, command line, packages, code, hardware, terminal output) is switched off.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from iafsweep.records import EpochMetrics
from iafsweep.training.tracking.base import RunToTrack

_LOGIN_SECONDS = 10
_SETTINGS = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "login_timeout": _LOGIN_SECONDS,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}


@final
class WandbTracker:
    """Opens runs in Weights & Biases.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(self) -> None:
        self._wandb: Any = importlib.import_module("wandb")

    def open(self, run: RunToTrack) -> WandbRun:
        """Open a run; one that wandb's server already has is continued after its last epoch."""
        opened = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "iafsweep"),
            id=run.key,
            name=run.name,
            group=run.group or None,
            dir=os.environ.get("WANDB_DIR", str(_existing(run.folder.path))),
            config=json.loads(run.config.model_dump_json()),
            resume="allow",
            reinit="create_new",  # trials of a sweep run side by side
            settings=self._wandb.Settings(**_SETTINGS),
        )
        return WandbRun(self._wandb, opened)

    def close(self) -> None:
        """Do nothing: each run is closed by its own `end`."""


@final
class WandbRun:
    """A run in Weights & Biases.

    Attributes:
        epochs_sent: the last epoch that wandb has.
    """

    def __init__(self, wandb: Any, run: Any) -> None:  # noqa: ANN401 - untyped package
        self._wandb = wandb
        self._run = run
        # wandb counts the next step, one after the last it has.
        self.epochs_sent = max(int(run.step) - 1, 0)

    def epoch(self, metrics: EpochMetrics) -> None:
        """Send the metrics of an epoch."""
        self._run.log(metrics.model_dump(exclude={"epoch"}, exclude_none=True), step=metrics.epoch)

    def figures(self, values: Mapping[str, float]) -> None:
        """Send figures to the run's summary."""
        self._run.summary.update(dict(values))

    def image(self, name: str, path: Path) -> None:
        """Send an image."""
        self._run.log({name: self._wandb.Image(str(path))}, step=self.epochs_sent)

    def end(self, status: str) -> None:
        """Close the run."""
        self._run.summary.update({"status": status})
        self._run.finish(exit_code=0 if status in ("completed", "stopped") else 1)


def _existing(path: Path) -> Path:
    """Return the folder or its nearest existing parent, because a trial that failed immediately has none."""
    return path if path.is_dir() else _existing(path.absolute().parent)
