"""The pilot: find the leapfrog step size in annealed passes whose weights are never looked at.

A step size that adapts to the chains whose weights are kept biases the estimate, in either direction. So it is found
on a few images first, one number for all of them, and frozen; the run that counts starts afresh with other noise.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import NamedTuple

from torch import Tensor

from iafsweep.estimators.bridge import Bridge
from iafsweep.estimators.hmc import evaluate, hmc_move
from iafsweep.estimators.noise import Generators
from iafsweep.estimators.schedules import check_schedule

GAIN_DECAY = 0.75
"""Robbins-Monro gains fall as k^-0.75 once the search has come across its target."""

LARGEST_STEP = 1.0
"""At full gain one move changes the log step size by no more, whatever was accepted."""


@dataclass(frozen=True)
class PilotSettings:
    """How the pilot searches.

    Attributes:
        target_acceptance: mean acceptance rate over the moves of a pass that it aims at.
        passes: annealed passes.
        initial_step_size: where it begins.
        minimum_step_size: it stays above this.
        maximum_step_size: it stays below this.

    Raises:
        ValueError: a setting is out of its range.
    """

    target_acceptance: float
    passes: int = 3
    initial_step_size: float = 0.1
    minimum_step_size: float = 1e-4
    maximum_step_size: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.target_acceptance < 1:
            raise ValueError(f"target_acceptance must be between 0 and 1: got {self.target_acceptance}.")
        if self.passes < 1:
            raise ValueError(f"passes must be at least 1: got {self.passes}.")
        if not 0 < self.minimum_step_size <= self.initial_step_size <= self.maximum_step_size < math.inf:
            raise ValueError(
                f"0 < minimum_step_size <= initial_step_size <= maximum_step_size must hold: got "
                f"{self.minimum_step_size}, {self.initial_step_size}, {self.maximum_step_size}."
            )


class Pilot(NamedTuple):
    """What the pilot found.

    Attributes:
        step_size: the step size to freeze.
        acceptance_rate: mean acceptance over the moves whose step sizes were averaged; None without moves (T = 1).
        moves: moves made.
        gradient_evaluations: evaluations of value and gradient a chain.
    """

    step_size: float
    acceptance_rate: float | None
    moves: int
    gradient_evaluations: int


class _Search(NamedTuple):
    """Where the search stands.

    Attributes:
        log_step_size: to try next.
        settled_moves: moves since the acceptance rate came across the target.
        was_above: whether the last acceptance rate was above the target; None before the first.
    """

    log_step_size: float
    settled_moves: int = 0
    was_above: bool | None = None


def tune_step_size(
    bridge: Bridge,
    chains: int,
    inverse_temperatures: Tensor,
    settings: PilotSettings,
    *,
    leapfrog_steps: int,
    generator: Generators,
    rows_per_chunk: int | None = None,
) -> Pilot:
    """Find one step size for all images, chains and temperatures.

    Robbins-Monro on the log step size, one update a move: log e += k^-0.75 (a - a*) / s, with a the mean acceptance of
    the move, a* the target, s the fall of acceptance with log e at the target as theory has it (acceptance is
    2 Phi(-v/2) with v proportional to e^2), and k the moves since a first came across a*. The result is the geometric
    mean of the step sizes of the last pass, one whole sweep of temperatures (its second half, if it is the only one).

    Args:
        bridge: start and target of a few images.
        chains: chains an image, C.
        inverse_temperatures: the schedule of the run to come, [T + 1], from 0 to 1.
        settings: how to search.
        leapfrog_steps: leapfrog steps a move, L, of the run to come.
        generator: not the one of the run to come.
        rows_per_chunk: evaluate at most so many rows (chains x images) at a time; None for all at once.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_schedule(inverse_temperatures)
    if leapfrog_steps < 1:
        raise ValueError(f"leapfrog_steps must be at least 1: got {leapfrog_steps}.")
    interior = inverse_temperatures.tolist()[1:-1]
    if not interior:
        return Pilot(settings.initial_step_size, None, 0, 0)
    search = _Search(math.log(settings.initial_step_size))
    tried: list[float] = []
    acceptance_rates: list[float] = []
    for _ in range(settings.passes):
        point = evaluate(bridge.draw(chains, generator), bridge.log_densities, rows_per_chunk)
        for temperature in interior:
            point, info = hmc_move(
                point,
                bridge.log_densities,
                powers=(1 - temperature, temperature),
                step_size=math.exp(search.log_step_size),
                leapfrog_steps=leapfrog_steps,
                generator=generator,
                rows_per_chunk=rows_per_chunk,
            )
            tried.append(search.log_step_size)
            acceptance_rates.append(float(info.acceptance_rate.mean()))
            search = _updated(search, acceptance_rates[-1], settings)
    last = len(interior) if settings.passes > 1 else math.ceil(len(interior) / 2)
    return Pilot(
        step_size=math.exp(fmean(tried[-last:])),
        acceptance_rate=fmean(acceptance_rates[-last:]),
        moves=len(tried),
        gradient_evaluations=settings.passes + len(tried) * leapfrog_steps,
    )


def _updated(search: _Search, acceptance_rate: float, settings: PilotSettings) -> _Search:
    excess = acceptance_rate - settings.target_acceptance
    step = max(-LARGEST_STEP, min(LARGEST_STEP, excess / _acceptance_slope(settings.target_acceptance)))
    is_above = excess > 0
    is_settled = search.settled_moves > 0 or search.was_above not in (None, is_above)
    settled_moves = search.settled_moves + is_settled
    log_step_size = search.log_step_size + max(settled_moves, 1) ** -GAIN_DECAY * step
    low, high = math.log(settings.minimum_step_size), math.log(settings.maximum_step_size)
    return _Search(min(high, max(low, log_step_size)), settled_moves, is_above)


def _acceptance_slope(target: float) -> float:
    """Fall of the acceptance rate with the log step size at the target, from 2 Phi(-v/2) and v proportional to e^2."""
    normal = NormalDist()
    deviation = -2 * normal.inv_cdf(target / 2)
    return 2 * deviation * normal.pdf(deviation / 2)
