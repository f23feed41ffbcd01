"""The pilot run: find the leapfrog step size in annealed passes whose weights are discarded.

A step size that adapted to the chains whose weights are kept would bias the estimate, in either direction. The pilot
therefore finds a single step size on a few images, and the main run keeps it frozen and draws other noise.
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
"""Robbins-Monro gains decay as k^-0.75 once the acceptance rate has crossed its target."""

LARGEST_STEP = 1.0
"""Largest change of the log step size per move at full gain."""


@dataclass(frozen=True)
class PilotSettings:
    """Settings of the pilot run.

    Attributes:
        target_acceptance: targeted mean acceptance rate over the moves of a pass.
        passes: number of annealed passes.
        initial_step_size: first step size tried.
        minimum_step_size: lower limit of the step size.
        maximum_step_size: upper limit of the step size.

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
    """Result of the pilot run.

    Attributes:
        step_size: the step size to freeze.
        acceptance_rate: mean acceptance over the moves whose step sizes were averaged; None without moves (T = 1).
        moves: number of moves.
        gradient_evaluations: evaluations of value and gradient per chain.
    """

    step_size: float
    acceptance_rate: float | None
    moves: int
    gradient_evaluations: int


class _Search(NamedTuple):
    """State of the search.

    Attributes:
        log_step_size: the one to try next.
        settled_moves: moves since the acceptance rate first crossed the target.
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

    Robbins-Monro on the log step size, one update per move: log e += k^-0.75 (a - a*) / s, where a is the mean
    acceptance of the move, a* the target, s the theoretical decrease of acceptance with log e at the target (acceptance
    is 2 Phi(-v/2) with v proportional to e^2), and k the number of moves since a first crossed a*. The result is the
    geometric mean of the step sizes of the last pass over the temperatures, or of the second half of a single pass.

    Args:
        bridge: start and target of a few images.
        chains: chains per image, C.
        inverse_temperatures: the schedule of the main run, [T + 1], from 0 to 1.
        settings: settings of the search.
        leapfrog_steps: leapfrog steps per move of the main run, L.
        generator: must not be that of the main run.
        rows_per_chunk: most rows (chains x images) to evaluate at a time; None for all at once.

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
    """Decrease of acceptance with the log step size at the target, from 2 Phi(-v/2) with v proportional to e^2."""
    normal = NormalDist()
    deviation = -2 * normal.inv_cdf(target / 2)
    return 2 * deviation * normal.pdf(deviation / 2)
