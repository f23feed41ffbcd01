"""What every flow is: an invertible map of the latent variables that may depend on a context."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from iafsweep.config import FlowConfig


class Flow(nn.Module, ABC):
    """An invertible map ``z' = f(z; context)`` with its log-determinant.

    Leading sample dimensions are welcome everywhere: z [..., B, D] goes with context [B, C].

    Invertibility and the log-determinant hold in eval mode. In training mode batch norm (where there is one) ties the
    rows of a batch together, and the log-determinant is that of each row with the batch's statistics held fixed.

    Attributes:
        context_size: C, or None when the flow takes no context.
    """

    context_size: int | None

    @classmethod
    @abstractmethod
    def from_config(cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None) -> Flow:
        """Make the flow that ``config`` describes; without a momentum it has biases instead of batch norm."""

    @abstractmethod
    def forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return ``z' [..., B, D]`` and ``log|det dz'/dz| [..., B]``.

        Args:
            z: [..., B, D].
            context: [B, C], or None when the flow takes none.
        """

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Return the point [..., B, D] that ``forward`` maps to z [..., B, D]."""
