"""Score a model on a shard of images: the bound, importance sampling, or HAIS."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig, HaisConfig
from iafsweep.data import fixed_binarisation
from iafsweep.evaluation.annealing import annealed_importance_sampling
from iafsweep.evaluation.importance import importance_sampling
from iafsweep.evaluation.pilot import Pilot, PilotSettings, tune_step_size
from iafsweep.evaluation.schedules import Schedule, linear_schedule, sigmoid_schedule
from iafsweep.evaluation.shards import Shard, ShardResult, shard_result
from iafsweep.evaluation.vae_bridges import BRIDGES, encode
from iafsweep.models import VAE
from iafsweep.records import Record
from iafsweep.seeds import generator

SCHEDULES: dict[str, Schedule] = {"linear": linear_schedule, "sigmoid": sigmoid_schedule}

# Rows (samples x images) evaluated at a time: memory only. Gradients keep every activation, so they take fewer.
_ROWS = {"cpu": (1000, 400), "cuda": (5000, 1600)}


class FrozenStepSize(Record):
    """What the pilot of a HAIS run found.

    Attributes:
        step_size: the leapfrog step size, frozen for the run that counts.
        acceptance_rate: of the pilot's last pass; None without moves (one temperature).
        gradient_evaluations: of the pilot, a chain.
        seconds: wall-clock seconds.
    """

    step_size: float
    acceptance_rate: float | None
    gradient_evaluations: int
    seconds: float


def score_shard(
    model: VAE,
    images: Tensor,
    shard: Shard,
    config: EvaluationConfig,
    binarisation_seed: int,
    step_size: float | None = None,
) -> ShardResult:
    """Score one shard; every image has random numbers of its own, so that the shard's borders change no figure.

    Args:
        model: in eval mode; its parameters need no gradient (``requires_grad_(False)`` saves memory).
        images: the shard's images, uint8 [B, X...], on the model's device.
        shard: which method, on which range.
        config: settings and seed.
        binarisation_seed: seed of the split's fixed binarisation.
        step_size: the frozen step size; for HAIS only.

    Raises:
        ValueError: the number of images is not the shard's, or HAIS has no step size.
    """
    if len(images) != shard.count:
        raise ValueError(f"the shard has {shard.count} images, got {len(images)}")
    started = time.perf_counter()
    if shard.method == "hais":
        if step_size is None:
            raise ValueError("HAIS needs a frozen step size: run `tune` first")
        return _hais(model, images, shard, config, binarisation_seed, step_size, started)
    samples = 1 if shard.method == "negative_elbo" else config.importance_sampling.samples
    x = fixed_binarisation(images, shard.split, binarisation_seed, shard.first)
    statistics = importance_sampling(
        BRIDGES["posterior"](model, x, encode(model, x)),
        samples,
        _generators(config.seed, shard.method, shard),
        rows_per_chunk=_rows(x.device)[0],
    )
    return shard_result(
        shard,
        statistics.summary(),
        acceptance_rate=None,
        network_evaluations=samples,
        gradient_evaluations=0,
        seconds=time.perf_counter() - started,
    )


def tune(model: VAE, images: Tensor, config: EvaluationConfig, binarisation_seed: int) -> FrozenStepSize:
    """Find the step size of a HAIS run in a pilot on the first test images; its weights are thrown away.

    Args:
        model: in eval mode.
        images: test images, uint8 [N, X...]; the first ``config.hais.pilot_images`` are used.
        config: settings and seed.
        binarisation_seed: seed of the split's fixed binarisation.
    """
    hais = config.hais
    shard = Shard(method="hais", split="test", first=0, count=min(hais.pilot_images, len(images)))
    started = time.perf_counter()
    x = fixed_binarisation(images[: shard.count], shard.split, binarisation_seed)
    pilot: Pilot = tune_step_size(
        BRIDGES[hais.start](model, x, encode(model, x)),
        hais.chains,
        schedule(hais),
        PilotSettings(
            target_acceptance=hais.resolved_target_acceptance,
            passes=hais.pilot_passes,
            initial_step_size=hais.initial_step_size,
            minimum_step_size=hais.minimum_step_size,
            maximum_step_size=hais.maximum_step_size,
        ),
        leapfrog_steps=hais.resolved_leapfrog_steps,
        generator=_generators(config.seed, "pilot", shard),
        rows_per_chunk=_rows(x.device)[1],
    )
    return FrozenStepSize(
        step_size=pilot.step_size,
        acceptance_rate=pilot.acceptance_rate,
        gradient_evaluations=pilot.gradient_evaluations,
        seconds=time.perf_counter() - started,
    )


def schedule(config: HaisConfig) -> Tensor:
    """Return the inverse temperatures [T + 1] of a configuration."""
    return SCHEDULES[config.resolved_schedule](config.resolved_temperatures)


def _hais(
    model: VAE,
    images: Tensor,
    shard: Shard,
    config: EvaluationConfig,
    binarisation_seed: int,
    step_size: float,
    started: float,
) -> ShardResult:
    hais = config.hais
    x = fixed_binarisation(images, shard.split, binarisation_seed, shard.first)
    run = annealed_importance_sampling(
        BRIDGES[hais.start](model, x, encode(model, x)),
        hais.chains,
        schedule(hais),
        step_size=step_size,
        leapfrog_steps=hais.resolved_leapfrog_steps,
        generator=_generators(config.seed, "hais", shard),
        rows_per_chunk=_rows(x.device)[1],
    )
    evaluations = hais.chains * run.gradient_evaluations
    return shard_result(
        shard,
        run.statistics.summary(),
        acceptance_rate=run.mean_acceptance_rate,
        network_evaluations=evaluations,
        gradient_evaluations=evaluations,
        seconds=time.perf_counter() - started,
    )


def _generators(seed: int, purpose: str, shard: Shard) -> list[torch.Generator]:
    """One generator an image, on the CPU: the same numbers on every device, in every order of shards."""
    places = range(shard.first, shard.first + shard.count)
    return [generator("cpu", seed, purpose, shard.split, place) for place in places]


def _rows(device: torch.device) -> tuple[int, int]:
    return _ROWS["cuda" if device.type == "cuda" else "cpu"]
