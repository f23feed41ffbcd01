"""The validation bound: fixed bits, fixed noise, full KL weight, eval mode, full float32 however a run trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, fixed_binarisation
from iafsweep.models import VAE
from iafsweep.models.precision import full_precision
from iafsweep.training.objective import fixed_noise, mean_negative_elbo

_BATCH = 500


@dataclass(frozen=True)
class ValidationSet:
    """Validation images with the noise of their posterior samples: the same after every epoch and in every trial.

    Attributes:
        bits: float [V, X...]; V may be 0.
        noise: standard normal, [V, D].
    """

    bits: Tensor
    noise: Tensor

    @classmethod
    def of(cls, images: TrainingImages, config: RunConfig, device: torch.device) -> ValidationSet:
        """Return the validation set of a configuration, on ``device``."""
        seed = config.data.binarisation_seed
        bits = fixed_binarisation(images.validation, "validation", seed).to(device)
        return cls(bits, fixed_noise(len(bits), config.model.latent_size, device, seed, "validation noise"))

    def negative_elbo(self, model: VAE) -> float | None:
        """Return the mean one-sample negative ELBO, nats per image; None without validation images."""
        if not len(self.bits):
            return None
        with full_precision():
            return mean_negative_elbo(model, self.bits, self.noise, _BATCH)
