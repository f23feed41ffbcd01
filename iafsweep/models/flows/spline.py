"""Autoregressive rational-quadratic spline flow (Durkan et al. 2019, arXiv:1906.04032).

Coordinate i goes through a monotonic spline with linear tails (:mod:`iafsweep.models.splines`) whose parameters come
from a cMADE that sees the coordinates before i. The Jacobian is triangular. Forward is one pass; the inverse is D
passes, one per coordinate, each solving a quadratic equation.
"""

from __future__ import annotations

from typing import final

from torch import Tensor

from iafsweep.config import FlowConfig
from iafsweep.config.model import SplineFlowConfig
from iafsweep.models.flows.steps import FlowStep, made_of
from iafsweep.models.layers import SmallLinear
from iafsweep.models.made import ConditionalMade, OutputLayer
from iafsweep.models.splines import inverse_spline, parameters_of_a_spline, spline


def spline_outputs(bins: int) -> dict[str, OutputLayer]:
    """Return the output layer of a step's cMADE; its numbers start near 0, hence near the identity."""
    return {"spline": OutputLayer(parameters_of_a_spline(bins), normed=False, scale=SmallLinear.initial_scale)}


@final
class SplineStep(FlowStep):
    """One step, forward or reversed, as its cMADE is.

    Args:
        made: with the output layer of :func:`spline_outputs`.
        bound: B; outside [-B, B] a coordinate stays unchanged.
    """

    def __init__(self, made: ConditionalMade, bound: float) -> None:
        super().__init__()
        self.made = made
        self.bound = bound

    @classmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None, *, reverse: bool
    ) -> SplineStep:
        """Make a step with the sizes in ``config.made`` and ``config.spline``."""
        sizes = config.section(SplineFlowConfig)
        made = made_of(config, latent_size, batch_norm_momentum, spline_outputs(sizes.bins), reverse=reverse)
        return cls(made, sizes.bound)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""
        (numbers,) = self.made(z, self.made.embed(context))
        moved, log_slopes = spline(z, numbers, self.bound)
        return moved, log_slopes.sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: z [..., B, D] with context [B, C] to [..., B, D], in D passes."""
        return self.made.solve(z, self.made.embed(context), self._undo)

    def _undo(self, moved: Tensor, numbers: Tensor) -> Tensor:
        return inverse_spline(moved, numbers, self.bound)
