"""Inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934).

One step, with outputs m and s of a cMADE that for coordinate i sees only the coordinates before i:
``g = sigmoid(s)``, ``z' = g * z + (1 - g) * m``, ``log|det| = sum log g``; or shift only: ``z' = z + m``,
``log|det| = 0``. The Jacobian is triangular with g (or ones) on its diagonal. Forward is one pass; the inverse is D
passes, one a coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.config import FlowConfig
from iafsweep.models.context import CONTEXT_ENTRIES
from iafsweep.models.flows.base import Flow
from iafsweep.models.made import ConditionalMade, MadeOutput


@final
class IAFStep(nn.Module):
    """One step; gated or shift-only, forwards or reversed, as its cMADE is."""

    def __init__(self, made: ConditionalMade) -> None:
        super().__init__()
        self.made = made

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""
        output: MadeOutput = self.made(z, self.made.embed(context))
        # The networks may compute in fewer bits (autocast); the step and its log-determinant have those of z.
        shift = output.shift.to(z.dtype)
        if output.gate is None:
            return z + shift, z.new_zeros(z.shape[:-1])
        gate = output.gate.to(z.dtype)
        # g z + (1 - g) m, written with one product less.
        return shift + torch.sigmoid(gate) * (z - shift), F.logsigmoid(gate).sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: z [..., B, D] with context [B, C] to [..., B, D], in D passes."""
        embedded = self.made.embed(context)
        size = self.made.latent_size
        coordinates = torch.arange(size, device=z.device)
        source = torch.zeros_like(z)
        for i in reversed(range(size)) if self.made.reverse else range(size):
            output: MadeOutput = self.made(source, embedded)
            # One coordinate at a time: the others are still guesses, and a guess that overflows would turn 0 * inf
            # behind a mask into NaN.
            column = _undo(z[..., i], output, i)
            source = torch.where(coordinates == i, column.unsqueeze(-1), source)
        return source


def _undo(moved: Tensor, output: MadeOutput, i: int) -> Tensor:
    """Return coordinate i before the step, [..., B], from the one after it."""
    shift = output.shift[..., i]
    if output.gate is None:
        return moved - shift
    return shift + (moved - shift) * torch.exp(-F.logsigmoid(output.gate[..., i]))


@final
class InverseAutoregressiveFlow(Flow):
    """Steps one after the other.

    Args:
        steps: in the order in which they are applied; orders of dependency should alternate.
        context_size: C.
    """

    def __init__(self, steps: Sequence[IAFStep], context_size: int) -> None:
        super().__init__()
        self.context_size = context_size
        self.steps = nn.ModuleList(steps)

    @classmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None
    ) -> InverseAutoregressiveFlow:
        """Make ``config.depth`` steps, every second one reversed."""
        sizes, context_size = config.made, config.resolved_context_size
        steps = [
            ConditionalMade(
                latent_size,
                sizes.width,
                sizes.hidden_layers,
                CONTEXT_ENTRIES[sizes.context_mode](context_size, sizes.width),
                batch_norm_momentum=batch_norm_momentum if sizes.batch_norm else None,
                gated=config.gated,
                reverse=number % 2 == 1,
            )
            for number in range(config.depth)
        ]
        return cls([IAFStep(made) for made in steps], context_size)

    def forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return ``z' [..., B, D]`` and ``log|det dz'/dz| [..., B]``.

        Raises:
            ValueError: no context.
        """
        given = _required(context)
        log_det = z.new_zeros(z.shape[:-1])
        for step in self.steps:
            z, step_log_det = step(z, given)
            log_det = log_det + step_log_det
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Return the point [..., B, D] that ``forward`` maps to z, in D passes a step.

        Raises:
            ValueError: no context.
        """
        given = _required(context)
        for step in reversed(cast("list[IAFStep]", list(self.steps))):
            z = step.inverse(z, given)
        return z


def _required(context: Tensor | None) -> Tensor:
    if context is None:
        raise ValueError("an inverse autoregressive flow needs a context [B, C], got None")
    return context
