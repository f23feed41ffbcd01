"""A trial's trainer, opened where its run folder stands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages
from iafsweep.records import EpochMetrics, RunState, RunStatus
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import Trainer


class RunningTrainer(Protocol):
    """What a trial needs of :class:`iafsweep.training.Trainer`."""

    epochs_done: int
    config: RunConfig

    @property
    def state(self) -> RunState:
        """How far the run is."""

    def run_epoch(self) -> EpochMetrics:
        """Train one epoch."""

    def save(self) -> None:
        """Write the checkpoints."""

    def finish(self, status: RunStatus = ...) -> None:
        """Save, draw, and close."""

    def interrupt(self) -> None:
        """Save the last complete epoch and close."""

    def close(self) -> None:
        """Close all files."""


OpenTrainer = Callable[[RunConfig, TrainingImages, Path, torch.device], tuple[RunningTrainer, str]]
"""Starts or goes on with the run in a folder; returns the trainer and a remark for the sweep's log."""


def open_trainer(
    config: RunConfig, images: TrainingImages, path: Path, device: torch.device
) -> tuple[RunningTrainer, str]:
    """Go on from the run folder's ``last.pt``; without one (killed before its first checkpoint) start afresh."""
    folder = RunFolder(path)
    if folder.last.exists():
        trainer = Trainer.resume(config, images, folder, device)
        return trainer, _notes(f"goes on after epoch {trainer.epochs_done}", trainer.remark)
    interrupted = path.exists()
    if interrupted:
        shutil.rmtree(path)
    note = "was interrupted before its first checkpoint; starts afresh" if interrupted else ""
    trainer = Trainer.start(config, images, folder, device)
    return trainer, _notes(note, trainer.remark)


def _notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
