"""Planar flow (Rezende and Mohamed 2015, arXiv:1505.05770), with w, u and b from the context.

One step moves z along v, depending on where z is along w: ``z' = z + v tanh(w.z + b)``. It is invertible if
``v.w > -1``, which ``v = u + (m(u.w) - u.w) w / |w|^2`` ensures, with ``m(u.w) = p(u.w) - 1`` and p positive.
``log|det| = log(1 + v.w (1 - tanh^2))``.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from iafsweep.config import FlowConfig
from iafsweep.models.flows.steps import FlowStep, positive
from iafsweep.models.layers import SmallLinear
from iafsweep.models.roots import increasing_root


class Push(NamedTuple):
    """What a step does for each image.

    Attributes:
        direction: w, [B, D].
        offset: b, [B].
        push: v, [B, D].
        slope: ``1 + v.w``, the slope along w where ``w.z + b = 0``, positive, [B].
    """

    direction: Tensor
    offset: Tensor
    push: Tensor
    slope: Tensor


@final
class PlanarStep(FlowStep):
    """One step; w, b and u are linear in the context. It starts close to u = 0, where it is the identity."""

    pushes_scores = True

    def __init__(self, latent_size: int, context_size: int) -> None:
        super().__init__()
        self.plane = nn.Linear(context_size, latent_size + 1)
        self.push = SmallLinear(context_size, latent_size)

    @classmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None, *, reverse: bool
    ) -> PlanarStep:
        """Make a step; it has no sizes of its own."""
        return cls(latent_size, config.resolved_context_size)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""
        step = self.of_context(context, z.dtype)
        bent = torch.tanh((step.direction * z).sum(-1) + step.offset)
        # 1 + v.w (1 - t^2), in a form that avoids cancellation.
        slope = bent.square() + step.slope * (1 - bent.square())
        return z + step.push * bent.unsqueeze(-1), slope.log()

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: ``w.z`` before the step is the root of an increasing function of one variable."""
        step = self.of_context(context, z.dtype)
        moved, reach = (step.direction * z).sum(-1), (step.slope - 1).abs()

        def miss(place: Tensor) -> tuple[Tensor, Tensor]:
            bent = torch.tanh(place + step.offset)
            return place + (step.slope - 1) * bent - moved, bent.square() + step.slope * (1 - bent.square())

        place = increasing_root(miss, moved - reach, moved + reach)
        return z - step.push * torch.tanh(place + step.offset).unsqueeze(-1)

    def push_score(self, z: Tensor, context: Tensor, score: Tensor) -> Tensor:
        """Return the score after the step, inverting ``J^T = I + (1 - tanh^2) w v^T`` by Sherman and Morrison."""
        step = self.of_context(context, z.dtype)
        bent = torch.tanh((step.direction * z).sum(-1) + step.offset)
        rise = 1 - bent.square()
        slope = bent.square() + step.slope * rise
        curvature = (step.slope - 1) * -2 * bent * rise / slope
        rest = score - curvature.unsqueeze(-1) * step.direction
        along = rise * (step.push * rest).sum(-1) / slope
        return rest - along.unsqueeze(-1) * step.direction

    def of_context(self, context: Tensor, dtype: torch.dtype) -> Push:
        """Return what the step does for each image, from the context [B, C]."""
        plane = self.plane(context).to(dtype)
        direction, offset = plane[..., :-1], plane[..., -1]
        push = self.push(context).to(dtype)
        along = (push * direction).sum(-1)
        slope = positive(along)
        # p(0) = 1, so w = 0 is no pole: numerator and denominator both vanish.
        length = direction.square().sum(-1).clamp_min(torch.finfo(dtype).tiny)
        correction = ((slope - 1 - along) / length).unsqueeze(-1) * direction
        return Push(direction, offset, push + correction, slope)
