"""The identity flow, with which the posterior is a plain Gaussian."""

from typing import final

from torch import Tensor

from iafsweep.models.flows.base import Flow


@final
class IdentityFlow(Flow):
    """``z' = z``, ``log|det| = 0``; takes no context."""

    pushes_scores = True

    def __init__(self) -> None:
        super().__init__()
        self.context_size = None

    def forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return z and zeros [..., B]."""
        return z, z.new_zeros(z.shape[:-1])

    def inverse(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Return z."""
        return z

    def push_score(self, z: Tensor, context: Tensor | None, score: Tensor) -> Tensor:
        """Return the score unchanged."""
        return score
