"""The `vamp` prior: a mixture of posteriors at learned inputs (Tomczak and Welling 2018, VampPrior, arXiv:1705.07120).

``p(z) = 1/K sum_k q(z|u_k)`` with pseudo-inputs u_k, images between 0 and 1 that are trained with the model. It needs q
at any z, which with a flow in the posterior would take the flow's inverse for every component, so it allows no flow.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat, PriorConfig
from iafsweep.config.model import VampPriorConfig
from iafsweep.models.encoders import Encoder, EncoderOutput
from iafsweep.models.likelihoods import centred
from iafsweep.models.passes import Passes
from iafsweep.models.priors.base import Prior

PSEUDO_LOGIT = -2.0
"""Initial mean of the logits of pseudo-inputs' pixels, with standard deviation 1: about as dark as a digit."""
_NEGLIGIBLE = 50.0
"""A component so many nats below the most probable one adds less than float64 resolves, and is given no gradient: it
would underflow to denormal float32 numbers, which processors multiply about a hundred times as slowly as others."""


@final
class VampPrior(Prior):
    """A mixture of K posteriors.

    Args:
        latent_size: D.
        image: shape and levels of the pseudo-inputs.
        components: K.
        encoder: the model's own, without batch norm; not part of this module's state.
        posterior_offset: added to its log standard deviation.
    """

    def __init__(
        self, latent_size: int, image: ImageFormat, components: int, encoder: Encoder, posterior_offset: float
    ) -> None:
        super().__init__(latent_size)
        self.noise_size = latent_size + 1  # one number chooses the component
        self.pseudo_logits = nn.Parameter(torch.full((components, *image.shape), PSEUDO_LOGIT))
        self.levels = image.levels
        self.posterior_offset = posterior_offset
        self._encoder = (encoder,)  # in a tuple, so that its weights are not counted twice
        self._fixed: tuple[Tensor, Tensor] | None = None

    @classmethod
    def from_config(
        cls,
        config: PriorConfig,
        latent_size: int,
        image: ImageFormat,
        encoder: Encoder,
        posterior_offset: float,
    ) -> VampPrior:
        """Make the prior with the size in ``config.vamp``."""
        components = config.section(VampPriorConfig).components
        return cls(latent_size, image, components, encoder, posterior_offset)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the pseudo-inputs."""
        self.pseudo_logits.data.normal_(PSEUDO_LOGIT, 1.0, generator=generator)

    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: z [..., D] to [...]."""
        # Expanded squares take one number per component instead of D; their cancellation then needs float64.
        mean, log_std = self.components(torch.float64)
        precision, where = (-2 * log_std).exp(), z.double()
        squares = where.square() @ precision.T - 2 * where @ (mean * precision).T + (mean.square() * precision).sum(-1)
        constant = log_std.sum(-1) + 0.5 * self.latent_size * math.log(2 * math.pi)
        terms = -0.5 * squares - constant
        least = terms.detach().amax(-1, keepdim=True) - _NEGLIGIBLE
        return (terms.clamp(min=least).logsumexp(-1) - math.log(len(mean))).to(z.dtype)

    def from_noise(self, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Turn draws of N(0, I) [..., D + 1] into draws of p(z) [..., D]: the first number chooses the component."""
        mean, log_std = self.components(noise.dtype)
        uniform = torch.special.ndtr(noise[..., 0].double())
        number = (uniform * len(mean)).long().clamp(max=len(mean) - 1)
        return mean[number] + log_std[number].exp() * noise[..., 1:]

    def components(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation of every component, each [K, D]."""
        if self._fixed is not None:
            mean, log_std = self._fixed
            return mean.to(dtype), log_std.to(dtype)
        pixels = self.pseudo_logits.sigmoid()
        # As the encoder sees the model's own images: bits as they are, levels scaled to [-1, 1].
        output: EncoderOutput = self._encoder[0](pixels if self.levels == 2 else centred(pixels, 2))  # noqa: PLR2004
        return output.mean.to(dtype), output.log_std.to(dtype) + self.posterior_offset

    @torch.no_grad()
    def fix(self) -> None:
        """Compute the components once, for weights that no longer change."""
        self._fixed = self.components(self.pseudo_logits.dtype)
