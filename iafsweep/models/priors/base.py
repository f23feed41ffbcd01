"""Base classes of priors, densities of the latent variables with a map from noise to samples."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat, PriorConfig
from iafsweep.models.densities import standard_normal_log_density
from iafsweep.models.encoders import Encoder
from iafsweep.models.passes import Passes


class Prior(nn.Module, ABC):
    """A density p(z) of the latent variables that can be evaluated and sampled exactly.

    No prior has batch norm, so p(z) is a density in training too.

    Attributes:
        latent_size: D.
        noise_size: N, standard normal numbers per sample.
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.noise_size = latent_size

    @classmethod
    @abstractmethod
    def from_config(
        cls,
        config: PriorConfig,
        latent_size: int,
        image: ImageFormat,
        encoder: Encoder,
        posterior_offset: float,
    ) -> Prior:
        """Make the prior that ``config`` describes.

        Args:
            config: its kind and sizes.
            latent_size: D.
            image: shape and levels of an image.
            encoder: the model's; a prior that uses it must keep it out of its own state.
            posterior_offset: added to the encoder's log standard deviation.
        """

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: z [..., D] to [...]."""

    @abstractmethod
    def from_noise(self, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Turn draws of N(0, I), [..., N], into exact draws of p(z), [..., D].

        Args:
            noise: on the model's device, of its type.
            passes: progress callback, called if more than one pass of a network is needed.
        """

    def sample(self, count: int, generator: torch.Generator, like: Tensor, passes: Passes | None = None) -> Tensor:
        """Draw [count, D], of the type and on the device of ``like``; noise is drawn on the generator's device."""
        size = (count, self.noise_size)
        noise = torch.randn(size, generator=generator, device=generator.device, dtype=like.dtype)
        return self.from_noise(noise.to(like.device), passes)


class FlowPrior(Prior):
    """A prior that an invertible map turns into N(0, I): ``log p(z) = log N(f(z); 0, I) + log|det df/dz|``."""

    @abstractmethod
    def to_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``f(z) [..., D]`` and ``log|det df/dz| [...]``."""

    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: z [..., D] to [...]."""
        noise, log_det = self.to_noise(z)
        return standard_normal_log_density(noise) + log_det
