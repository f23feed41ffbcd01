"""A Hamiltonian Monte Carlo move on a product of powers of densities, as a pure function.

The target of a move is log pi = sum_k power_k log pi_k. Each log pi_k and its gradient are cached at the position, so a
move of L leapfrog steps costs L gradients, and changing the powers (the next temperature) costs none. The momentum has
unit variance and is redrawn for each move.

Shapes: K densities, C chains, B images, D latent. Source: Neal, MCMC using Hamiltonian dynamics (2011),
arXiv:1206.1901, section 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.estimators.bridge import LogDensities, split_rows
from iafsweep.estimators.noise import Generators, draw_normal, draw_uniform


class Point(NamedTuple):
    """Positions of chains, with the cached values and gradients that the next move needs.

    Attributes:
        position: [C, B, D].
        log_densities: log pi_k at the position, [K, C, B], float64.
        gradients: their gradients with respect to the position, [K, C, B, D], in the position's dtype.
    """

    position: Tensor
    log_densities: Tensor
    gradients: Tensor

    def log_density(self, powers: Sequence[float]) -> Tensor:
        """Sum of power_k log pi_k, [C, B]; a power of 0 leaves its density out, even if infinite."""
        return _weighted_sum(self.log_densities, powers)

    def gradient(self, powers: Sequence[float]) -> Tensor:
        """Gradient of `log_density`, [C, B, D]."""
        return _weighted_sum(self.gradients, powers)


class MoveInfo(NamedTuple):
    """The outcome of one move.

    Attributes:
        acceptance_rate: acceptance probability of each proposal, [C, B], float64.
        is_accepted: whether it was accepted, [C, B].
    """

    acceptance_rate: Tensor
    is_accepted: Tensor


def evaluate(position: Tensor, log_densities: LogDensities, rows_per_chunk: int | None = None) -> Point:
    """Evaluate the log-densities and their gradients at a position.

    Args:
        position: [C, B, D].
        log_densities: maps positions to K log-densities.
        rows_per_chunk: most rows (chains x images) to evaluate at a time; None for all at once.

    Raises:
        ValueError: a log-density is not [C, B].
    """
    pieces = [_evaluate_piece(piece, log_densities) for piece in split_rows(position, rows_per_chunk)]
    values, gradients = zip(*pieces, strict=True)
    return Point(position.detach(), torch.cat(values, dim=1), torch.cat(gradients, dim=1))


def leapfrog(
    point: Point,
    momentum: Tensor,
    log_densities: LogDensities,
    *,
    powers: Sequence[float],
    step_size: float,
    steps: int,
    rows_per_chunk: int | None = None,
) -> tuple[Point, Tensor]:
    """Follow the Hamiltonian flow of -log pi(position) + |momentum|^2 / 2 for `steps` leapfrog steps.

    Reversible (by negating the momentum) and volume-preserving; over a fixed integration time the energy error is of
    second order in the step size.

    Returns:
        The point reached and the momentum there, [C, B, D].
    """
    momentum = momentum + 0.5 * step_size * point.gradient(powers)
    for step in range(steps):
        point = evaluate(point.position + step_size * momentum, log_densities, rows_per_chunk)
        # Between steps, two half kicks merge into a whole one.
        kick = 1.0 if step < steps - 1 else 0.5
        momentum = momentum + kick * step_size * point.gradient(powers)
    return point, momentum


def hmc_move(
    point: Point,
    log_densities: LogDensities,
    *,
    powers: Sequence[float],
    step_size: float,
    leapfrog_steps: int,
    generator: Generators,
    rows_per_chunk: int | None = None,
) -> tuple[Point, MoveInfo]:
    """Make one move that leaves pi invariant; each chain is accepted or rejected independently.

    A proposal whose density or gradient is not finite is rejected, because the chain could not leave it again. A chain
    at a point where the density is not finite accepts any proposal where both are.

    Args:
        point: current positions of the chains.
        log_densities: maps positions to K log-densities, the same that `point` was evaluated with.
        powers: K powers.
        step_size: leapfrog step size, shared by all chains and images.
        leapfrog_steps: leapfrog steps per move, each costing one gradient.
        generator: draws momenta first, then acceptances.
        rows_per_chunk: most rows (chains x images) to evaluate at a time; None for all at once.
    """
    position = point.position
    chains, images, latent = position.shape
    momentum = draw_normal((chains, images, latent), generator, dtype=position.dtype, device=position.device)
    uniform = draw_uniform((chains, images), generator, device=position.device)

    proposal, last_momentum = leapfrog(
        point,
        momentum,
        log_densities,
        powers=powers,
        step_size=step_size,
        steps=leapfrog_steps,
        rows_per_chunk=rows_per_chunk,
    )
    old, new = point.log_density(powers), proposal.log_density(powers)
    log_ratio = new - _kinetic_energy(last_momentum) - (old - _kinetic_energy(momentum))
    log_ratio = torch.where(old.isfinite(), log_ratio, torch.inf)
    is_proper = new.isfinite() & log_ratio.isnan().logical_not() & proposal.gradients.isfinite().all(-1).all(0)
    acceptance_rate = torch.where(is_proper, log_ratio.clamp(max=0.0).exp(), 0.0)
    is_accepted = uniform < acceptance_rate
    return _choose(is_accepted, proposal, point), MoveInfo(acceptance_rate, is_accepted)


def _evaluate_piece(position: Tensor, log_densities: LogDensities) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        position = position.detach().requires_grad_()
        values = log_densities(position)
        for value in values:
            if value.shape != position.shape[:-1]:
                raise ValueError(
                    f"a log-density at positions {tuple(position.shape)} must have shape {tuple(position.shape[:-1])}: "
                    f"got {tuple(value.shape)}."
                )
        # Densities may share parts of their graph, such as a flow, so only the last gradient may free it.
        gradients = [
            torch.autograd.grad(value.sum(), position, retain_graph=index < len(values) - 1)[0]
            for index, value in enumerate(values)
        ]
    return torch.stack([value.detach().double() for value in values]), torch.stack(gradients)


def _weighted_sum(terms: Tensor, powers: Sequence[float]) -> Tensor:
    total = torch.zeros_like(terms[0])
    for term, power in zip(terms, powers, strict=True):
        if power != 0:
            total = total + power * term
    return total


def _kinetic_energy(momentum: Tensor) -> Tensor:
    return 0.5 * momentum.double().square().sum(-1)


def _choose(is_accepted: Tensor, proposal: Point, point: Point) -> Point:
    chosen = is_accepted.unsqueeze(-1)
    return Point(
        torch.where(chosen, proposal.position, point.position),
        torch.where(is_accepted, proposal.log_densities, point.log_densities),
        torch.where(chosen, proposal.gradients, point.gradients),
    )
