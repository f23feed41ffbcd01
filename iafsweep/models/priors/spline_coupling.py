"""The `spline_coupling` prior: coupling layers with rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032).

A layer keeps one half of the coordinates and moves each of the other half by a spline whose parameters a network
computes from the half that stays. Both the density and a sample take one pass per layer.
"""

from __future__ import annotations

from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.config import ImageFormat, PriorConfig
from iafsweep.config.model import SplineCouplingPriorConfig
from iafsweep.models.encoders import Encoder
from iafsweep.models.layers import SmallLinear
from iafsweep.models.passes import Passes
from iafsweep.models.priors.base import FlowPrior
from iafsweep.models.splines import inverse_spline, parameters_of_a_spline, spline


@final
class SplineCouplingPrior(FlowPrior):
    """A sequence of coupling layers; nearly N(0, I) at the start.

    Layers move, in turn, the odd coordinates, the even ones, the second half and the first half.

    Args:
        latent_size: D, at least 2.
        sizes: number and sizes of the layers, bins and bound of the splines.
    """

    def __init__(self, latent_size: int, sizes: SplineCouplingPriorConfig) -> None:
        super().__init__(latent_size)
        self.layers = nn.ModuleList(_Coupling(latent_size, number, sizes) for number in range(sizes.depth))

    @classmethod
    def from_config(
        cls,
        config: PriorConfig,
        latent_size: int,
        image: ImageFormat,
        encoder: Encoder,
        posterior_offset: float,
    ) -> SplineCouplingPrior:
        """Make the prior with the sizes in ``config.spline_coupling``."""
        return cls(latent_size, config.section(SplineCouplingPriorConfig))

    def to_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``f(z) [..., D]`` and ``log|det df/dz| [...]``."""
        log_det = z.new_zeros(z.shape[:-1])
        for layer in self.layers:
            z, layer_log_det = layer(z)
            log_det = log_det + layer_log_det
        return z, log_det

    def from_noise(self, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Turn draws of N(0, I) [..., D] into draws of p(z) [..., D]."""
        for layer in reversed(cast("list[_Coupling]", list(self.layers))):
            noise = layer.inverse(noise)
        return noise


@final
class _Coupling(nn.Module):
    """One coupling layer."""

    moved: Tensor
    kept: Tensor

    def __init__(self, latent_size: int, number: int, sizes: SplineCouplingPriorConfig) -> None:
        super().__init__()
        self.bins, self.bound = sizes.bins, sizes.bound
        half, coordinates = latent_size // 2, torch.arange(latent_size)
        halves = (coordinates[::2], coordinates[1::2]) if number % 4 < 2 else (coordinates[:half], coordinates[half:])
        kept, moved = halves[number % 2], halves[1 - number % 2]
        self.register_buffer("moved", moved.clone(), persistent=False)
        self.register_buffer("kept", kept.clone(), persistent=False)
        widths = [len(kept), *[sizes.width] * sizes.hidden_layers]
        self.hidden = nn.ModuleList(nn.Linear(inputs, sizes.width) for inputs in widths[:-1])
        self.output = SmallLinear(widths[-1], len(moved) * parameters_of_a_spline(sizes.bins))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., D]; return the result [..., D] and ``log|det|`` [...]."""
        y, log_slope = spline(z[..., self.moved], self._numbers(z), self.bound)
        return self._with_moved(z, y), log_slope.sum(-1)

    def inverse(self, z: Tensor) -> Tensor:
        """Undo ``forward``."""
        return self._with_moved(z, inverse_spline(z[..., self.moved], self._numbers(z), self.bound))

    def _numbers(self, z: Tensor) -> Tensor:
        hidden = z[..., self.kept]
        for layer in self.hidden:
            hidden = F.elu(layer(hidden))
        numbers: Tensor = self.output(hidden).to(z.dtype)
        return numbers.reshape(*z.shape[:-1], len(self.moved), parameters_of_a_spline(self.bins))

    def _with_moved(self, z: Tensor, y: Tensor) -> Tensor:
        whole: Tensor = z.index_copy(-1, self.moved, y)
        return whole
