"""Sandwich bounds of a trained model: bidirectional Monte Carlo on images simulated from it."""

import copy
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig, Start
from iafsweep.estimators.bidirectional import Sandwich, sandwich
from iafsweep.estimators.log_weights import LogWeightStatistics, is_too_uneven
from iafsweep.estimators.standard_errors import mean_over_images
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.memory import halving_rows
from iafsweep.evaluation.scoring import FrozenStepSize, noise_blocks, rows_with_gradient, schedule, tune
from iafsweep.evaluation.shards import floats, mean_acceptance
from iafsweep.models import VAE
from iafsweep.models.precision import full_precision
from iafsweep.records import Record, SandwichEstimate
from iafsweep.seeds import generator

_ROUND_TRIP = 1e-6
"""Largest error of a latent variable after inversion in float64; beyond it, an image has no noise to start from."""


class SimulatedShard(Record):
    """A range of simulated images and the start of the chains.

    Attributes:
        start: start of the forward chains.
        first: index of the first image.
        count: number of images.
    """

    start: Start
    first: int
    count: int


class SandwichResult(Record):
    """Both bounds of each image of a shard; each tuple has one entry per image, in nats.

    Attributes:
        shard: the images and the start.
        lower: lower bounds, from forward chains.
        upper: upper bounds, from reverse chains; infinite where no weight could be computed.
        lower_log_weight_variance: variance of the forward log-weights; NaN for one chain.
        upper_log_weight_variance: variance of the reverse log-weights; NaN for one chain.
        acceptance_rate: mean over moves, chains, images and both directions; None without moves.
        gradient_evaluations: gradient evaluations per image in each direction.
        seconds: wall-clock seconds.
    """

    shard: SimulatedShard
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    lower_log_weight_variance: tuple[float, ...]
    upper_log_weight_variance: tuple[float, ...]
    acceptance_rate: float | None
    gradient_evaluations: int
    seconds: float


class SimulatedImages(NamedTuple):
    """Images drawn from the model, with the latent variables that they were generated from.

    Attributes:
        x: bits or levels, [B, X...].
        z: exact samples of p(z|x), [B, D].
    """

    x: Tensor
    z: Tensor


@torch.no_grad()
def simulate(model: VAE, seed: int, places: range) -> SimulatedImages:
    """Draw images from the model: z from the prior, x from p(x|z), with a generator per image.

    ``model`` is in eval mode, ``seed`` is the evaluation seed, and ``places`` are the indices of the images.
    """
    reference = next(model.parameters())
    draws = [generator("cpu", seed, "simulated", place) for place in places]
    size = (1, model.prior.noise_size)
    noise = torch.cat([torch.randn(size, generator=each, dtype=reference.dtype) for each in draws])
    with full_precision():
        z = model.prior.from_noise(noise.to(reference.device))
        parameters = model.decode(z)
        uniform = [model.likelihood.noise(one, each) for one, each in zip(parameters.split(1), draws, strict=True)]
        return SimulatedImages(model.likelihood.from_noise(parameters, torch.cat(uniform)), z)


@torch.no_grad()
def posterior_start(model: VAE, images: SimulatedImages, start: Start) -> Tensor:
    """Return each image's exact posterior sample in the space of a bridge, [B, D].

    For ``prior`` and ``base`` it is z itself; for ``posterior`` it is the noise e = f^{-1}(z), inverted in float64 (in
    float32 the D passes of an autoregressive step accumulate rounding errors). It is NaN where f(e) differs from z; the
    upper bound of such an image is infinite.
    """
    if start != "posterior":
        return images.z
    double = copy.deepcopy(model).double()
    parameters = double.posterior(images.x.double())
    z = images.z.double()
    noise = double.invert_noise(z, parameters)
    returned = double.transform_noise(noise, parameters)[0]
    is_exact = ((returned - z).abs() < _ROUND_TRIP).all(-1, keepdim=True)
    return torch.where(is_exact, noise, torch.nan).to(images.z.dtype)


def tune_on_simulated_images(model: VAE, images: int, start: Start, config: EvaluationConfig) -> FrozenStepSize:
    """Run the pilot of a sandwich on its first ``config.hais.pilot_images`` images, with noise of its own."""
    places = range(min(config.hais.pilot_images, images))
    x = simulate(model, config.seed, places).x
    return tune(model, x, start, config, noise_blocks(config.seed, "pilot", "simulated", 0, places))


def squeeze(model: VAE, shard: SimulatedShard, config: EvaluationConfig, step_size: float) -> SandwichResult:
    """Compute both bounds for a shard of simulated images, with the same settings in both directions.

    ``model`` is in eval mode; the start is the shard's, not that of ``config``; ``step_size`` is frozen.
    """
    started = time.perf_counter()
    places = range(shard.first, shard.first + shard.count)
    hais = config.hais.resolved(shard.start)
    images = simulate(model, config.seed, places)

    def both(rows: int) -> Sandwich:
        return sandwich(
            BRIDGES[shard.start](model, images.x, encode(model, images.x)),
            posterior_start(model, images, shard.start),
            hais.chains,
            schedule(hais),
            step_size=step_size,
            leapfrog_steps=hais.leapfrog_steps,
            generator=noise_blocks(config.seed, f"sandwich {shard.start}", "simulated", 0, places).open(),
            rows_per_chunk=rows,
        )

    with full_precision():
        bounds = halving_rows(both, rows_with_gradient(model), shard.count)
    rates = [bounds.forward.mean_acceptance_rate, bounds.reverse.mean_acceptance_rate]
    moved = [rate for rate in rates if rate is not None]
    return SandwichResult(
        shard=shard,
        lower=floats(bounds.lower),
        upper=floats(bounds.upper),
        lower_log_weight_variance=_variances(bounds.forward.log_weights),
        upper_log_weight_variance=_variances(bounds.reverse.log_weights),
        acceptance_rate=math.fsum(moved) / len(moved) if moved else None,
        gradient_evaluations=hais.chains * bounds.forward.gradient_evaluations,
        seconds=time.perf_counter() - started,
    )


def summarise_sandwich(
    results: Sequence[SandwichResult],
    config: EvaluationConfig,
    pilot: FrozenStepSize,
    dimensions: int | None = None,
    *,
    autoregressive: bool = False,
) -> SandwichEstimate:
    """Return the mean bounds and gap over all simulated images; the shards may be in any order.

    ``dimensions`` is the number of values per image, None for bits; ``autoregressive`` is whether the decoder is.
    """
    results = sorted(results, key=lambda result: result.shard.first)
    start = results[0].shard.start
    hais = config.hais.resolved(start)
    lower, upper = _column(results, "lower"), _column(results, "upper")
    gap = mean_over_images(upper - lower)
    uneven = [
        is_too_uneven(_column(results, name), hais.chains)
        for name in ("lower_log_weight_variance", "upper_log_weight_variance")
    ]
    untrusted = uneven[0] | uneven[1] | ~(upper - lower).isfinite()
    return SandwichEstimate(
        start=start,
        images=gap.images,
        lower=float(lower.mean()),
        lower_error=mean_over_images(lower).standard_error,
        upper=float(upper.mean()),
        upper_error=mean_over_images(upper).standard_error,
        gap=gap.value,
        gap_error=gap.standard_error,
        untrusted_share=float(untrusted.double().mean()),
        settings=hais.text,
        seed=config.seed,
        acceptance_rate=mean_acceptance((each.acceptance_rate, each.shard.count) for each in results),
        step_size=pilot.step_size,
        gradient_evaluations=results[0].gradient_evaluations,
        seconds=math.fsum(each.seconds for each in results) + pilot.seconds,
        dimensions=dimensions,
        autoregressive=autoregressive,
    )


def _variances(log_weights: Tensor) -> tuple[float, ...]:
    return floats(LogWeightStatistics.of(log_weights).log_weight_variance)


def _column(results: Sequence[SandwichResult], name: str) -> Tensor:
    return torch.tensor([value for result in results for value in getattr(result, name)], dtype=torch.float64)
