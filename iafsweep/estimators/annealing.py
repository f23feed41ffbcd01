"""Annealed importance sampling with Hamiltonian moves (HAIS).

Chains start at exact samples of pi_0 and follow log pi_b = (1 - b) log pi_0 + b log pi_1 through the inverse
temperatures b_0 = 0 < ... < b_T = 1. At each position z_t the log-weight grows by
(b_{t+1} - b_t) (log pi_1(z_t) - log pi_0(z_t)); between two increments one Hamiltonian move leaves pi_b invariant. The
weights are unbiased: E[w] = p(x). Moves take place at the T - 1 interior temperatures only (a move at b = 1 would
change no weight), so a chain costs 1 + (T - 1) L gradients. With T = 1 the estimate is importance sampling from pi_0,
draw for draw.

The step size is a single frozen number: adapting it to the chains whose weights are kept would bias the estimate.

Shapes: C chains, B images, D latent, T weight increments; nats per image. Sources: Neal, Annealed importance sampling
(2001), arXiv:physics/9803008; Sohl-Dickstein and Culpepper, Hamiltonian annealed importance sampling (2012),
arXiv:1205.1925.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from iafsweep.estimators.bridge import Bridge, LogDensities
from iafsweep.estimators.hmc import evaluate, hmc_move
from iafsweep.estimators.log_weights import LogWeightStatistics
from iafsweep.estimators.noise import Generators
from iafsweep.estimators.schedules import check_schedule


@dataclass(frozen=True)
class AnnealingRun:
    """The log-weights of one annealed run and the statistics of its moves.

    Attributes:
        log_weights: [C, B], float64. The exponential of each is an unbiased estimate of p(x), or of 1 / p(x) in a
            reverse run.
        acceptance_rate: mean acceptance probability over chains, [T - 1, B], in order of the moves.
        last_position: final positions of the chains, [C, B, D].
        step_size: the frozen leapfrog step size.
        gradient_evaluations: evaluations of value and gradient per chain, 1 + (T - 1) L.
    """

    log_weights: Tensor
    acceptance_rate: Tensor
    last_position: Tensor
    step_size: float
    gradient_evaluations: int

    @property
    def statistics(self) -> LogWeightStatistics:
        """Mergeable statistics of the log-weights; `.summary()` returns the estimates."""
        return LogWeightStatistics.of(self.log_weights)

    @property
    def mean_acceptance_rate(self) -> float | None:
        """Mean acceptance over moves, chains and images; None without moves (T = 1)."""
        return float(self.acceptance_rate.mean()) if len(self.acceptance_rate) else None


def annealed_importance_sampling(
    bridge: Bridge,
    chains: int,
    inverse_temperatures: Tensor,
    *,
    step_size: float,
    leapfrog_steps: int,
    generator: Generators,
    rows_per_chunk: int | None = None,
) -> AnnealingRun:
    """Annealed importance sampling from the start of a bridge to its target.

    Args:
        bridge: start and unnormalised target.
        chains: chains per image, C.
        inverse_temperatures: [T + 1], strictly increasing from 0 to 1.
        step_size: leapfrog step size, frozen; see `tune_step_size`.
        leapfrog_steps: leapfrog steps per move, L.
        generator: one for the batch, or one per image. It draws the starts, then momenta and acceptances move by move.
        rows_per_chunk: most rows (chains x images) to evaluate at a time; None for all at once. Affects memory only.

    Raises:
        ValueError: an argument is out of its range.
    """
    return anneal(
        bridge.log_densities,
        bridge.draw(chains, generator),
        inverse_temperatures,
        step_size=step_size,
        leapfrog_steps=leapfrog_steps,
        generator=generator,
        rows_per_chunk=rows_per_chunk,
    )


def anneal(
    log_densities: LogDensities,
    initial: Tensor,
    inverse_temperatures: Tensor,
    *,
    step_size: float,
    leapfrog_steps: int,
    generator: Generators,
    rows_per_chunk: int | None = None,
) -> AnnealingRun:
    """Anneal chains from given positions along a schedule, from 0 to 1 or from 1 to 0.

    Args:
        log_densities: maps positions to (log pi_0, log pi_1).
        initial: exact samples of pi_b at the first inverse temperature b, [C, B, D].
        inverse_temperatures: [T + 1], strictly increasing from 0 to 1, or decreasing from 1 to 0 (reverse).
        step_size: leapfrog step size, frozen.
        leapfrog_steps: leapfrog steps per move, L.
        generator: draws momenta and acceptances.
        rows_per_chunk: most rows to evaluate at a time; None for all at once.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_schedule(inverse_temperatures)
    check_move_settings(step_size, leapfrog_steps)
    schedule = inverse_temperatures.tolist()
    point = evaluate(initial, log_densities, rows_per_chunk)
    log_weights = (schedule[1] - schedule[0]) * _log_ratio(point.log_densities)
    acceptance_rates = [log_weights.new_empty((0, initial.shape[1]))]
    for temperature, following in zip(schedule[1:-1], schedule[2:], strict=True):
        point, info = hmc_move(
            point,
            log_densities,
            powers=(1 - temperature, temperature),
            step_size=step_size,
            leapfrog_steps=leapfrog_steps,
            generator=generator,
            rows_per_chunk=rows_per_chunk,
        )
        log_weights = log_weights + (following - temperature) * _log_ratio(point.log_densities)
        acceptance_rates.append(info.acceptance_rate.mean(0, keepdim=True))
    return AnnealingRun(
        log_weights=log_weights,
        acceptance_rate=torch.cat(acceptance_rates),
        last_position=point.position,
        step_size=step_size,
        gradient_evaluations=gradient_evaluations(len(schedule) - 1, leapfrog_steps),
    )


def gradient_evaluations(increments: int, leapfrog_steps: int) -> int:
    """Evaluations of value and gradient per chain: 1 + (T - 1) L."""
    return 1 + (increments - 1) * leapfrog_steps


def check_move_settings(step_size: float, leapfrog_steps: int) -> None:
    """Check the step size and the number of leapfrog steps.

    Raises:
        ValueError: the step size is not positive and finite, or there is no leapfrog step.
    """
    if not 0 < step_size < float("inf"):
        raise ValueError(f"step_size must be positive and finite: got {step_size}.")
    if leapfrog_steps < 1:
        raise ValueError(f"leapfrog_steps must be at least 1: got {leapfrog_steps}.")


def _log_ratio(log_densities: Tensor) -> Tensor:
    """Log pi_1 - log pi_0, [C, B], from both log-densities [2, C, B]."""
    return log_densities[1] - log_densities[0]
