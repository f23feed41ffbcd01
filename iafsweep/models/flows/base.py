"""Base class of flows, invertible maps of the latent variables that may depend on a context."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Flow(nn.Module, ABC):
    """An invertible map ``z' = f(z; context)`` with its log-determinant.

    All methods accept leading sample dimensions: z [..., B, D] goes with context [B, C].

    Invertibility and the log-determinant hold in eval mode. In training mode batch norm, if any, makes the rows of a
    batch depend on each other, and the log-determinant is that of each row with the batch's statistics held fixed.

    Attributes:
        context_size: C, or None when the flow takes no context.
        pushes_scores: whether it has :meth:`push_score`, which costs a pass and which the objectives `stl` and
            `dreg` need.
    """

    context_size: int | None
    pushes_scores: bool = False

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

    def push_score(self, z: Tensor, context: Tensor | None, score: Tensor) -> Tensor:
        """Return the score after the flow, ``d log q'(z')/dz'``, from that before it, ``d log q(z)/dz``: [..., B, D].

        With J = dz'/dz it solves ``J^T score' = score - d log|det J|/dz``, all at fixed parameters, so it need not be
        differentiable. A flow whose J costs D passes does not implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no push_score, which `stl` and `dreg` need")
