"""Scores a model on a shard of images with the ELBO, importance sampling, or HAIS."""

import time
from collections.abc import Iterable

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig, HaisSettings, RunConfig, Start
from iafsweep.data import seen
from iafsweep.estimators.annealing import annealed_importance_sampling
from iafsweep.estimators.bridge import Bridge
from iafsweep.estimators.importance import log_weight_blocks
from iafsweep.estimators.log_weights import LogWeightStatistics
from iafsweep.estimators.noise import NOISE_BLOCK, NoiseBlocks
from iafsweep.estimators.schedules import Schedule, linear_schedule, sigmoid_schedule
from iafsweep.estimators.step_size import Pilot, PilotSettings, tune_step_size
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.memory import halving_rows
from iafsweep.evaluation.shards import Shard, ShardResult, shard_result
from iafsweep.models import VAE
from iafsweep.models.precision import full_precision
from iafsweep.records import Record
from iafsweep.seeds import generator

SCHEDULES: dict[str, Schedule] = {"linear": linear_schedule, "sigmoid": sigmoid_schedule}

# Rows (samples x images) per evaluation, without and with gradients, which keep all activations. Affects memory only.
_ROWS = {"cpu": (1000, 400), "cuda": (5000, 1600)}

_PARAMETERS = 784
"""Decoder outputs per image of MNIST, for which the numbers of rows were chosen."""


class FrozenStepSize(Record):
    """Result of the pilot of a HAIS run.

    Attributes:
        step_size: the leapfrog step size, frozen for the main run.
        acceptance_rate: mean acceptance rate of the pilot's last pass; None without moves (one temperature).
        gradient_evaluations: gradient evaluations of the pilot per chain.
        seconds: wall-clock seconds.
    """

    step_size: float
    acceptance_rate: float | None
    gradient_evaluations: int
    seconds: float


def score_shard(
    model: VAE, images: Tensor, shard: Shard, config: RunConfig, step_size: float | None = None
) -> ShardResult:
    """Score one shard.

    Noise depends only on evaluation seed, method, split, binarisation, image and block of 50 samples, and networks
    compute in full float32. The shard's borders, memory, order, number of workers and device therefore change no
    figure. Noise does not depend on the trial either, so that scoring a model again gives the same figure.

    Args:
        model: in eval mode; its parameters need no gradient (``requires_grad_(False)`` saves memory).
        images: the shard's images, uint8 [B, X...], on the model's device.
        shard: the method and the range of images.
        config: settings, seed, and whether and how images are binarised.
        step_size: the frozen step size; for HAIS only.

    Raises:
        ValueError: the number of images differs from the shard's, or HAIS has no step size.
    """
    if len(images) != shard.count:
        raise ValueError(f"the shard has {shard.count} images, got {len(images)}")
    started = time.perf_counter()
    x = seen(images, config.data, shard.split, shard.first, shard.binarisation_seed)
    noise = _noise(config.evaluation.seed, shard.method, shard)
    if shard.method == "hais":
        if step_size is None:
            raise ValueError("HAIS needs a frozen step size: find one with tune() and pass it as step_size")
        return _hais(model, x, shard, config.evaluation.hais.resolved(), noise, step_size, started)

    def sample(rows: int) -> list[LogWeightStatistics]:
        bridge = BRIDGES["posterior"](model, x, encode(model, x))
        return halves(log_weight_blocks(bridge, shard.samples, noise.open(), rows_per_chunk=rows), shard.samples)

    with full_precision():
        statistics = halving_rows(sample, rows_without_gradient(model), shard.count)
    return shard_result(
        shard,
        statistics,
        acceptance_rate=None,
        network_evaluations=shard.samples,
        gradient_evaluations=0,
        seconds=time.perf_counter() - started,
    )


def tune(model: VAE, x: Tensor, start: Start, config: EvaluationConfig, noise: NoiseBlocks) -> FrozenStepSize:
    """Find the step size of a HAIS run in a pilot on a few images, whose weights are discarded.

    ``model`` is in eval mode; ``x`` are the pilot's images as the model sees them, [B, X...]; ``noise`` must not be
    that of the main run.
    """
    started = time.perf_counter()
    hais = config.hais.resolved(start)

    def find(rows: int) -> Pilot:
        return tune_step_size(
            BRIDGES[start](model, x, encode(model, x)),
            hais.chains,
            schedule(hais),
            PilotSettings(
                target_acceptance=hais.target_acceptance,
                passes=hais.pilot_passes,
                initial_step_size=hais.initial_step_size,
                minimum_step_size=hais.minimum_step_size,
                maximum_step_size=hais.maximum_step_size,
            ),
            leapfrog_steps=hais.leapfrog_steps,
            generator=noise.open(),
            rows_per_chunk=rows,
        )

    with full_precision():
        pilot = halving_rows(find, rows_with_gradient(model), len(x))
    return FrozenStepSize(
        step_size=pilot.step_size,
        acceptance_rate=pilot.acceptance_rate,
        gradient_evaluations=pilot.gradient_evaluations,
        seconds=time.perf_counter() - started,
    )


def tune_on_test_images(model: VAE, images: Tensor, config: RunConfig, binarisation_seed: int) -> FrozenStepSize:
    """Run the pilot of HAIS on the first ``hais.pilot_images`` test images, uint8 [N, X...]."""
    evaluation = config.evaluation
    count = min(evaluation.hais.pilot_images, len(images))
    x = seen(images[:count], config.data, "test", seed=binarisation_seed)
    noise = noise_blocks(evaluation.seed, "pilot", "test", binarisation_seed, range(count))
    return tune(model, x, evaluation.hais.start, evaluation, noise)


def schedule(settings: HaisSettings) -> Tensor:
    """Return the inverse temperatures [T + 1] of annealing."""
    return SCHEDULES[settings.schedule](settings.temperatures)


def noise_blocks(
    seed: int, purpose: str, split: str, binarisation_seed: int, places: range, first_sample: int = 0
) -> NoiseBlocks:
    """Return the noise of images: a CPU generator for each image and block, seeded with the arguments.

    ``seed`` is the evaluation seed and ``purpose`` the method or another use; ``places`` are the indices of the images
    in the split, and ``first_sample`` is the index of the first sample.
    """

    def of_block(block: int) -> list[torch.Generator]:
        return [generator("cpu", seed, purpose, split, binarisation_seed, place, block) for place in places]

    return NoiseBlocks(of_block, first_sample // NOISE_BLOCK)


def halves(blocks: Iterable[Tensor], count: int) -> list[LogWeightStatistics]:
    """Statistics of the first and second half of ``count`` log-weights in blocks [S, B]; only one if ``count`` is 1."""
    border = count // 2
    gathered: list[LogWeightStatistics | None] = [None, None]
    place = 0
    for block in blocks:
        cut = min(max(border - place, 0), len(block))
        for half, part in enumerate((block[:cut], block[cut:])):
            if len(part):
                statistics, known = LogWeightStatistics.of(part), gathered[half]
                gathered[half] = statistics if known is None else known.merge(statistics)
        place += len(block)
    return [half for half in gathered if half is not None]


def _hais(
    model: VAE, x: Tensor, shard: Shard, hais: HaisSettings, noise: NoiseBlocks, step_size: float, started: float
) -> ShardResult:
    def anneal(rows: int) -> tuple[list[LogWeightStatistics], float | None, int]:
        bridge: Bridge = BRIDGES[hais.start](model, x, encode(model, x))
        run = annealed_importance_sampling(
            bridge,
            shard.samples,
            schedule(hais),
            step_size=step_size,
            leapfrog_steps=hais.leapfrog_steps,
            generator=noise.open(),
            rows_per_chunk=rows,
        )
        return halves([run.log_weights], shard.samples), run.mean_acceptance_rate, run.gradient_evaluations

    with full_precision():
        statistics, acceptance_rate, evaluations = halving_rows(anneal, rows_with_gradient(model), shard.count)
    return shard_result(
        shard,
        statistics,
        acceptance_rate=acceptance_rate,
        network_evaluations=shard.samples * evaluations,
        gradient_evaluations=shard.samples * evaluations,
        seconds=time.perf_counter() - started,
    )


def _noise(seed: int, purpose: str, shard: Shard) -> NoiseBlocks:
    places = range(shard.first, shard.first + shard.count)
    return noise_blocks(seed, purpose, shard.split, shard.binarisation_seed, places, shard.first_sample)


def rows_without_gradient(model: VAE) -> int:
    """Rows (samples x images) to evaluate at a time without gradients, as first attempt."""
    return _rows(model)[0]


def rows_with_gradient(model: VAE) -> int:
    """Rows (chains x images) to evaluate at a time with gradients, as first attempt."""
    return _rows(model)[1]


def _rows(model: VAE) -> tuple[int, int]:
    """Rows to evaluate at a time, without and with gradients; fewer if an image takes more memory than MNIST's."""
    share = min(1.0, _PARAMETERS / model.likelihood.row_numbers)
    forward, with_gradient = _ROWS["cuda" if next(model.parameters()).is_cuda else "cpu"]
    return max(1, int(share * forward)), max(1, int(share * with_gradient))
