"""Whether a run may resume with a configuration other than the one it was started with."""

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

# These fields change neither the epochs already trained nor how they would be trained again.
_FREE_FIELDS = {
    "title",
    "training.epochs",
    "training.early_stopping_epochs",
    "training.checkpoint_every_minutes",
    "training.compile",
    *where(RunConfig),  # the images found there are compared instead
}
_FREE_SECTIONS = ("evaluation.",)


def refuse_other_training(trained: RunConfig, asked: RunConfig, folder: RunFolder) -> None:
    """Check that ``asked`` differs from ``trained`` only in fields that change no epoch already trained.

    Raises:
        RunFolderError: it differs in others; the message names each field and both values.
    """
    found = [f"{path} = {_shown(new)} (trained with {_shown(old)})" for path, new, old in differences(asked, trained)]
    if found:
        raise RunFolderError(
            f"{folder.path} was trained with another configuration: {'; '.join(found)}. "
            f"Only the number of epochs, training.early_stopping_epochs, training.checkpoint_every_minutes, "
            f"training.compile and [evaluation] may change on resume; train this configuration in a new folder"
        )
    epochs = asked.training.epochs, trained.training.epochs
    if asked.training.learning_rate_schedule == "cosine" and epochs[0] != epochs[1]:
        raise RunFolderError(
            f"{folder.path} was trained with training.learning_rate_schedule = 'cosine' over {epochs[1]} epochs. "
            f"The learning rate of every epoch depends on that number, so a run with training.epochs = {epochs[0]} "
            f"cannot continue this one; train it in a new folder"
        )


def _shown(value: object) -> str:
    return str(value) if isinstance(value, FoundImages) else repr(value)


def refuse_training_changes(trained: RunConfig, asked: RunConfig, folder: RunFolder) -> None:
    """Check that ``asked`` is valid for scoring without training: as for a resumed run, with the same epochs.

    Raises:
        RunFolderError: another field differs.
    """
    refuse_other_training(trained, asked, folder)
    if asked.training.epochs != trained.training.epochs:
        raise RunFolderError(
            f"--evaluate-only does not train, so training.epochs = {asked.training.epochs} would have no effect "
            f"({folder.path} has {trained.training.epochs}); leave it out, or continue training with --resume"
        )


def refuse_lost_best(folder: RunFolder, last: Checkpoint, config: RunConfig) -> None:
    """Check before training resumes that ``best.pt`` is intact and of the epoch that ``last.pt`` names.

    Raises:
        RunFolderError: it is not.
    """
    if last.best is None:
        return
    try:
        best = load_best(folder, torch.device("cpu"))
        refuse_foreign_checkpoint(best.config, config, folder)
        if best.epoch != last.best.epoch:
            raise RunFolderError(
                f"{folder.best} is from epoch {best.epoch}, but {folder.last.name} names epoch {last.best.epoch} as "
                f"the best"
            )
    except RunFolderError as error:
        or_last = ", or continue and score the last epoch with --set evaluation.checkpoint=last"
        message = f"{error}. Restore {folder.best.name}{'' if sweep_of(folder.path) else or_last}"
        raise RunFolderError(message) from None


def refuse_foreign_checkpoint(written: str, config: RunConfig, folder: RunFolder) -> None:
    """Check that a checkpoint was written for the configuration beside it.

    Args:
        written: the configuration inside the checkpoint, as TOML.
        config: the run's configuration.
        folder: the run folder, for messages.

    Raises:
        RunFolderError: it belongs to another run, or its configuration cannot be read.
    """
    try:
        inside = build_stored(tomllib.loads(written), "the checkpoint")
    except (ConfigError, tomllib.TOMLDecodeError) as error:
        raise RunFolderError(
            f"the configuration stored in a checkpoint of {folder.path} cannot be read: {error}"
        ) from None
    for path, trained, beside in differences(inside, config):
        raise RunFolderError(
            f"a checkpoint in {folder.path} is from another run: it was trained with {path} = {trained!r}, but the "
            f"config.toml next to it has {beside!r}; restore the file that was replaced"
        )


def differences(one: RunConfig, other: RunConfig) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path and both values of every field that makes two trainings differ."""
    for path in field_paths(RunConfig):
        values = get_path(one, path), get_path(other, path)
        if path not in _FREE_FIELDS and not path.startswith(_FREE_SECTIONS) and values[0] != values[1]:
            yield path, *values
