"""Schedules of inverse temperatures: T + 1 values from 0 (start density) to 1 (target), for T weight increments."""

from collections.abc import Callable

import torch
from torch import Tensor

Schedule = Callable[[int], Tensor]
"""Maps the number of weight increments T to inverse temperatures [T + 1], float64, from 0 to 1."""


def linear_schedule(increments: int) -> Tensor:
    """Inverse temperatures t / T for t = 0 ... T, [T + 1], float64.

    Raises:
        ValueError: `increments` is below 1.
    """
    _check_increments(increments)
    return torch.arange(increments + 1, dtype=torch.float64) / increments


def sigmoid_schedule(increments: int, radius: float = 4.0) -> Tensor:
    """Sigmoid of an even grid from -radius to radius, rescaled to [0, 1]; [T + 1], float64.

    Increments are small at both ends and large in between.

    Raises:
        ValueError: `increments` is below 1 or `radius` is not positive.
    """
    _check_increments(increments)
    if not radius > 0:
        raise ValueError(f"radius must be positive: got {radius}.")
    grid = torch.linspace(-radius, radius, increments + 1, dtype=torch.float64).sigmoid()
    return (grid - grid[0]) / (grid[-1] - grid[0])


def check_schedule(inverse_temperatures: Tensor) -> None:
    """Check that a schedule is strictly monotone from 0 to 1, or from 1 to 0 for a reverse run.

    Raises:
        ValueError: it is not.
    """
    if inverse_temperatures.dim() != 1 or len(inverse_temperatures) < 2:
        raise ValueError(
            f"inverse temperatures must be a vector of at least 2 values: "
            f"got shape {tuple(inverse_temperatures.shape)}."
        )
    ends = (float(inverse_temperatures[0]), float(inverse_temperatures[-1]))
    if ends not in ((0.0, 1.0), (1.0, 0.0)):
        raise ValueError(f"inverse temperatures must run from 0 to 1 or from 1 to 0: got {ends[0]} to {ends[1]}.")
    steps = inverse_temperatures.diff() * (ends[1] - ends[0])
    if not bool((steps > 0).all()):
        raise ValueError(
            f"inverse temperatures must be strictly monotone: got steps as small as {float(steps.min()):.3g}."
        )


def _check_increments(increments: int) -> None:
    if increments < 1:
        raise ValueError(f"the number of weight increments T must be at least 1: got {increments}.")
