"""A trial as an ordinary Tune trainable: the same trainer, one epoch per step, with Tune's own checkpoints."""

import gc
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import tune
from ray.tune.result import DONE, SHOULD_CHECKPOINT

from iafsweep.api.own_images import Given, with_images
from iafsweep.api.spaces import checked_config
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, dump_config, load_config
from iafsweep.config.plugins import load_installed, load_plugins, loaded_names
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.data.fingerprint import refuse_other_images
from iafsweep.data_root import default_data_root
from iafsweep.errors import ConfigError
from iafsweep.records import METRIC, EpochMetrics
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.validation import MUTABLE, check_selection
from iafsweep.sweep.cluster.device import take_device, tensor_over
from iafsweep.sweep.schedulers.pbt import copy_run
from iafsweep.training import DivergedError, Trainer, device_name
from iafsweep.training.comparison import differences
from iafsweep.tune.param_space import check_param_space, trial_config

BASE = "base.toml"
"""File with the base of all trials, which every checkpoint holds next to the run's own files."""


def trainable(
    base: str | Path | RunConfig = "reference",
    param_space: Mapping[str, Any] | None = None,
    *,
    images: Given = None,
    data_root: str | Path | None = None,
) -> type[tune.Trainable]:
    """Return a trainable for ``tune.Tuner``, with any of Tune's searchers, schedulers, loggers and callbacks.

    After every epoch a trial reports the fields of a line of ``metrics.jsonl``
    (:class:`~iafsweep.records.EpochMetrics`) and ``status``, ``epochs``, ``best_epoch``, ``best_value``,
    ``parameters``, ``training_seconds``, ``gpus``, ``device`` and the like. Choose by ``validation_negative_elbo``
    (nats per image), which is infinite for a diverged trial. A trial writes a checkpoint when it ends by itself, and
    others as ``tune.CheckpointConfig`` says. The images are read here and shared, one copy per node. Ray is not
    started.

    Args:
        base: the values that are not searched: a configuration, a file, or the name of a shipped one.
        param_space: the space given to ``tune.Tuner``, to be checked now; None: a trial with an unknown key fails
            before it trains.
        images: your own images, or their path, in place of those that the base names.
        data_root: folder of data sets; None: ``$IAFSWEEP_DATA``, else a cache folder.

    Raises:
        ConfigError: the base or the space breaks a rule; the message names the key, and the nearest known one.
        DataError: the images are missing and cannot be obtained.
    """
    load_installed()
    config, own = with_images(load_config(base) if isinstance(base, str | Path) else checked_config(base), images)
    check_selection(config)
    check_param_space(config, param_space or {})
    root = default_data_root() if data_root is None else Path(data_root).expanduser()
    both = load_training_images(config.data, root, own)
    made: type[tune.Trainable] = tune.with_parameters(
        TuneTrial,
        training=both.training.numpy(),
        validation=both.validation.numpy(),
        base=config.model_dump_json(),
        plugins=loaded_names(),
    )
    return made


class TuneTrial(tune.Trainable):
    """The class behind :func:`trainable`: one trial after the other in one process, each in a temporary run folder.

    Only Tune's checkpoints are kept: the files of a run folder, whose weights are read without running code. In a
    reused process, whatever fails does so in :meth:`step`, because Tune loses trials that fail in a reset.
    """

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], training: np.ndarray, validation: np.ndarray, base: str, plugins: tuple[str, ...]
    ) -> None:
        """Take what all trials share, with ``base`` as JSON, and refuse a configuration that breaks a rule."""
        load_plugins(plugins)
        self._images = TrainingImages(tensor_over(training), tensor_over(validation))
        self._base = RunConfig.model_validate_json(base)
        self._trainer: Trainer | None = None
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._values = config
        trial_config(self._base, self._values)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Close the current trial and switch to another."""
        self.cleanup()
        self._values = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch and report it."""
        trainer = self._open()
        metrics, status = self._epoch(trainer)
        best, facts = trainer.best, trainer.state.facts
        told = {
            **facts.model_dump(),
            "training_seconds": facts.seconds,
            **metrics.model_dump(),  # their `seconds` are the epoch's
            "status": status,
            "epochs": trainer.config.training.epochs,
            "best_epoch": best and best.epoch,
            "best_value": best and best.validation_negative_elbo,
            "gpus": self._resources.get("GPU", 0.0),
            "device": device_name(trainer.device),
            "training_iteration": metrics.epoch,  # Tune's own count is off after another trial's checkpoint
            DONE: status != "running",
            SHOULD_CHECKPOINT: status != "running",
        }
        return {name: value for name, value in told.items() if value is not None}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save the state after the last whole epoch, from which training continues, and the best epoch's weights."""
        trainer, to = self._open(), RunFolder(Path(checkpoint_dir))
        trainer.save()
        copy_files(trainer.folder, to)
        write_text(to.path / BASE, dump_config(self._base))

    def load_checkpoint(self, checkpoint: Any) -> None:  # noqa: ANN401 - Tune's word for a folder
        """Continue from a checkpoint of this trial or, in a population, of another.

        Raises:
            ConfigError: its configuration differs from this trial's in what cannot change while a model trains.
            DataError: it was trained on other images.
            RunFolderError: it is damaged.
        """
        source, config = RunFolder(Path(checkpoint)), trial_config(self._base, self._values)
        refuse_other_images(source.path, source.read_fingerprints(), self._images.fingerprints)
        for path, was, now in differences(source.read_config(), config):
            if path not in (*MUTABLE, "training.seed"):
                raise ConfigError(
                    f"`{path}` cannot change from {was!r} to {now!r} while a model trains; only "
                    f"{', '.join(f'`{each}`' for each in MUTABLE)} can; remove it from what the scheduler mutates"
                )
        self.cleanup()
        copy_run(source, self._run_folder(), config)

    def cleanup(self) -> None:
        """Close the run and remove its folder."""
        trainer, self._trainer = self._trainer, None
        if trainer is not None:
            trainer.close()
        del trainer
        if self._place is not None:
            self._place.cleanup()
            self._place = None
        if torch.cuda.is_available():  # the next trial in this process checks that its GPU is empty
            gc.collect()
            torch.cuda.empty_cache()

    @property
    def _resources(self) -> dict[str, float]:
        return dict(self.trial_resources.required_resources) if self.trial_resources else {}

    def _open(self) -> Trainer:
        """Return the open run, a new one or one resumed from a checkpoint."""
        if self._trainer is None:
            config = trial_config(self._base, self._values)
            device = take_device(self._resources.get("GPU", 0.0))
            if cpus := self._resources.get("CPU"):
                torch.set_num_threads(max(1, int(cpus)))
            folder = self._run_folder()
            begin = Trainer.resume if folder.last.exists() else Trainer.start
            self._trainer = begin(config, self._images, folder, device)
        return self._trainer

    def _run_folder(self) -> RunFolder:
        """Return the temporary run folder, in the trial's local folder, which Tune neither reads nor keeps."""
        if self._place is None:
            self._place = tempfile.TemporaryDirectory(prefix="run-", dir=self.logdir, ignore_cleanup_errors=True)
        return RunFolder(Path(self._place.name) / "run")

    def _epoch(self, trainer: Trainer) -> tuple[EpochMetrics, str]:
        try:
            # All epochs are done if the process was killed after its last checkpoint, before Tune knew of it.
            metrics = metrics_file.read(trainer.folder.metrics)[-1] if trainer.is_done else trainer.run_epoch()
        except DivergedError as error:
            trainer.close()
            return error.metrics.model_copy(update={METRIC: math.inf}), "diverged"  # unlike NaN, schedulers handle it
        if not trainer.is_done:
            return metrics, "running"
        trainer.finish()
        return metrics, "completed"


def copy_files(source: RunFolder, to: RunFolder) -> None:
    """Copy the files that a run folder keeps of its training, and no others; symbolic links are left out."""
    kept = ("config", "metrics", "log", "state", "best", "last", "data", "samples", "reconstructions")
    to.path.mkdir(parents=True, exist_ok=True)
    for name in kept:
        path: Path = getattr(source, name)
        if path.is_file() and not path.is_symlink():
            shutil.copyfile(path, to.path / path.name)
