"""The `autoregressive` prior: masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057).

One layer maps z towards noise: ``z'_i = (z_i - m_i) exp(a_i)``, where a masked network without context computes m and a
from the coordinates before i; ``log|det| = sum a``. The density takes one pass per layer, and a sample D of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat, PriorConfig
from iafsweep.config.model import AutoregressivePriorConfig
from iafsweep.models.encoders import Encoder
from iafsweep.models.layers import SmallLinear
from iafsweep.models.made import ConditionalMade, OutputLayer
from iafsweep.models.passes import Passes
from iafsweep.models.priors.base import FlowPrior

_STEEPEST = 3.0
"""Bound on the absolute log-scales of a layer, so that no coordinate can diverge."""


@final
class AutoregressivePrior(FlowPrior):
    """A sequence of affine masked layers, every second one in the reversed order; nearly N(0, I) at the start.

    Args:
        layers: in the order from z to noise, with the outputs `shift` and `gate` (the log-scale), without context.
    """

    def __init__(self, layers: Sequence[ConditionalMade]) -> None:
        super().__init__(layers[0].latent_size)
        self.layers = nn.ModuleList(layers)

    @classmethod
    def from_config(
        cls,
        config: PriorConfig,
        latent_size: int,
        image: ImageFormat,
        encoder: Encoder,
        posterior_offset: float,
    ) -> AutoregressivePrior:
        """Make the prior with the sizes in ``config.autoregressive``."""
        sizes, small = config.section(AutoregressivePriorConfig), OutputLayer(scale=SmallLinear.initial_scale)
        return cls(
            [
                ConditionalMade(
                    latent_size,
                    sizes.width,
                    sizes.hidden_layers,
                    None,
                    outputs={"shift": small, "gate": small},
                    batch_norm_momentum=None,
                    reverse=number % 2 == 1,
                )
                for number in range(sizes.depth)
            ]
        )

    def to_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``f(z) [..., D]`` and ``log|det df/dz| [...]``, in one pass per layer."""
        log_det = z.new_zeros(z.shape[:-1])
        for layer in self._layers:
            shift, gate = layer(z, None)
            log_scale = _log_scale(gate)
            z = (z - shift) * log_scale.exp()
            log_det = log_det + log_scale.sum(-1)
        return z, log_det

    def from_noise(self, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Turn draws of N(0, I) [..., D] into draws of p(z) [..., D], in D passes per layer."""
        done, total = 0, len(self.layers) * self.latent_size

        def undo(moved: Tensor, shift: Tensor, gate: Tensor) -> Tensor:
            nonlocal done
            done += 1
            if passes is not None:
                passes(done, total)
            return shift + moved * torch.exp(-_log_scale(gate))

        for layer in reversed(self._layers):
            noise = layer.solve(noise, None, undo)
        return noise

    @property
    def _layers(self) -> list[ConditionalMade]:
        return cast("list[ConditionalMade]", list(self.layers))


def _log_scale(gate: Tensor) -> Tensor:
    return _STEEPEST * torch.tanh(gate / _STEEPEST)
