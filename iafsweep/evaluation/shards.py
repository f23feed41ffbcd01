"""Shards: a shard is one method on a contiguous range of images, the unit that is computed, stored and resumed."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from iafsweep.estimators.log_weights import LogWeightStatistics, is_untrusted
from iafsweep.records import Method, Record, Split

SHARD_IMAGES = 100
"""Images per shard. It changes no figure, because each image has its own random numbers."""


class Shard(Record):
    """One method on a range of images of a split, with a range of samples per image.

    Attributes:
        method: how the images are scored.
        split: the split of the images.
        binarisation_seed: seed of the fixed binarisation of the split.
        first: index of the first image in the split.
        count: number of images.
        samples: samples (HAIS: chains) per image.
        first_sample: index of the first sample, after those of earlier shards; a multiple of `NOISE_BLOCK`.
    """

    method: Method
    split: Split
    binarisation_seed: int
    first: int
    count: int
    samples: int
    first_sample: int = 0


class ShardResult(Record):
    """Result of scoring a shard; each tuple has one entry per image.

    Attributes:
        shard: what was scored.
        log_likelihood: estimates of log p(x) (of the ELBO for ``negative_elbo``), nats.
        half_log_likelihood: the same from half of the samples, as the mean over both halves; NaN for one sample.
        standard_error: the estimator's own standard error of each. With uneven weights, twice this error covers
            log p(x) of a single image less often than 95 % (`LogWeightSummary`); for the mean over images it is usable.
        mean_log_weight: mean of the log-weights.
        effective_sample_size: (sum w)^2 / sum w^2.
        log_weight_variance: variance of the log-weights.
        pareto_k: Pareto k-hat; NaN below 25 weights.
        untrusted: weights too uneven or too few to tell (`is_untrusted`); never for ``negative_elbo``, a mere bound.
        acceptance_rate: mean over moves, chains and images; None without moves.
        network_evaluations: evaluations of flow and decoder per image.
        gradient_evaluations: how many of them with a gradient.
        seconds: wall-clock seconds; NaN if unknown.
    """

    shard: Shard
    log_likelihood: tuple[float, ...]
    half_log_likelihood: tuple[float, ...]
    standard_error: tuple[float, ...]
    mean_log_weight: tuple[float, ...]
    effective_sample_size: tuple[float, ...]
    log_weight_variance: tuple[float, ...]
    pareto_k: tuple[float, ...]
    untrusted: tuple[bool, ...]
    acceptance_rate: float | None
    network_evaluations: int
    gradient_evaluations: int
    seconds: float


PER_IMAGE_COLUMNS = tuple(
    "log_likelihood half_log_likelihood standard_error mean_log_weight effective_sample_size log_weight_variance "
    "pareto_k untrusted".split()
)
"""The fields of a result with one entry per image."""


def plan_shards(
    method: Method,
    split: Split,
    images: int,
    samples: int,
    binarisation_seed: int,
    first_sample: int = 0,
    size: int = SHARD_IMAGES,
) -> list[Shard]:
    """Return the shards that cover the first ``images`` images of a split."""
    return [
        Shard(
            method=method,
            split=split,
            binarisation_seed=binarisation_seed,
            first=first,
            count=min(size, images - first),
            samples=samples,
            first_sample=first_sample,
        )
        for first in range(0, images, size)
    ]


def shard_result(
    shard: Shard,
    halves: Sequence[LogWeightStatistics],
    *,
    acceptance_rate: float | None,
    network_evaluations: int,
    gradient_evaluations: int,
    seconds: float,
) -> ShardResult:
    """Build a shard's result from the statistics of its log-weights.

    ``halves`` holds the statistics of the first and second half of the samples, or only one for a single sample.
    """
    whole = halves[0] if len(halves) == 1 else halves[0].merge(halves[1])
    summary = whole.summary()
    half = torch.stack([each.log_likelihood for each in halves]).mean(0)
    return ShardResult(
        shard=shard,
        log_likelihood=floats(summary.log_likelihood),
        half_log_likelihood=floats(half if len(halves) == 2 else half * torch.nan),
        standard_error=floats(summary.standard_error),
        mean_log_weight=floats(summary.mean_log_weight),
        effective_sample_size=floats(summary.effective_sample_size),
        log_weight_variance=floats(summary.log_weight_variance),
        pareto_k=floats(summary.pareto_k),
        untrusted=tuple(bool(each) and shard.method != "negative_elbo" for each in summary.untrusted.tolist()),
        acceptance_rate=acceptance_rate,
        network_evaluations=network_evaluations,
        gradient_evaluations=gradient_evaluations,
        seconds=seconds,
    )


def mean_acceptance(rates: Iterable[tuple[float | None, int]]) -> float | None:
    """Mean of pairs (acceptance rate, images) of shards, weighted by images; None if there were no moves."""
    moved = [(rate, images) for rate, images in rates if rate is not None]
    if not moved:
        return None
    return math.fsum(rate * images for rate, images in moved) / sum(images for _, images in moved)


def column(results: Sequence[ShardResult], name: str) -> Tensor:
    """Return a per-image figure over all shards in order, float64 [N]."""
    return torch.tensor([value for result in results for value in getattr(result, name)], dtype=torch.float64)


def floats(values: Tensor) -> tuple[float, ...]:
    """Return a per-image figure, [B], in the form that records store."""
    return tuple(values.double().tolist())


def merge_parts(first: ShardResult, second: ShardResult) -> ShardResult:
    """Merge two results for consecutive ranges of samples of the same images.

    The result is exact except for two fields: the standard error is that of the infinitesimal jackknife,
    sqrt(1/ESS - 1/S), and Pareto k-hat is that of the larger part, since the overall one would need the weights.

    Raises:
        ValueError: the two are not of the same images, or their samples are not consecutive.
    """
    a, b = first.shard, second.shard
    if a.model_copy(update={"samples": b.samples, "first_sample": b.first_sample}) != b:
        raise ValueError(f"parts must cover the same images: got {a} and {b}")
    if a.first_sample + a.samples != b.first_sample:
        raise ValueError(
            f"samples must be consecutive: the second part must begin at sample {a.first_sample + a.samples}, "
            f"got {b.first_sample}"
        )
    count = a.samples + b.samples
    log_likelihood = torch.logaddexp(_log_sum(first), _log_sum(second)) - math.log(count)
    ess = (2 * torch.logaddexp(_log_sum(first), _log_sum(second))).sub(_log_sum_squares(first, second)).exp()
    ess = ess.nan_to_num(nan=0.0)
    mean = (a.samples * _tensor(first.mean_log_weight) + b.samples * _tensor(second.mean_log_weight)) / count
    variance = _variance(first, second, count)
    k = _tensor((first if a.samples > b.samples else second).pareto_k)
    half = (_tensor(first.log_likelihood) + _tensor(second.log_likelihood)) / 2
    return ShardResult(
        shard=a.model_copy(update={"samples": count}),
        log_likelihood=floats(log_likelihood),
        half_log_likelihood=floats(half),
        standard_error=floats((1 / ess - 1 / count).clamp(min=0).sqrt()),
        mean_log_weight=floats(mean),
        effective_sample_size=floats(ess),
        log_weight_variance=floats(variance),
        pareto_k=floats(k),
        untrusted=tuple(bool(each) for each in is_untrusted(log_likelihood, variance, k, count).tolist()),
        acceptance_rate=first.acceptance_rate,
        network_evaluations=first.network_evaluations + second.network_evaluations,
        gradient_evaluations=first.gradient_evaluations + second.gradient_evaluations,
        seconds=first.seconds + second.seconds,
    )


def _variance(first: ShardResult, second: ShardResult, count: int) -> Tensor:
    """Variance of all log-weights (Chan, Golub and LeVeque 1979, eq. 2.1); infinite where a weight is zero."""
    deviations = torch.zeros(len(first.log_likelihood), dtype=torch.float64)
    for part in (first, second):
        variance = _tensor(part.log_weight_variance)
        deviations = deviations + (part.shard.samples - 1) * (variance if part.shard.samples > 1 else 0.0)
    shift = _tensor(second.mean_log_weight) - _tensor(first.mean_log_weight)
    between = shift.square() * first.shard.samples * second.shard.samples / count
    # A zero weight makes a mean infinite, and the difference of two such means NaN.
    return ((deviations + between) / (count - 1)).nan_to_num(nan=torch.inf, posinf=torch.inf)


def _log_sum(part: ShardResult) -> Tensor:
    return _tensor(part.log_likelihood) + math.log(part.shard.samples)


def _log_sum_squares(first: ShardResult, second: ShardResult) -> Tensor:
    squares = []
    for part in (first, second):
        log_sum = _log_sum(part)
        ess = _tensor(part.effective_sample_size)
        squares.append(torch.where(ess > 0, 2 * log_sum - ess.log(), -torch.inf))
    return torch.logaddexp(*squares)


def _tensor(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
