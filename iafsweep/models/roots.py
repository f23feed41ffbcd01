"""Elementwise roots of increasing functions, by Newton's method kept inside a bracket."""

from collections.abc import Callable

import torch
from torch import Tensor

TOLERANCE = 16
"""The search for a root x ends when a step is no longer than this many machine epsilons times ``max(1, |x|)``:
4e-15 in float64."""

MOST_STEPS = 200
"""Maximum number of steps. Bisection alone halves a bracket of 1e30 to the spacing of float64 in 153 steps."""


@torch.no_grad()
def increasing_root(function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor) -> Tensor:
    """Return x with ``function(x) = 0``, element by element, to :data:`TOLERANCE`; without an autograd graph.

    A step is Newton's if that stays inside the bracket and is less than half as long as the previous step; otherwise it
    goes to the middle of the bracket. Convergence is quadratic near the root, and slower than bisection by at most a
    constant factor.

    Args:
        function: maps x [...] to values and slopes, both [...]; increasing in each element.
        low: at or below the roots, [...].
        high: at or above the roots, [...].
    """
    x = 0.5 * (low + high)
    moved = high - low
    found = torch.zeros_like(x, dtype=torch.bool)
    for _ in range(MOST_STEPS):
        value, slope = function(x)
        low, high = torch.where(value < 0, x, low), torch.where(value > 0, x, high)
        newton = x - value / slope
        useful = (newton >= low) & (newton <= high) & (2 * (newton - x).abs() < moved)
        nearer = torch.where(found | (value == 0), x, torch.where(useful, newton, 0.5 * (low + high)))
        moved, x = (nearer - x).abs(), nearer
        found = found | (moved <= TOLERANCE * torch.finfo(x.dtype).eps * x.abs().clamp_min(1))
        if found.all():
            break
    return x
