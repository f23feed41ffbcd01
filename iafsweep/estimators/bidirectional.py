"""Bidirectional Monte Carlo: lower and upper bounds on log p(x), for images simulated from the model.

Forward chains give E log-mean-exp(log w) <= log p(x). An image drawn from the model comes with an exact posterior
sample, the latent it was generated from. Chains annealed from there back to the start have E[w'] = 1 / p(x), so
-log-mean-exp(log w') is an upper bound in expectation. The gap bounds the error of both.

Shapes: C chains, B images, D latent; nats per image. Source: Grosse, Ghahramani and Adams, Sandwiching the marginal
likelihood using bidirectional Monte Carlo (2015), arXiv:1511.02543, section 3.
"""

from dataclasses import dataclass
from functools import partial

from torch import Tensor

from iafsweep.estimators.annealing import AnnealingRun, anneal
from iafsweep.estimators.bridge import Bridge, LogDensities
from iafsweep.estimators.log_weights import log_mean_exp
from iafsweep.estimators.noise import Generators


@dataclass(frozen=True)
class Sandwich:
    """Lower and upper bounds on log p(x) for B simulated images.

    Attributes:
        forward: the run whose weights estimate p(x).
        reverse: the run whose weights estimate 1 / p(x).
    """

    forward: AnnealingRun
    reverse: AnnealingRun

    @property
    def lower(self) -> Tensor:
        """Lower bound (in expectation), [B]; -inf where no forward weight could be computed."""
        return log_mean_exp(self.forward.log_weights)

    @property
    def upper(self) -> Tensor:
        """Upper bound (in expectation), [B]; +inf where no reverse weight could be computed."""
        return -log_mean_exp(self.reverse.log_weights)

    @property
    def gap(self) -> Tensor:
        """Upper minus lower bound, [B]; positive in expectation, but not for every image."""
        return self.upper - self.lower


def reverse_annealing(
    log_densities: LogDensities,
    posterior_samples: Tensor,
    inverse_temperatures: Tensor,
    *,
    step_size: float,
    leapfrog_steps: int,
    generator: Generators,
    rows_per_chunk: int | None = None,
) -> AnnealingRun:
    """Reverse annealed importance sampling, from the target to the start.

    Args:
        log_densities: maps positions to (log pi_0, log pi_1), as in a `Bridge`.
        posterior_samples: exact samples of the normalised target, [C, B, D], in the bridge's own space (for a bridge
            in the noise of a flow, the noise that the flow maps to the latent).
        inverse_temperatures: the schedule of the forward run, [T + 1], from 0 to 1; it is traversed backwards.
        step_size: leapfrog step size, frozen.
        leapfrog_steps: leapfrog steps per move, L.
        generator: one for the batch, or one per image.
        rows_per_chunk: most rows (chains x images) to evaluate at a time; None for all at once.

    Returns:
        A run with E[exp(log_weights)] = 1 / p(x).

    Raises:
        ValueError: an argument is out of its range.
    """
    return anneal(
        log_densities,
        posterior_samples,
        inverse_temperatures.flip(0),
        step_size=step_size,
        leapfrog_steps=leapfrog_steps,
        generator=generator,
        rows_per_chunk=rows_per_chunk,
    )


def sandwich(
    bridge: Bridge,
    posterior_sample: Tensor,
    chains: int,
    inverse_temperatures: Tensor,
    *,
    step_size: float,
    leapfrog_steps: int,
    generator: Generators,
    rows_per_chunk: int | None = None,
) -> Sandwich:
    """Compute both bounds with the same schedule and step size, the forward run first.

    Args:
        bridge: start and target for B images simulated from the model.
        posterior_sample: the exact posterior sample of each image, [B, D], in the bridge's own space. All C reverse
            chains of an image start there, so they are not independent and their spread understates their error.
        chains: chains per image in each direction, C.
        inverse_temperatures: [T + 1], strictly increasing from 0 to 1.
        step_size: leapfrog step size, frozen.
        leapfrog_steps: leapfrog steps per move, L.
        generator: one for the batch, or one per image.
        rows_per_chunk: most rows (chains x images) to evaluate at a time; None for all at once.

    Raises:
        ValueError: an argument is out of its range, or `posterior_sample` is not [B, D].
    """
    if posterior_sample.dim() != 2:
        raise ValueError(f"posterior_sample must be [B, D]: got {tuple(posterior_sample.shape)}.")
    run = partial(
        anneal,
        bridge.log_densities,
        step_size=step_size,
        leapfrog_steps=leapfrog_steps,
        generator=generator,
        rows_per_chunk=rows_per_chunk,
    )
    forward = run(bridge.draw(chains, generator), inverse_temperatures)
    return Sandwich(forward, run(posterior_sample.expand(chains, -1, -1), inverse_temperatures.flip(0)))
