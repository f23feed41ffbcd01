"""Monotonic rational-quadratic splines with linear tails (Durkan et al. 2019, arXiv:1906.04032).

On ``[-B, B]`` an increasing map of ``K`` bins, in each a quotient of two quadratic polynomials; outside the identity,
which it meets with slope 1. Its inverse is the root of a quadratic equation.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_SHARE = 1e-3
"""Of a bin in the interval's width and height; there can be 1000 bins."""


def positive(raw: Tensor, least: float = 1e-3) -> Tensor:
    """Return ``least + softplus(raw + c)``, with the c for which ``raw = 0`` gives 1."""
    return least + F.softplus(raw + math.log(math.expm1(1 - least)))


def rational_quadratic(
    x: Tensor, widths: Tensor, heights: Tensor, derivatives: Tensor, bound: float
) -> tuple[Tensor, Tensor]:
    """Apply a spline to each number of x; all parameters 0 give the identity.

    Args:
        x: [...].
        widths: of the bins, before their softmax, [..., K]; broadcast to x.
        heights: of the bins, before their softmax, [..., K].
        derivatives: at the inner knots, before :func:`positive`, [..., K - 1].
        bound: B.

    Returns:
        y and ``log dy/dx``, both [...].
    """
    at, inside = _bin(x, widths, heights, derivatives, bound, by_height=False)
    t = torch.where(inside, (x - at.x) / at.width, 0.5)
    cross = t * (1 - t)
    denominator = at.slope + (at.first + at.last - 2 * at.slope) * cross
    y = at.y + at.height * (at.slope * t.square() + at.first * cross) / denominator
    rise = at.last * t.square() + 2 * at.slope * cross + at.first * (1 - t).square()
    log_slope = 2 * at.slope.log() + rise.log() - 2 * denominator.log()
    return torch.where(inside, y, x), torch.where(inside, log_slope, 0.0)


def inverse_rational_quadratic(y: Tensor, widths: Tensor, heights: Tensor, derivatives: Tensor, bound: float) -> Tensor:
    """Return the x [...] that :func:`rational_quadratic` maps to y [...] with the same parameters."""
    at, inside = _bin(y, widths, heights, derivatives, bound, by_height=True)
    above = torch.where(inside, y - at.y, 0.5 * at.height)
    bend = at.first + at.last - 2 * at.slope
    a = at.height * (at.slope - at.first) + above * bend
    b = at.height * at.first - above * bend
    c = -at.slope * above
    # Of the two forms of a root the one in which nothing cancels; rounding may leave the root of a number below 0.
    t = 2 * c / (-b - (b.square() - 4 * a * c).clamp_min(0).sqrt())
    return torch.where(inside, at.x + t * at.width, y)


class _Bin(NamedTuple):
    """The bin of each number: its lower left corner, its size, its mean slope and the slopes at both ends, [...]."""

    x: Tensor
    y: Tensor
    width: Tensor
    height: Tensor
    slope: Tensor
    first: Tensor
    last: Tensor


def _bin(
    value: Tensor, widths: Tensor, heights: Tensor, derivatives: Tensor, bound: float, *, by_height: bool
) -> tuple[_Bin, Tensor]:
    """Return the bin in which each value lies, and whether it lies inside the interval at all."""
    x, y = _knots(widths, bound), _knots(heights, bound)
    slopes = F.pad(positive(derivatives), (1, 1), value=1.0)
    inside = (value > -bound) & (value < bound)
    bins = widths.shape[-1]
    number = (value.unsqueeze(-1) >= (y if by_height else x)[..., 1:-1]).sum(-1, keepdim=True)
    shape = (*value.shape, bins + 1)

    def corner(of: Tensor, k: Tensor) -> Tensor:
        return of.expand(shape).gather(-1, k).squeeze(-1)

    left, right, lower, upper = corner(x, number), corner(x, number + 1), corner(y, number), corner(y, number + 1)
    width, height = right - left, upper - lower
    ends = corner(slopes, number), corner(slopes, number + 1)
    return _Bin(left, lower, width, height, height / width, *ends), inside


def _knots(raw: Tensor, bound: float) -> Tensor:
    """Return the ends of the bins, [..., K + 1], from -B to B."""
    count = raw.shape[-1]
    shares = SMALLEST_SHARE + (1 - SMALLEST_SHARE * count) * raw.softmax(-1)
    inner = bound * (2 * shares[..., :-1].cumsum(-1) - 1)
    return F.pad(F.pad(inner, (1, 0), value=-bound), (0, 1), value=bound)
