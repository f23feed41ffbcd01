"""Trials as Tune drives them: one process, one trial after the other, an epoch a step."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune

from iafsweep.config import RunConfig
from iafsweep.config.plugins import load_plugins
from iafsweep.data import TrainingImages
from iafsweep.sweep.cluster.device import tensor_over
from iafsweep.sweep.tune.trial_run import TrialRun, TrialSettings


class SweepTrial(tune.Trainable):
    """One :class:`TrialRun` after the other in one process.

    Tune's checkpoints hold nothing. Whatever can fail happens inside :meth:`step`, because Tune loses a trial whose
    process fails while it is being reset for it.

    Its configuration is ``{"trial": name, "config": RunConfig as JSON, "gpus": number}``.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], training: np.ndarray, validation: np.ndarray, settings: TrialSettings
    ) -> None:
        """Take what all trials share; nothing is opened before the first step."""
        load_plugins(settings.plugins)
        self._images = TrainingImages(tensor_over(training), tensor_over(validation))
        self._settings = settings
        gc.freeze()  # what is imported stays; looking through it again after every trial takes a fifth of a second
        self._before: TrialRun | None = None
        self._run = self._make(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trial; the one before is put away in the first step."""
        self._before = self._before or self._run  # of two resets in a row the second finds nothing open
        self._run = self._make(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it; what this raises, Tune tries again in a new process."""
        if self._before is not None:
            self._run.note, self._before = self._before.close(), None
        return self._run.step().result()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save into the run folder; the folder Tune gives holds only the trial's name."""
        self._run.save()
        (Path(checkpoint_dir) / "trial.txt").write_text(self._run.trial, encoding="utf-8")

    def load_checkpoint(self, checkpoint: object) -> None:
        """Nothing to do: the first step goes on from the run folder."""

    def cleanup(self) -> None:
        """Save and close what is open; called when the process ends in peace."""
        for run in (self._before, self._run):
            if run is not None:
                run.close()

    def _make(self, config: dict[str, Any]) -> TrialRun:
        # A process is given trials with the same demands alone.
        run = RunConfig.model_validate_json(config["config"])
        return TrialRun(str(config["trial"]), run, float(config["gpus"]), self._images, self._settings)
