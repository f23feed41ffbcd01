"""The negative ELBO and its two terms; its mean over validation images is the validation bound."""

from __future__ import annotations

import math
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
_SMALL = 784
"""Number of values of an MNIST image; `_VALIDATION_BATCH` images of this size fit into memory."""


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
    """Return the terms of the negative ELBO, from one posterior sample per image.

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


class Bound(NamedTuple):
    """Means over images of the one-sample negative ELBO and of its KL term, nats per image."""

    negative_elbo: float
    kl: float

    @property
    def reconstruction(self) -> float:
        """The mean of -log p(x|z)."""
        return self.negative_elbo - self.kl


@torch.no_grad()
def mean_bound(model: VAE, images: Tensor, noise: Tensor, batch_size: int) -> Bound:
    """Return the mean one-sample negative ELBO of ``images`` in eval mode, and its KL term.

    Args:
        model: the autoencoder; its mode is restored.
        images: as the model sees them, float [N, X...].
        noise: standard normal, [N, D], fixed so that epochs differ only by the model.
        batch_size: images at a time; affects speed and rounding only.
    """
    total, kl = torch.zeros((2,), dtype=torch.float64, device=images.device)
    with eval_mode(model):
        for x, e in zip(images.split(batch_size), noise.split(batch_size), strict=True):
            terms = bound_terms(model, x, e)
            total += terms.negative_elbo.double().sum()
            kl += terms.kl.double().sum()
    return Bound(float(total / len(images)), float(kl / len(images)))


ACTIVE = 0.01
"""A latent variable is active if its variance over images is above this (Burda et al. 2016)."""


@torch.no_grad()
def active_units(model: VAE, images: Tensor) -> int:
    """Return the number of active latent variables: ``Var_x z_d > 0.01``, with z obtained from zero noise.

    Without a flow, z is the posterior mean; with a flow, a point near it. Neither has sampling noise.

    Args:
        model: the autoencoder; its mode is restored.
        images: as the model sees them, float [N, X...], at least two.
    """
    with eval_mode(model):
        parameters = model.posterior(images)
        z, _ = model.transform_noise(torch.zeros_like(parameters.mean), parameters)
    return int((z.var(0) > ACTIVE).sum())


def fixed_noise(count: int, latent_size: int, device: torch.device, *seed: int | str) -> Tensor:
    """Return standard normal noise [count, latent_size], drawn on the CPU so that it is the same on every device."""
    return torch.randn((count, latent_size), generator=generator("cpu", *seed)).to(device)


@dataclass(frozen=True)
class ValidationSet:
    """Validation images and the noise of their posterior samples, the same after every epoch and in every trial.

    The bound is computed at full KL weight, in eval mode and in full float32, whatever the training uses.

    Attributes:
        images: as the model sees them, float [V, X...]; V may be 0.
        noise: standard normal, [V, D].
        batch_size: images at a time; for large images or levels, no more than in training.
    """

    images: Tensor
    noise: Tensor
    batch_size: int = _VALIDATION_BATCH

    @classmethod
    def of(cls, images: TrainingImages, config: RunConfig, device: torch.device) -> ValidationSet:
        """Return the validation set of a configuration, on ``device``."""
        seed = config.data.binarisation_seed
        shown = seen(images.validation, config.data, "validation").to(device)
        noise = fixed_noise(len(shown), config.model.latent_size, device, seed, "validation noise")
        is_small = config.image_format.dimensions is None and math.prod(shown.shape[1:]) <= _SMALL
        return cls(shown, noise, _VALIDATION_BATCH if is_small else min(_VALIDATION_BATCH, config.training.batch_size))

    def bound(self, model: VAE) -> Bound | None:
        """Return the mean one-sample negative ELBO and its KL term; None without validation images."""
        if not len(self.images):
            return None
        with full_precision():
            return mean_bound(model, self.images, self.noise, self.batch_size)

    def active_units(self, model: VAE) -> int | None:
        """Return the number of latent variables active on the first batch; None with fewer than two images."""
        with full_precision():
            return active_units(model, self.images[: self.batch_size]) if len(self.images) > 1 else None
