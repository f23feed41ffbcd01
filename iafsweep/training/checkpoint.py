"""Checkpoints: written atomically, read without running code, checked before use.

``last.pt`` holds everything needed to resume training after an epoch, ``step.pt`` the same in the middle of the next
epoch, and ``best.pt`` the weights of the best epoch. A new best is first written to ``best.next.pt`` and renamed only
after ``last.pt`` has been replaced, so that a process killed at any moment leaves a consistent ``last.pt`` and
``best.pt``. A reader uses ``best.next.pt`` as the best if ``last.pt`` refers to it. Readers write nothing, because the
run may still be training.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch import Tensor
from torch.optim import Optimizer

from iafsweep.atomic import replacing
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE
from iafsweep.records import Best, Precision
from iafsweep.run_files.run_folder import RunFolder, sweep_of
from iafsweep.shown_command import run_command, sweep_command
from iafsweep.training.device import is_out_of_memory
from iafsweep.training.optimiser import restore_moments
from iafsweep.version import VERSION, Writer

FORMAT = "iafsweep checkpoint 1"
_NOWHERE = torch.device("meta")
"""Where tensors are loaded to if only the other fields of a checkpoint are wanted."""


@dataclass(frozen=True)
class Checkpoint:
    """Contents of ``last.pt``.

    Attributes:
        config: the configuration as TOML.
        epoch: epochs completed.
        model: state of the model.
        optimiser: state of the optimiser.
        best: the best epoch so far.
        seconds: training seconds so far.
        threads: CPU threads used in training; another number may round differently.
        device: type of the device used in training.
        torch_version: the PyTorch version that wrote it.
        precision: precision of the networks.
        compiled: whether the step was compiled.
        compile_seconds: how many of the seconds were spent compiling.
        average: state of the model with the averaged weights, which is validated and scored; None without averaging.
    """

    config: str
    epoch: int
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    best: Best | None
    seconds: float
    threads: int
    device: str
    torch_version: str
    precision: Precision = "float32"
    compiled: bool = False
    compile_seconds: float = 0.0
    average: dict[str, Tensor] | None = None

    @property
    def scored(self) -> dict[str, Tensor]:
        """The weights that are validated, scored and exported."""
        return self.model if self.average is None else self.average


@dataclass(frozen=True, kw_only=True)
class StepCheckpoint(Checkpoint):
    """Contents of ``step.pt``, a checkpoint within an epoch; ``epoch``, ``best``, ``seconds`` count whole epochs only.

    Attributes:
        batches: batches of the epoch completed.
        sums: sums of the step's figures over these batches, [5].
        draws: state of the generator of the epoch's draws.
        elapsed: training seconds in this epoch.
        compiling: how many of them were spent compiling.
    """

    batches: int
    sums: Tensor
    draws: Tensor
    elapsed: float
    compiling: float


@dataclass(frozen=True)
class BestWeights:
    """Contents of ``best.pt``.

    Attributes:
        config: the configuration as TOML.
        epoch: the epoch after which these weights were taken.
        model: state of the model.
    """

    config: str
    epoch: int
    model: dict[str, Tensor]


def save(folder: RunFolder, checkpoint: Checkpoint, new_best: BestWeights | None) -> None:
    """Write ``last.pt`` and, if there is a new best, ``best.pt``; the two on disk are consistent at every moment."""
    if new_best is not None:
        _write(folder.pending_best, vars(new_best))
    _write(folder.last, vars(checkpoint))
    if new_best is not None:
        folder.pending_best.replace(folder.best)
    folder.step.unlink(missing_ok=True)


def save_step(folder: RunFolder, checkpoint: StepCheckpoint) -> None:
    """Write ``step.pt``; ``last.pt`` must be that of the previous epoch."""
    _write(folder.step, vars(checkpoint))


def on_cpu(state: Any) -> Any:  # noqa: ANN401 - a state holds anything
    """Return a copy of a state (nested dictionaries and lists) with its tensors copied to CPU memory."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: on_cpu(value) for key, value in state.items()}
    return [on_cpu(value) for value in state] if isinstance(state, list) else state


def load_last(folder: RunFolder, device: torch.device) -> Checkpoint:
    """Read ``last.pt``.

    Raises:
        RunFolderError: it is missing, truncated, or not a checkpoint of this program.
    """
    return Checkpoint(**_read(folder.last, device, Checkpoint, _how_to_begin(folder)))


def _how_to_begin(folder: RunFolder) -> str:
    """Advice for a run without a checkpoint."""
    if (sweep := sweep_of(folder.path)) is not None:
        return (
            f"if the trial was killed before its first checkpoint, continue the sweep: {sweep_command('resume', sweep)}"
        )
    try:
        folder.refuse_used()
    except RunFolderError:
        return "restore it, or train the run again in a new folder"
    return (
        f"if the run was killed before its first checkpoint, start it again: "
        f"{run_command(folder.config, '--run', folder.path)}"
    )


def load_step(folder: RunFolder, last: Checkpoint, device: torch.device) -> StepCheckpoint | None:
    """Read ``step.pt``; None if there is none for the epoch that follows ``last``.

    Raises:
        RunFolderError: it is truncated, not a checkpoint of this program, or from another type of device.
    """
    if not folder.step.exists():
        return None
    step = StepCheckpoint(**_read(folder.step, device, StepCheckpoint, ""))
    if step.epoch != last.epoch:  # the process was killed before it could remove it
        return None
    if step.device != device.type:
        raise RunFolderError(
            f"{folder.step} was written on {step.device}, whose random numbers differ from those of {device.type}"
        )
    return step


def load_best(folder: RunFolder, device: torch.device) -> BestWeights:
    """Read the weights of the best epoch, from ``best.next.pt`` if ``last.pt`` refers to it, else from ``best.pt``.

    Raises:
        RunFolderError: they are missing, truncated, or not a checkpoint of this program.
    """
    pending = _known_pending(folder, device)
    if pending is not None:
        return pending
    return BestWeights(**_read(folder.best, device, BestWeights, "only this file holds the weights of the best epoch"))


def check_whole(folder: RunFolder, checkpoint: Literal["best", "last"]) -> None:
    """Read a checkpoint without keeping its weights, to find damage before anything is computed.

    Raises:
        RunFolderError: it is missing, truncated, or not a checkpoint of this program.
    """
    if checkpoint == "best":
        load_best(folder, _NOWHERE)
    else:
        load_last(folder, _NOWHERE)


def restore(saved: Checkpoint, model: VAE, optimiser: Optimizer, average: VAE | None, folder: RunFolder) -> None:
    """Load a checkpoint into a model, its optimiser and the model with the averaged weights.

    Raises:
        RunFolderError: they do not fit.
    """
    try:
        model.load_state_dict(saved.model)
        restore_moments(optimiser, saved.optimiser)
        if average is not None:
            average.load_state_dict(saved.average or {})
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(
            f"{folder.last} does not match the config.toml next to it; restore the file that changed: {error}"
        ) from error


def settle_best(folder: RunFolder) -> None:
    """Rename ``best.next.pt`` to ``best.pt`` if ``last.pt`` refers to it, else remove it: training will find it again.

    Only the process that holds the folder's lock may call this.

    Raises:
        RunFolderError: it is damaged, or ``last.pt`` is.
    """
    if _known_pending(folder, _NOWHERE) is not None:
        folder.pending_best.replace(folder.best)
    else:
        folder.pending_best.unlink(missing_ok=True)


def checkpoint_digest(folder: RunFolder, checkpoint: Literal["best", "last"]) -> str:
    """Return the SHA-256 of a checkpoint file, which identifies the checkpoint that figures belong to.

    Raises:
        RunFolderError: it is missing, or it cannot be determined which file it is.
    """
    path = folder.last
    if checkpoint == "best":
        path = folder.best if _known_pending(folder, _NOWHERE) is None else folder.pending_best
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing, so there is no checkpoint to score; restore it") from None


def _known_pending(folder: RunFolder, device: torch.device) -> BestWeights | None:
    """Return the pending best if ``last.pt`` refers to it: it is then the best, and only not renamed yet."""
    if not folder.pending_best.exists():
        return None
    try:
        # Read before last.pt: if the run continues meanwhile, best.pt is this one or newer.
        pending = BestWeights(**_read(folder.pending_best, device, BestWeights, ""))
    except RunFolderError as error:
        if not folder.pending_best.exists():  # it has just been renamed
            return None
        raise RunFolderError(f"{error}; delete it if {folder.best.name} next to it is intact") from None
    last = load_last(folder, _NOWHERE)
    return pending if last.best is not None and last.best.epoch == pending.epoch else None


def _write(path: Path, content: dict[str, Any]) -> None:
    plain = {name: value.model_dump() if isinstance(value, Best) else value for name, value in content.items()}
    with replacing(path) as temporary:
        try:
            torch.save({"format": FORMAT, "written_by": VERSION, **plain}, temporary)
        except RuntimeError as error:  # PyTorch's writer hides the system's error
            raise OSError(f"cannot write {path}: {_first_line(error)}") from error


def _read(path: Path, device: torch.device, record: type[Checkpoint | BestWeights], without: str) -> dict[str, Any]:
    """Return the fields of a checkpoint; ``without`` tells the user what its absence means."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing; {without}") from None
    except MemoryError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # On a damaged file, PyTorch and its unpickler may raise anything.
        raise RunFolderError(f"{path} is truncated or not a checkpoint ({_first_line(error)})") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise RunFolderError(f"{path} is not a checkpoint of this program: its format is not {FORMAT!r}")
    writer = content.pop("written_by", Writer().version)
    required = {field.name for field in fields(record) if field.default is MISSING}
    if not required <= set(content) <= {field.name for field in fields(record)}:
        raise RunFolderError(
            f"{path} was written by another version of this program, iafsweep {writer} (this is {VERSION}); "
            f"use that version"
        )
    if not _is_sound(content):
        raise RunFolderError(f"{path} is damaged: its epoch, its weights or its configuration is not valid")
    try:
        if content.get("best") is not None:
            content["best"] = Best.model_validate(content["best"])
    except ValidationError:
        raise RunFolderError(f"{path} is damaged: its record of the best epoch is not valid") from None
    return content


def _is_sound(content: dict[str, Any]) -> bool:
    """Whether the fields that all checkpoints share have the right types."""
    epoch, model = content["epoch"], content["model"]
    is_epoch = isinstance(epoch, int) and epoch >= 0
    states = [model] if content.get("average") is None else [model, content["average"]]
    are_states = all(
        isinstance(state, dict) and all(isinstance(each, Tensor) for each in state.values()) for state in states
    )
    return is_epoch and are_states and isinstance(content["config"], str)


def _first_line(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it contains objects other than tensors and plain values, or ends early"
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
