"""Neural autoregressive flow (Huang et al. 2018, arXiv:1804.00779) with deep sigmoidal transformers.

Coordinate i goes through an increasing network, one layer of K sigmoids whose parameters come from a cMADE that sees
the coordinates before i: ``z'_i = logit(sum_k w_k sigmoid(a_k z_i + b_k))`` with ``a_k > 0`` and weights w that sum to
1. The Jacobian is triangular. Forward is one pass; the inverse is D passes, one per coordinate, each finding a root.
"""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor

from iafsweep.config import FlowConfig
from iafsweep.config.model import NafConfig
from iafsweep.models.flows.steps import FlowStep, made_of, positive
from iafsweep.models.layers import SmallLinear
from iafsweep.models.made import ConditionalMade, OutputLayer
from iafsweep.models.roots import increasing_root


def naf_outputs(units: int) -> dict[str, OutputLayer]:
    """Return the output layer of a step's cMADE: 3 numbers per sigmoid, near 0 (hence the identity) at the start."""
    return {"transformer": OutputLayer(numbers=3 * units, normed=False, scale=SmallLinear.initial_scale)}


def deep_sigmoid(x: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``logit(sum_k w_k sigmoid(a_k x + b_k))`` and the logarithm of its slope, both [...].

    Computed from logarithms, so that nothing saturates; numbers of 0 give the identity.

    Args:
        x: [...].
        numbers: a before :func:`positive`, b, and w before its softmax, [..., 3 K].
    """
    slopes, offsets, log_weights = _sigmoids(numbers)
    inside = slopes * x.unsqueeze(-1) + offsets
    log_on, log_off = F.logsigmoid(inside), F.logsigmoid(-inside)
    log_one, log_rest = (log_weights + log_on).logsumexp(-1), (log_weights + log_off).logsumexp(-1)
    log_rise = (log_weights + slopes.log() + log_on + log_off).logsumexp(-1)
    return log_one - log_rest, log_rise - log_one - log_rest


def inverse_deep_sigmoid(y: Tensor, numbers: Tensor) -> Tensor:
    """Return the x [...] that :func:`deep_sigmoid` maps to y [...], within the tolerance of ``increasing_root``.

    A weighted mean of sigmoids lies between the smallest and the largest of them. So y lies between the smallest and
    the largest ``a_k x + b_k``, and x between the smallest and the largest ``(y - b_k) / a_k``.
    """
    slopes, offsets, _ = _sigmoids(numbers)
    places = (y.unsqueeze(-1) - offsets) / slopes

    def miss(x: Tensor) -> tuple[Tensor, Tensor]:
        value, log_slope = deep_sigmoid(x, numbers)
        return value - y, log_slope.exp()

    return increasing_root(miss, places.amin(-1), places.amax(-1))


def _sigmoids(numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    slopes, offsets, weights = numbers.chunk(3, dim=-1)
    return positive(slopes), offsets, weights.log_softmax(-1)


@final
class NeuralAutoregressiveStep(FlowStep):
    """One step, forward or reversed, as its cMADE is.

    Args:
        made: with the output layer of :func:`naf_outputs`.
    """

    def __init__(self, made: ConditionalMade) -> None:
        super().__init__()
        self.made = made

    @classmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None, *, reverse: bool
    ) -> NeuralAutoregressiveStep:
        """Make a step with the sizes in ``config.made`` and ``config.naf``."""
        outputs = naf_outputs(config.section(NafConfig).units)
        return cls(made_of(config, latent_size, batch_norm_momentum, outputs, reverse=reverse))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""
        (numbers,) = self.made(z, self.made.embed(context))
        moved, log_slopes = deep_sigmoid(z, numbers)
        return moved, log_slopes.sum(-1)

    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: z [..., B, D] with context [B, C] to [..., B, D], in D passes."""
        return self.made.solve(z, self.made.embed(context), inverse_deep_sigmoid)
