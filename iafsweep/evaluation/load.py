"""A trained run, read back for use: its model, its figures, and log-likelihoods of new images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from iafsweep.config import RunConfig
from iafsweep.evaluation.arithmetic import full_precision
from iafsweep.evaluation.importance import importance_sampling
from iafsweep.evaluation.scoring import noise_blocks
from iafsweep.evaluation.vae_bridges import BRIDGES, encode
from iafsweep.models import VAE, folded
from iafsweep.records import DeviceChoice, EpochMetrics, Evaluation
from iafsweep.training import RunFolder, load_trained_model, resolve_device
from iafsweep.training.metrics_file import read

_IMAGES_AT_A_TIME = 100
_ROWS = 1000


@dataclass(frozen=True)
class Run:
    """A trained run or trial.

    Attributes:
        path: its folder.
        config: its configuration.
        model: the autoencoder, in eval mode, its parameters without gradient.
        epoch: epochs that model had been trained.
        metrics: one record an epoch.
        evaluation: the figures measured at the end; None if it was not scored.
    """

    path: Path
    config: RunConfig
    model: VAE
    epoch: int
    metrics: tuple[EpochMetrics, ...]
    evaluation: Evaluation | None

    def log_likelihood(self, x: Tensor, samples: int = 1000, seed: int = 0) -> Tensor:
        """Estimate log p(x) by importance sampling with the flow posterior, a lower bound in expectation.

        Args:
            x: bits [B, *image_shape], zeros and ones of any dtype; binarise grey values first.
            samples: posterior samples an image, S.
            seed: of the noise; the same seed gives the same figures.

        Returns:
            Nats, [B], float64, on the CPU.

        Raises:
            ValueError: `x` holds anything but zeros and ones, is of another shape, or `samples` is below 1.
        """
        if not bool(((x == 0) | (x == 1)).all()):
            raise ValueError("x must hold zeros and ones only; binarise grey values first: iafsweep.data.binarise")
        reference = next(self.model.parameters())
        bits = x.to(reference.device, reference.dtype)
        model = folded(self.model)
        found = []
        for first in range(0, len(bits), _IMAGES_AT_A_TIME):
            part = bits[first : first + _IMAGES_AT_A_TIME]
            noise = noise_blocks(seed, "log_likelihood", "", 0, range(first, first + len(part)))
            with full_precision():
                bridge = BRIDGES["posterior"](model, part, encode(model, part))
                statistics = importance_sampling(bridge, samples, noise.open(), rows_per_chunk=_ROWS)
            found.append(statistics.log_likelihood.cpu())
        return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)


def load_run(path: str | Path, device: DeviceChoice = "auto") -> Run:
    """Read a trained run: a folder of `run_single.py`, or of a sweep's trial.

    The checkpoint is the one that its configuration scores (``evaluation.checkpoint``). No code from the folder is run.

    Args:
        path: the run folder.
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.

    Raises:
        RunFolderError: this is no run folder, or a file in it is missing or damaged.
        UserError: cuda was asked for and there is none.
    """
    folder = RunFolder(Path(path))
    config = folder.read_config()
    trained = load_trained_model(folder, config.evaluation.checkpoint, resolve_device(device))
    return Run(
        path=folder.path,
        config=config,
        model=trained.model.requires_grad_(requires_grad=False),
        epoch=trained.epoch,
        metrics=tuple(read(folder.metrics)),
        evaluation=folder.read_evaluation() if folder.evaluation.exists() else None,
    )
