"""The flow that changes nothing: with it the posterior is a plain Gaussian."""

from __future__ import annotations

from typing import ClassVar, final

from torch import Tensor

from iafsweep.config import FlowConfig
from iafsweep.models.flows.base import Flow


@final
class IdentityFlow(Flow):
    """``z' = z``, ``log|det| = 0``; takes no context."""

    pushes_scores: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.context_size = None

    @classmethod
    def from_config(cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None) -> IdentityFlow:
        """Make it; nothing of ``config`` matters."""
        return cls()

    def forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return z and zeros [..., B]."""
        return z, z.new_zeros(z.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Return z."""
        return z

    def push_score(self, z: Tensor, context: Tensor | None, score: Tensor) -> Tensor:
        """Return the score as it is."""
        return score
