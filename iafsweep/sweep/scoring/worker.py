"""What a scoring process does: tasks, one after the other. It imports neither pandas nor what plans the work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.tasks import Task, perform
from iafsweep.models import folded
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import load_trained_model
from iafsweep.training.device import keep_freed_memory


@dataclass(frozen=True)
class ScoringTask:
    """A worker's payload: a task, and the run and checkpoint that it scores."""

    run: Path
    checkpoint: Literal["best", "last"]
    task: Task


class ScoringWorker:
    """Runs tasks in one process and keeps the model of the latest task.

    ``images`` are test images, uint8 [N, X...].
    """

    def __init__(self, images: Tensor, device: torch.device) -> None:
        self._images = images.to(device)
        self._device = device
        keep_freed_memory(device)
        self._model_of: tuple[Path, str] | None = None

    def run(self, payload: ScoringTask, needed: Mapping[str, str]) -> str:
        """Return the result of a task as JSON."""
        if self._model_of != (payload.run, payload.checkpoint):
            self._model = folded(load_trained_model(RunFolder(payload.run), payload.checkpoint, self._device).model)
            self._model_of = payload.run, payload.checkpoint
        step_size = next((FrozenStepSize.model_validate_json(text) for text in needed.values()), None)
        return perform(self._model, {"test": self._images}, payload.task, step_size).model_dump_json()
