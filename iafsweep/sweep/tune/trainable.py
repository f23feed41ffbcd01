"""The trainable that Tune runs: one trial after the other in one process, one epoch per step."""

import gc
from pathlib import Path
from typing import Any

from iafsweep.importing import importing

with importing():  # Ray imports this module in each trial's process
    import numpy as np
    from ray import tune

    from iafsweep.config import RunConfig
    from iafsweep.config.plugins import load_plugins
    from iafsweep.data import TrainingImages
    from iafsweep.sweep.cluster.device import tensor_over
    from iafsweep.sweep.tune.trial_run import TrialRun, TrialSettings


class SweepTrial(tune.Trainable):
    """Runs one :class:`TrialRun` after the other in one process.

    Tune's checkpoints hold no state. Whatever can fail happens inside :meth:`step`, because Tune loses a trial whose
    process fails while it is being reset.

    Tune passes ``{"trial": name, "config": RunConfig as JSON, "gpus": number}`` as its configuration.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], training: np.ndarray, validation: np.ndarray, settings: TrialSettings
    ) -> None:
        """Take what all trials share; nothing is opened before the first step."""
        load_plugins(settings.plugins)
        self._images = TrainingImages(tensor_over(training), tensor_over(validation))
        self._settings = settings
        gc.freeze()  # imported objects stay; scanning them again after every trial takes a fifth of a second
        self._before: TrialRun | None = None
        self._run = self._make(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to another trial, whose first step closes the previous one."""
        self._before = self._before or self._run  # the second of two resets in a row finds no open run
        self._run = self._make(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it; if this raises an error, Tune retries the trial in a new process."""
        if self._before is not None:
            self._run.note, self._before = self._before.close(), None
        return self._run.step().result()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save to the run folder; Tune's checkpoint folder holds only the trial's name."""
        self._run.save()
        (Path(checkpoint_dir) / "trial.txt").write_text(self._run.trial, encoding="utf-8")

    def load_checkpoint(self, checkpoint: object) -> None:
        """Nothing to do: the first step resumes from the run folder."""

    def cleanup(self) -> None:
        """Save and close open runs; called when the process ends normally."""
        for run in (self._before, self._run):
            if run is not None:
                run.close()

    def _make(self, config: dict[str, Any]) -> TrialRun:
        # A process is reused only for trials that request the same resources.
        run = RunConfig.model_validate_json(config["config"])
        return TrialRun(str(config["trial"]), run, float(config["gpus"]), self._images, self._settings)
