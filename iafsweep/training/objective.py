"""The negative ELBO, split into its two terms; its mean over validation images is the bound that chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, seen
from iafsweep.models import VAE
from iafsweep.models.densities import standard_normal_log_density
from iafsweep.models.precision import eval_mode, full_precision
from iafsweep.seeds import generator

_VALIDATION_BATCH = 500


class BoundTerms(NamedTuple):
    """The two terms of the one-sample negative ELBO, nats per image.

    Attributes:
        reconstruction: -log p(x|z), [B].
        kl: log q(z|x) - log p(z), [B]; its mean estimates KL(q(z|x) || p(z)).
    """

    reconstruction: Tensor
    kl: Tensor

    @property
    def negative_elbo(self) -> Tensor:
        """The bound at full KL weight, [B]."""
        return self.reconstruction + self.kl


def bound_terms(model: VAE, x: Tensor, noise: Tensor) -> BoundTerms:
    """Return the terms of the negative ELBO of one posterior sample an image.

    With e = ``noise`` and z = flow(mu(x) + sigma(x) e; context(x)): log q(z|x) = log N(e; 0, I) - log|det dz/de|
    (Kingma et al. 2016, arXiv:1606.04934).

    Args:
        model: the autoencoder.
        x: bits or levels, float [B, X...].
        noise: standard normal, [B, D].
    """
    z, log_det = model.transform_noise(noise, model.posterior(x))
    log_posterior = standard_normal_log_density(noise) - log_det
    return BoundTerms(-model.log_likelihood(x, z), log_posterior - model.log_prior(z))


@torch.no_grad()
def mean_negative_elbo(model: VAE, images: Tensor, noise: Tensor, batch_size: int) -> float:
    """Return the mean one-sample negative ELBO of ``images`` in eval mode, nats per image.

    Args:
        model: the autoencoder; its mode is restored.
        images: as the model sees them, float [N, X...].
        noise: standard normal, [N, D], fixed so that two epochs differ by the model alone.
        batch_size: images at a time; without influence but on speed and rounding.
    """
    total = torch.zeros((), dtype=torch.float64, device=images.device)
    with eval_mode(model):
        for x, e in zip(images.split(batch_size), noise.split(batch_size), strict=True):
            total += bound_terms(model, x, e).negative_elbo.double().sum()
    return float(total / len(images))


def fixed_noise(count: int, latent_size: int, device: torch.device, *seed: int | str) -> Tensor:
    """Return standard normal noise [count, latent_size] that is the same on every device (drawn on the CPU)."""
    return torch.randn((count, latent_size), generator=generator("cpu", *seed)).to(device)


@dataclass(frozen=True)
class ValidationSet:
    """Validation images with the noise of their posterior samples: the same after every epoch and in every trial.

    The bound is at full KL weight, in eval mode and in full float32, however a run trains.

    Attributes:
        images: as the model sees them, float [V, X...]; V may be 0.
        noise: standard normal, [V, D].
    """

    images: Tensor
    noise: Tensor

    @classmethod
    def of(cls, images: TrainingImages, config: RunConfig, device: torch.device) -> ValidationSet:
        """Return the validation set of a configuration, on ``device``."""
        seed = config.data.binarisation_seed
        shown = seen(images.validation, config.data, "validation").to(device)
        return cls(shown, fixed_noise(len(shown), config.model.latent_size, device, seed, "validation noise"))

    def negative_elbo(self, model: VAE) -> float | None:
        """Return the mean one-sample negative ELBO, nats per image; None without validation images."""
        if not len(self.images):
            return None
        with full_precision():
            return mean_negative_elbo(model, self.images, self.noise, _VALIDATION_BATCH)
