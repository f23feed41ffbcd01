"""Monotone rational-quadratic splines with linear tails (Durkan et al. 2019, neural spline flows, arXiv:1906.04032).

Between -B and B the map is a quotient of quadratics in each of K bins, through knots with given slopes. Outside, it is
the identity. The slope is 1 at both ends, so it is continuous everywhere. The map and its inverse have closed forms.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_SMALLEST = 1e-3
"""Minimum width and height of a bin, as shares of the interval, and minimum slope."""

_SLOPE_1 = math.log(math.expm1(1 - _SMALLEST))
"""``softplus`` of this, plus the minimum slope, is a slope of 1."""


def parameters_of_a_spline(bins: int) -> int:
    """Return the number of parameters of one spline: K widths, K heights, K - 1 inner slopes."""
    return 3 * bins - 1


class _Bin(NamedTuple):
    """The bin that each point falls into: its lower left corner, its width and height, and the slopes at its ends."""

    left: Tensor
    bottom: Tensor
    width: Tensor
    height: Tensor
    slope: Tensor
    next_slope: Tensor


def spline(x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Map each number by its own spline.

    Args:
        x: [...].
        parameters: [..., 3 K - 1], unconstrained; zeros give the identity.
        bound: B.

    Returns:
        y [...] and ``log dy/dx`` [...].
    """
    inside = x.clamp(-bound, bound)
    part = _bin_of(inside, parameters, bound, inverse=False)
    t = ((inside - part.left) / part.width).clamp(0, 1)
    steepness = part.height / part.width
    across = t * (1 - t)
    bottom = steepness + (part.slope + part.next_slope - 2 * steepness) * across
    y = part.bottom + part.height * (steepness * t.square() + part.slope * across) / bottom
    is_inside = x.abs() < bound
    return torch.where(is_inside, y, x), torch.where(is_inside, _log_slope(t, part), 0.0)


def inverse_spline(y: Tensor, parameters: Tensor, bound: float) -> Tensor:
    """Return the x [...] that :func:`spline` maps to y [...]; the other arguments are the same."""
    inside = y.clamp(-bound, bound)
    part = _bin_of(inside, parameters, bound, inverse=True)
    steepness = part.height / part.width
    above = inside - part.bottom
    bend = part.slope + part.next_slope - 2 * steepness
    a = part.height * (steepness - part.slope) + above * bend
    b = part.height * part.slope - above * bend
    c = -steepness * above
    # The root in [0, 1], in a form that avoids cancellation for small a.
    t = (2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())).clamp(0, 1)
    return torch.where(y.abs() < bound, part.left + t * part.width, y)


def _log_slope(t: Tensor, part: _Bin) -> Tensor:
    steepness = part.height / part.width
    across = t * (1 - t)
    above = part.next_slope * t.square() + 2 * steepness * across + part.slope * (1 - t).square()
    below = steepness + (part.slope + part.next_slope - 2 * steepness) * across
    return 2 * steepness.log() + above.log() - 2 * below.log()


def _bin_of(at: Tensor, parameters: Tensor, bound: float, *, inverse: bool) -> _Bin:
    bins = (parameters.shape[-1] + 1) // 3
    widths, heights, inner = parameters.split((bins, bins, bins - 1), dim=-1)
    across, up = _knots(widths, bound), _knots(heights, bound)
    slopes = F.pad(_SMALLEST + F.softplus(inner + _SLOPE_1), (1, 1), value=1.0)
    number = (at.unsqueeze(-1) >= (up if inverse else across)[..., 1:-1]).sum(-1, keepdim=True)

    def pick(values: Tensor) -> Tensor:
        return values.gather(-1, number).squeeze(-1)

    return _Bin(
        left=pick(across[..., :-1]),
        bottom=pick(up[..., :-1]),
        width=pick(across.diff(dim=-1)),
        height=pick(up.diff(dim=-1)),
        slope=pick(slopes[..., :-1]),
        next_slope=pick(slopes[..., 1:]),
    )


def _knots(free: Tensor, bound: float) -> Tensor:
    """Map K unconstrained numbers to K + 1 knots from -B to B."""
    bins = free.shape[-1]
    shares = _SMALLEST + (1 - _SMALLEST * bins) * F.softmax(free, dim=-1)
    inner = shares[..., :-1].cumsum(-1) * (2 * bound) - bound
    low = F.pad(inner, (1, 0), value=-bound)
    return F.pad(low, (0, 1), value=bound)
