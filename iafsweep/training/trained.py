"""Trained models read back from their run folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from iafsweep.config import RunConfig
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE, build_model
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.checkpoint import BestWeights, Checkpoint, load_best, load_last
from iafsweep.training.comparison import refuse_foreign_checkpoint


@dataclass(frozen=True)
class TrainedModel:
    """A model as of some epoch of its training.

    Attributes:
        model: the autoencoder, in eval mode.
        config: its configuration.
        epoch: number of epochs it was trained.
    """

    model: VAE
    config: RunConfig
    epoch: int


def load_trained_model(folder: RunFolder, checkpoint: Literal["best", "last"], device: torch.device) -> TrainedModel:
    """Read a model from its run folder; no code from the folder is run.

    Raises:
        RunFolderError: the checkpoint is missing, damaged, or does not fit ``config.toml`` beside it.
    """
    config = folder.read_config()
    saved = _saved(folder, checkpoint, device)
    state = saved.model if isinstance(saved, BestWeights) else saved.scored
    refuse_foreign_checkpoint(saved.config, config, folder)
    model = build_model(config.model, config.image_format, config.training.seed).to(device)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise RunFolderError(
            f"the checkpoint in {folder.path} does not match its config.toml; restore the file that changed: {error}"
        ) from error
    return TrainedModel(model.eval(), config, saved.epoch)


def trained_epoch(folder: RunFolder, checkpoint: Literal["best", "last"]) -> int:
    """Return the number of epochs that a checkpoint was trained, without reading its weights.

    Raises:
        RunFolderError: the checkpoint is missing or damaged.
    """
    return _saved(folder, checkpoint, torch.device("meta")).epoch


def _saved(folder: RunFolder, checkpoint: Literal["best", "last"], device: torch.device) -> BestWeights | Checkpoint:
    return load_best(folder, device) if checkpoint == "best" else load_last(folder, device)
