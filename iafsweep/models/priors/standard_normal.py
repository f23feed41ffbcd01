"""The `standard_normal` prior."""

from __future__ import annotations

from typing import final

from torch import Tensor

from iafsweep.config import ImageFormat, PriorConfig
from iafsweep.models.densities import standard_normal_log_density
from iafsweep.models.encoders import Encoder
from iafsweep.models.passes import Passes
from iafsweep.models.priors.base import Prior


@final
class StandardNormalPrior(Prior):
    """``N(0, I)``."""

    @classmethod
    def from_config(
        cls,
        config: PriorConfig,
        latent_size: int,
        image: ImageFormat,
        encoder: Encoder,
        posterior_offset: float,
    ) -> StandardNormalPrior:
        """Make the prior; only the latent size matters."""
        return cls(latent_size)

    def log_density(self, z: Tensor) -> Tensor:
        """Return ``log N(z; 0, I)`` in nats: z [..., D] to [...]."""
        return standard_normal_log_density(z)

    def from_noise(self, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Return the noise unchanged."""
        return noise
