"""Priors over the latent variables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from iafsweep.models.densities import standard_normal_log_density


class Prior(nn.Module, ABC):
    """A density of the latent variables that can be evaluated and sampled."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: z [..., D] to [...]."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """Draw [count, D] on the generator's device."""


@final
class StandardNormalPrior(Prior):
    """``N(0, I)``."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size

    def log_density(self, z: Tensor) -> Tensor:
        """Return ``log N(z; 0, I)`` in nats: z [..., D] to [...]."""
        return standard_normal_log_density(z)

    def sample(self, count: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """Draw [count, D] on the generator's device."""
        return torch.randn(count, self.latent_size, generator=generator, device=generator.device, dtype=dtype)
