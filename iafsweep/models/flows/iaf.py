"""Inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934).

One step, with outputs m and s of a cMADE that for coordinate i sees only the coordinates before i:
``g = sigmoid(s)``, ``z' = g * z + (1 - g) * m``, ``log|det| = sum log g``; or shift only: ``z' = z + m``,
``log|det| = 0``. The Jacobian is triangular with g (or ones) on its diagonal. Forward is one pass; the inverse is D
passes, one per coordinate.
"""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from iafsweep.config import FlowConfig
from iafsweep.models.flows.steps import FlowStep, made_of
from iafsweep.models.made import ConditionalMade, OutputLayer

GATE_SHIFT_WITH_BATCH_NORM = 3.0
GATE_SHIFT_WITHOUT_BATCH_NORM = 2.0
"""Gates start nearly open (sigmoid(3) = 0.95, sigmoid(2) = 0.88), so a new flow is close to the identity."""


def iaf_outputs(*, gated: bool, batch_norm: bool) -> dict[str, OutputLayer]:
    """Return the output layers of an IAF step's cMADE: the shift m, and the gate s before its sigmoid."""
    open_gate = GATE_SHIFT_WITH_BATCH_NORM if batch_norm else GATE_SHIFT_WITHOUT_BATCH_NORM
    return {"shift": OutputLayer()} | ({"gate": OutputLayer(start=open_gate)} if gated else {})


@final
class IAFStep(FlowStep):
    """One step; gated or shift-only, forward or reversed, as its cMADE is.

    Args:
        made: with the output layers of :func:`iaf_outputs`.
    """

    def __init__(self, made: ConditionalMade) -> None:
        super().__init__()
        self.made = made

    @classmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None, *, reverse: bool
    ) -> IAFStep:
        """Make a step with the sizes in ``config.made``."""
        batch_norm = config.made.batch_norm and batch_norm_momentum is not None
        outputs = iaf_outputs(gated=config.gated, batch_norm=batch_norm)
        return cls(made_of(config, latent_size, batch_norm_momentum, outputs, reverse=reverse))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""
        shift, *gates = self.made(z, self.made.embed(context))
        if not gates:
            return z + shift, z.new_zeros(z.shape[:-1])
        # g z + (1 - g) m, with one product fewer.
        return shift + torch.sigmoid(gates[0]) * (z - shift), F.logsigmoid(gates[0]).sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: z [..., B, D] with context [B, C] to [..., B, D], in D passes."""
        return self.made.solve(z, self.made.embed(context), _undo)


def _undo(moved: Tensor, shift: Tensor, *gates: Tensor) -> Tensor:
    """Return a coordinate before the step, [..., B], from the one after it."""
    return shift + (moved - shift) * torch.exp(-F.logsigmoid(gates[0])) if gates else moved - shift
