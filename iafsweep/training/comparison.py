"""Whether a run may go on with another configuration than it began with."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import torch

from iafsweep.config import RunConfig, field_paths, get_path
from iafsweep.config.data import FoundImages
from iafsweep.config.files import build_stored
from iafsweep.config.meaning import where
from iafsweep.errors import ConfigError, RunFolderError
from iafsweep.run_files.run_folder import RunFolder, sweep_of
from iafsweep.training.checkpoint import Checkpoint, load_best

# What changes neither the epochs already trained nor the way they would be trained again.
_FREE_FIELDS = {
    "title",
    "training.epochs",
    "training.early_stopping_epochs",
    "training.checkpoint_every_minutes",
    "training.compile",
    *where(RunConfig),  # what is found there tells
}
_FREE_SECTIONS = ("evaluation.",)


def refuse_other_training(trained: RunConfig, asked: RunConfig, folder: RunFolder) -> None:
    """Check that ``asked`` differs from ``trained`` at most in what changes no epoch that is trained already.

    Raises:
        RunFolderError: it differs elsewhere; the message names each field and both values.
    """
    found = [f"{path} = {_shown(new)} (trained with {_shown(old)})" for path, new, old in differences(asked, trained)]
    if found:
        raise RunFolderError(
            f"{folder.path} was trained with another configuration: {'; '.join(found)}. "
            f"Only the number of epochs, training.early_stopping_epochs, training.checkpoint_every_minutes, "
            f"training.compile and [evaluation] may change on resume; take a new folder for another training"
        )
    epochs = asked.training.epochs, trained.training.epochs
    if asked.training.learning_rate_schedule == "cosine" and epochs[0] != epochs[1]:
        raise RunFolderError(
            f"{folder.path} was trained with training.learning_rate_schedule = 'cosine' over {epochs[1]} epochs, and "
            f"the learning rate of each depends on their number, so training.epochs = {epochs[0]} would be another "
            f"training; take a new folder for that"
        )


def _shown(value: object) -> str:
    return str(value) if isinstance(value, FoundImages) else repr(value)


def refuse_training_changes(trained: RunConfig, asked: RunConfig, folder: RunFolder) -> None:
    """Check that ``asked`` differs from ``trained`` at most in title and evaluation: what scoring alone can change.

    Raises:
        RunFolderError: it differs elsewhere.
    """
    refuse_other_training(trained, asked, folder)
    if asked.training.epochs != trained.training.epochs:
        raise RunFolderError(
            f"--evaluate-only trains nothing, so training.epochs = {asked.training.epochs} would change nothing "
            f"({folder.path} has {trained.training.epochs}); leave it out, or train on with --resume"
        )


def refuse_lost_best(folder: RunFolder, last: Checkpoint, config: RunConfig) -> None:
    """Check that ``best.pt`` is whole and of the epoch that ``last.pt`` says, before anything is trained on.

    Raises:
        RunFolderError: it is not.
    """
    if last.best is None:
        return
    try:
        best = load_best(folder, torch.device("cpu"))
        refuse_foreign_checkpoint(best.config, config, folder)
        if best.epoch != last.best.epoch:
            raise RunFolderError(f"{folder.best} is of epoch {best.epoch}, {folder.last.name} knows {last.best.epoch}")
    except RunFolderError as error:
        or_last = ", or go on and score the last epoch with --set evaluation.checkpoint=last"
        raise RunFolderError(f"{error}; put it back{'' if sweep_of(folder.path) else or_last}") from None


def refuse_foreign_checkpoint(written: str, config: RunConfig, folder: RunFolder) -> None:
    """Check that a checkpoint was written for the configuration beside it.

    Args:
        written: the configuration inside the checkpoint, as TOML.
        config: the run's.
        folder: the run folder, for messages.

    Raises:
        RunFolderError: it is another run's, or what it says of its configuration cannot be read.
    """
    try:
        inside = build_stored(tomllib.loads(written), "the checkpoint")
    except (ConfigError, tomllib.TOMLDecodeError) as error:
        raise RunFolderError(f"a checkpoint in {folder.path} does not say what it was trained with: {error}") from None
    for path, trained, beside in differences(inside, config):
        raise RunFolderError(
            f"a checkpoint in {folder.path} is another run's: it was trained with {path} = {trained!r}, config.toml "
            f"beside it has {beside!r}; its weights do not fit its config.toml"
        )


def differences(one: RunConfig, other: RunConfig) -> Iterator[tuple[str, Any, Any]]:
    """Yield path and both values of every field in which two trainings differ."""
    for path in field_paths(RunConfig):
        values = get_path(one, path), get_path(other, path)
        if path not in _FREE_FIELDS and not path.startswith(_FREE_SECTIONS) and values[0] != values[1]:
            yield path, *values
