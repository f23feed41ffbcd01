"""Log-likelihoods of images in memory, with diagnostics that say whether to trust them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig
from iafsweep.estimators.annealing import annealed_importance_sampling
from iafsweep.estimators.importance import importance_sampling
from iafsweep.estimators.log_weights import LogWeightStatistics, LogWeightSummary
from iafsweep.estimators.noise import NoiseBlocks
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.memory import halving_rows
from iafsweep.evaluation.scoring import noise_blocks, rows_with_gradient, rows_without_gradient, schedule, tune
from iafsweep.models import VAE, folded
from iafsweep.models.precision import full_precision

_IMAGES_AT_A_TIME = 100


@dataclass(frozen=True, eq=False)
class LogLikelihoods:
    """Estimates of log p(x) of B images, with diagnostics of their weights; tensors are [B], float64, on the CPU.

    Attributes:
        log_likelihood: log-mean-exp of the log-weights, nats: a lower bound in expectation.
        standard_error: standard error of each from the estimator's own randomness; it does not cover bias.
        effective_sample_size: (sum w)^2 / sum w^2, from 1 to the number of samples or chains.
        log_weight_variance: variance of the log-weights.
        pareto_k: Pareto k-hat, the shape of the tail of the weights; NaN with fewer than 25 weights or if they hardly
            differ.
        untrusted: whether the weights are too uneven to trust the estimate, bool [B].
        settings: settings of the estimator, such as ``1000 samples`` or ``posterior 80x3x8``.
        step_size: leapfrog step size found by the pilot run; None without annealing.
        acceptance_rate: mean acceptance rate of the moves; None without moves.
    """

    log_likelihood: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor
    log_weight_variance: Tensor
    pareto_k: Tensor
    untrusted: Tensor
    settings: str
    step_size: float | None = None
    acceptance_rate: float | None = None

    def __repr__(self) -> str:
        count = len(self.log_likelihood)
        if not count:
            return f"<log-likelihoods of no images, {self.settings}>"
        share = self.untrusted.double().mean().item()
        moves = "" if self.acceptance_rate is None else f", {self.acceptance_rate:.0%} of the moves accepted"
        return (
            f"<log-likelihoods of {count:,} images, {self.settings}: mean {self.log_likelihood.mean():.2f} nats, "
            f"{share:.0%} untrusted{moves}>"
        )


def sampled(model: VAE, x: Tensor, samples: int, seed: int) -> LogLikelihoods:
    """Estimate log p(x) by importance sampling with the flow posterior.

    Args:
        model: a model in eval mode and float32.
        x: images as the model sees them, [B, *image_shape], on its device.
        samples: posterior samples per image, S.
        seed: seed of the noise.
    """
    ready = folded(model)

    def score(part: Tensor, noise: NoiseBlocks) -> LogWeightSummary:
        def sample(rows: int) -> LogWeightStatistics:
            bridge = BRIDGES["posterior"](ready, part, encode(ready, part))
            return importance_sampling(bridge, samples, noise.open(), rows_per_chunk=rows)

        return halving_rows(sample, rows_without_gradient(ready), len(part)).summary()

    found = _by_parts(x, lambda places: noise_blocks(seed, "log_likelihood", "", 0, places), score)
    return _gathered(found, f"{samples} sample{'' if samples == 1 else 's'}", None, [])


def annealed(model: VAE, x: Tensor, evaluation: EvaluationConfig, seed: int) -> LogLikelihoods:
    """Estimate log p(x) by HAIS, with a step size that a pilot run on the first images tunes and then freezes.

    Args:
        model: a model in eval mode and float32.
        x: images as the model sees them, [B, *image_shape], on its device.
        evaluation: the settings; ``evaluation.hais`` says how to anneal.
        seed: seed of the noise.
    """
    ready, hais = folded(model), evaluation.hais.resolved()
    rates: list[tuple[float, int]] = []
    step_size = None
    if len(x):
        first = x[: hais.pilot_images]
        pilot_noise = noise_blocks(seed, "log_likelihood pilot", "", 0, range(len(first)))
        step_size = tune(ready, first, hais.start, evaluation, pilot_noise).step_size

    def score(part: Tensor, noise: NoiseBlocks) -> LogWeightSummary:
        assert step_size is not None  # there are images

        def anneal(rows: int) -> tuple[LogWeightStatistics, float | None]:
            run = annealed_importance_sampling(
                BRIDGES[hais.start](ready, part, encode(ready, part)),
                hais.chains,
                schedule(hais),
                step_size=step_size,
                leapfrog_steps=hais.leapfrog_steps,
                generator=noise.open(),
                rows_per_chunk=rows,
            )
            return run.statistics, run.mean_acceptance_rate

        statistics, rate = halving_rows(anneal, rows_with_gradient(ready), len(part))
        rates.extend([(rate, len(part))] if rate is not None else [])
        return statistics.summary()

    found = _by_parts(x, lambda places: noise_blocks(seed, "log_likelihood hais", "", 0, places), score)
    return _gathered(found, f"{hais.start} {hais.text}", step_size, rates)


def _by_parts(
    x: Tensor, noise_of: Callable[[range], NoiseBlocks], score: Callable[[Tensor, NoiseBlocks], LogWeightSummary]
) -> list[LogWeightSummary]:
    """Score some images at a time; each image has its own noise, so the division does not affect the estimates."""
    found = []
    for first in range(0, len(x), _IMAGES_AT_A_TIME):
        part = x[first : first + _IMAGES_AT_A_TIME]
        with full_precision():
            found.append(score(part, noise_of(range(first, first + len(part)))))
    return found


def _gathered(
    found: list[LogWeightSummary], settings: str, step_size: float | None, rates: list[tuple[float, int]]
) -> LogLikelihoods:
    def column(name: str, kind: torch.dtype = torch.float64) -> Tensor:
        parts = [getattr(each, name).cpu().to(kind) for each in found]
        return torch.cat(parts) if parts else torch.empty(0, dtype=kind)

    moved = sum(count for _, count in rates)
    return LogLikelihoods(
        log_likelihood=column("log_likelihood"),
        standard_error=column("standard_error"),
        effective_sample_size=column("effective_sample_size"),
        log_weight_variance=column("log_weight_variance"),
        pareto_k=column("pareto_k"),
        untrusted=column("untrusted", torch.bool),
        settings=settings,
        step_size=step_size,
        acceptance_rate=sum(rate * count for rate, count in rates) / moved if moved else None,
    )
