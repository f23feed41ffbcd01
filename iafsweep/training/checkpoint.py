"""Checkpoints: written atomically, read without running code, checked before use.

``last.pt`` holds all that training goes on from after an epoch, ``step.pt`` in the middle of the next; ``best.pt`` the
weights of the best epoch. A new best is first written to ``best.next.pt`` and takes its name only after ``last.pt`` has
been replaced, so that a process killed at any moment leaves a ``last.pt`` and a ``best.pt`` that belong together. A
reader takes ``best.next.pt`` for the best if ``last.pt`` knows of it, and writes nothing: the run may be training.
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
"""To read what a checkpoint says without its weights."""


@dataclass(frozen=True)
class Checkpoint:
    """What ``last.pt`` holds.

    Attributes:
        config: the configuration as TOML.
        epoch: epochs done.
        model: state of the model.
        optimiser: state of the optimiser.
        best: the best epoch so far.
        seconds: training seconds so far.
        threads: CPU threads it was trained with; another number may round differently.
        device: kind of device it was trained on.
        torch_version: the PyTorch that wrote it.
        precision: what the networks computed in.
        compiled: whether the step was compiled.
        compile_seconds: how many of the seconds were spent compiling.
        average: state of the model with the averaged weights, which is the one that counts; None where there is none.
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
    """What ``step.pt`` holds: a checkpoint in the middle of an epoch; ``epoch``, ``best``, ``seconds`` of whole ones.

    Attributes:
        batches: how many of the epoch's are done.
        sums: over them, of what a step returns, [5].
        draws: state of the generator of the epoch's draws.
        elapsed: seconds of training in this epoch.
        compiling: how many of them were spent compiling.
    """

    batches: int
    sums: Tensor
    draws: Tensor
    elapsed: float
    compiling: float


@dataclass(frozen=True)
class BestWeights:
    """What ``best.pt`` holds.

    Attributes:
        config: the configuration as TOML.
        epoch: the epoch after which these weights were taken.
        model: state of the model.
    """

    config: str
    epoch: int
    model: dict[str, Tensor]


def save(folder: RunFolder, checkpoint: Checkpoint, new_best: BestWeights | None) -> None:
    """Write ``last.pt`` and, if there is a new best, ``best.pt``; at every moment the two on disk belong together."""
    if new_best is not None:
        _write(folder.pending_best, vars(new_best))
    _write(folder.last, vars(checkpoint))
    if new_best is not None:
        folder.pending_best.replace(folder.best)
    folder.step.unlink(missing_ok=True)


def save_step(folder: RunFolder, checkpoint: StepCheckpoint) -> None:
    """Write ``step.pt``; ``last.pt`` must be of the epoch before."""
    _write(folder.step, vars(checkpoint))


def on_cpu(state: Any) -> Any:  # noqa: ANN401 - whatever a state holds
    """Return a copy of a state (nested dictionaries and lists) whose tensors lie in ordinary memory of their own."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: on_cpu(value) for key, value in state.items()}
    return [on_cpu(value) for value in state] if isinstance(state, list) else state


def load_last(folder: RunFolder, device: torch.device) -> Checkpoint:
    """Read ``last.pt``.

    Raises:
        RunFolderError: it is missing, truncated, or no checkpoint of this program.
    """
    return Checkpoint(**_read(folder.last, device, Checkpoint, _how_to_begin(folder)))


def _how_to_begin(folder: RunFolder) -> str:
    """What to do about a run without a checkpoint."""
    if (sweep := sweep_of(folder.path)) is not None:
        return f"if the trial was killed before its first one, go on with the sweep: {sweep_command('resume', sweep)}"
    try:
        folder.refuse_used()
    except RunFolderError:
        return "has this run got so far?"
    return f"a run killed before its first checkpoint starts again: {run_command(folder.config, '--run', folder.path)}"


def load_step(folder: RunFolder, last: Checkpoint, device: torch.device) -> StepCheckpoint | None:
    """Read ``step.pt``; None if there is none of the epoch after that of ``last``.

    Raises:
        RunFolderError: it is truncated, no checkpoint of this program, or of another kind of device.
    """
    if not folder.step.exists():
        return None
    step = StepCheckpoint(**_read(folder.step, device, StepCheckpoint, ""))
    if step.epoch != last.epoch:  # the process was killed before it could remove it
        return None
    if step.device != device.type:
        raise RunFolderError(f"{folder.step} is of an epoch that was begun on {step.device}, which draws other numbers")
    return step


def load_best(folder: RunFolder, device: torch.device) -> BestWeights:
    """Read the weights of the best epoch, under whichever of its two names ``last.pt`` knows them.

    Raises:
        RunFolderError: they are missing, truncated, or no checkpoint of this program.
    """
    pending = _known_pending(folder, device)
    if pending is not None:
        return pending
    return BestWeights(**_read(folder.best, device, BestWeights, "without it the best epoch cannot be scored"))


def check_whole(folder: RunFolder, checkpoint: Literal["best", "last"]) -> None:
    """Read a checkpoint without keeping its weights, to find damage before anything is computed.

    Raises:
        RunFolderError: it is missing, truncated, or no checkpoint of this program.
    """
    if checkpoint == "best":
        load_best(folder, _NOWHERE)
    else:
        load_last(folder, _NOWHERE)


def restore(saved: Checkpoint, model: VAE, optimiser: Optimizer, average: VAE | None, folder: RunFolder) -> None:
    """Put the weights and moments of a checkpoint into a model, its optimiser and the model of averaged weights.

    Raises:
        RunFolderError: they do not fit.
    """
    try:
        model.load_state_dict(saved.model)
        restore_moments(optimiser, saved.optimiser)
        if average is not None:
            average.load_state_dict(saved.average or {})
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{folder.last} does not fit the config.toml beside it: {error}") from error


def settle_best(folder: RunFolder) -> None:
    """Give a pending best its name if ``last.pt`` knows of it, else remove it: training will find it again.

    Only for who writes the folder, that is, holds its lock.

    Raises:
        RunFolderError: it is damaged, or ``last.pt`` is.
    """
    if _known_pending(folder, _NOWHERE) is not None:
        folder.pending_best.replace(folder.best)
    else:
        folder.pending_best.unlink(missing_ok=True)


def checkpoint_digest(folder: RunFolder, checkpoint: Literal["best", "last"]) -> str:
    """Return the SHA-256 of a checkpoint's file, to tell figures of one from those of another.

    Raises:
        RunFolderError: it is missing, or which file it is cannot be told.
    """
    path = folder.last
    if checkpoint == "best":
        path = folder.best if _known_pending(folder, _NOWHERE) is None else folder.pending_best
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing: there is no checkpoint to score") from None


def _known_pending(folder: RunFolder, device: torch.device) -> BestWeights | None:
    """Return the pending best if ``last.pt`` knows of it: then it is the best, and only its name is missing."""
    if not folder.pending_best.exists():
        return None
    try:
        # Before last.pt: if the run goes on meanwhile, best.pt is this one or a newer.
        pending = BestWeights(**_read(folder.pending_best, device, BestWeights, ""))
    except RunFolderError as error:
        if not folder.pending_best.exists():  # it has just been given its name
            return None
        raise RunFolderError(f"{error}; delete it, if {folder.best.name} beside it is whole") from None
    last = load_last(folder, _NOWHERE)
    return pending if last.best is not None and last.best.epoch == pending.epoch else None


def _write(path: Path, content: dict[str, Any]) -> None:
    plain = {name: value.model_dump() if isinstance(value, Best) else value for name, value in content.items()}
    with replacing(path) as temporary:
        try:
            torch.save({"format": FORMAT, "written_by": VERSION, **plain}, temporary)
        except RuntimeError as error:  # PyTorch's own writer does not pass on what the system said
            raise OSError(f"cannot write {path}: {_first_line(error)}") from error


def _read(path: Path, device: torch.device, record: type[Checkpoint | BestWeights], without: str) -> dict[str, Any]:
    """Return the fields of a checkpoint; ``without`` says what its lack means."""
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing; {without}") from None
    except MemoryError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # A damaged file makes PyTorch and its unpickler fail in any way there is.
        raise RunFolderError(f"{path} is truncated or not a checkpoint ({_first_line(error)})") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise RunFolderError(f"{path} is not a checkpoint of this program ({FORMAT!r}); was it written by another?")
    writer = content.pop("written_by", Writer().version)
    required = {field.name for field in fields(record) if field.default is MISSING}
    if not required <= set(content) <= {field.name for field in fields(record)}:
        raise RunFolderError(
            f"{path} was written by another version of this program: iafsweep {writer}, this is {VERSION}; "
            f"go on with that one"
        )
    if not _is_sound(content):
        raise RunFolderError(f"{path} is damaged: a checkpoint's epoch is a number, its weights are named tensors")
    try:
        if content.get("best") is not None:
            content["best"] = Best.model_validate(content["best"])
    except ValidationError:
        raise RunFolderError(f"{path} is damaged: it does not say which epoch was the best") from None
    return content


def _is_sound(content: dict[str, Any]) -> bool:
    """Whether the fields that both kinds of checkpoint have are what they should be."""
    epoch, model = content["epoch"], content["model"]
    is_epoch = isinstance(epoch, int) and epoch >= 0
    states = [model] if content.get("average") is None else [model, content["average"]]
    are_states = all(
        isinstance(state, dict) and all(isinstance(each, Tensor) for each in state.values()) for state in states
    )
    return is_epoch and are_states and isinstance(content["config"], str)


def _first_line(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than tensors and plain values, or is cut off"
    text = str(error).strip().splitlines()
    return text[0][:120] if text else type(error).__name__
