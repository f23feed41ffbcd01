"""Planar flow (Rezende and Mohamed 2015, arXiv:1505.05770), its parameters made from the context.

One step: ``z' = z + u tanh(a)`` with ``a = w z + b``, ``log|det| = log(1 + (1 - tanh(a)^2) w u)``. It is invertible
where ``w u > -1``; so ``u = v + (m(w v) - w v) w / |w|^2`` with ``m(x) = softplus(x + log(e - 1)) - 1``. Since
``m(0) = 0``, a step with a small v changes little.
"""

from __future__ import annotations

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.config import FlowConfig
from iafsweep.models.flows.base import Flow
from iafsweep.models.layers import SmallLinear

_BISECTIONS = 80
"""Halvings of the bracket of a root: to the last bits of float64, whatever its width here."""


@final
class PlanarFlow(Flow):
    """``depth`` planar steps, whose w, b and v are linear in the context.

    Args:
        latent_size: D.
        context_size: C.
        depth: number of steps.
    """

    context_size: int

    def __init__(self, latent_size: int, context_size: int, depth: int) -> None:
        super().__init__()
        self.context_size = context_size
        self.depth = depth
        self.planes = nn.Linear(context_size, depth * (latent_size + 1))
        self.moves = SmallLinear(context_size, depth * latent_size)

    @classmethod
    def from_config(cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None) -> PlanarFlow:
        """Make ``config.depth`` steps."""
        return cls(latent_size, config.resolved_context_size, config.depth)

    def forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return ``z' [..., B, D]`` and ``log|det dz'/dz| [..., B]``."""
        log_det = z.new_zeros(z.shape[:-1])
        for w, b, u in self._steps(context, z.dtype):
            bend = torch.tanh((z * w).sum(-1, keepdim=True) + b)
            z = z + u * bend
            log_det = log_det + torch.log1p((1 - bend.square()) * (w * u).sum(-1, keepdim=True)).squeeze(-1)
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Return the point [..., B, D] that ``forward`` maps to z: ``a + w u tanh(a) = w z' + b`` is solved for a.

        The left side rises with a; a is bracketed by ``w z' + b -+ |w u|`` and found by bisection, to the resolution of
        z's type.
        """
        for w, b, u in reversed(self._steps(context, z.dtype)):
            slope = (w * u).sum(-1, keepdim=True)
            value = (z * w).sum(-1, keepdim=True) + b
            low, high = value - slope.abs(), value + slope.abs()
            for _ in range(_BISECTIONS):
                middle = (low + high) / 2
                above = middle + slope * torch.tanh(middle) > value
                low, high = torch.where(above, low, middle), torch.where(above, middle, high)
            z = z - u * torch.tanh((low + high) / 2)
        return z

    def _steps(self, context: Tensor | None, dtype: torch.dtype) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return w [B, D], b [B, 1] and u [B, D] of each step."""
        if context is None:
            raise ValueError("a planar flow needs a context [B, C], got None")
        planes = self.planes(context).to(dtype).chunk(self.depth, dim=-1)
        moves = self.moves(context).to(dtype).chunk(self.depth, dim=-1)
        steps = []
        for plane, v in zip(planes, moves, strict=True):
            w, b = plane[..., :-1], plane[..., -1:]
            along = (w * v).sum(-1, keepdim=True)
            wanted = F.softplus(along + math.log(math.e - 1)) - 1
            steps.append((w, b, v + (wanted - along) * w / w.square().sum(-1, keepdim=True).clamp(min=1e-12)))
        return steps
