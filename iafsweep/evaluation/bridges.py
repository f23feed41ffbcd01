"""The three bridges of a variational autoencoder, one for each start of annealing.

A bridge presents a model as log-densities, which is all that the estimators see of it.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from iafsweep.estimators.bridge import Bridge
from iafsweep.estimators.noise import Generators, draw_normal
from iafsweep.models import VAE, PosteriorParameters
from iafsweep.models.priors import StandardNormalPrior

MakeBridge = Callable[[VAE, Tensor, PosteriorParameters], Bridge]
"""Maps a model in eval mode, images as it sees them [B, X...] and their encoding to a bridge for these images."""


def posterior_bridge(model: VAE, x: Tensor, parameters: PosteriorParameters) -> Bridge:
    """Bridge from the full flow posterior to the joint density, in the posterior's base noise e.

    pi_0(e) = N(e; 0, I), pi_1(e) = p(x, f(e; x)) |det df/de|: the flow is never inverted.
    """
    zeros = torch.zeros_like(parameters.mean)

    def log_target(noise: Tensor) -> Tensor:
        z, log_det = model.transform_noise(noise, parameters)
        return model.log_joint(x, z) + log_det

    return Bridge.from_gaussian(zeros, zeros, log_target)


def prior_bridge(model: VAE, x: Tensor, parameters: PosteriorParameters) -> Bridge:
    """Bridge from the prior to the joint density, in z; it starts at exact prior samples."""
    if isinstance(model.prior, StandardNormalPrior):
        zeros = torch.zeros_like(parameters.mean)
        return Bridge.from_gaussian(zeros, zeros, lambda z: model.log_joint(x, z))

    def draw_start(count: int, generator: Generators) -> Tensor:
        size = (count, len(x), model.prior.noise_size)
        with torch.no_grad():
            return model.prior.from_noise(draw_normal(size, generator, dtype=x.dtype, device=x.device))

    def log_densities(z: Tensor) -> tuple[Tensor, Tensor]:
        log_prior = model.log_prior(z)
        return log_prior, log_prior + model.log_likelihood(x, z)

    return Bridge(draw_start, log_densities)


def base_bridge(model: VAE, x: Tensor, parameters: PosteriorParameters) -> Bridge:
    """Bridge from the Gaussian base of the posterior (without the flow) to the joint density, in z."""
    return Bridge.from_gaussian(parameters.mean, parameters.log_std, lambda z: model.log_joint(x, z))


BRIDGES: dict[str, MakeBridge] = {"posterior": posterior_bridge, "prior": prior_bridge, "base": base_bridge}


def encode(model: VAE, x: Tensor) -> PosteriorParameters:
    """Encode each image once, without gradients; all of its samples share the encoding."""
    with torch.no_grad():
        return model.posterior(x)
