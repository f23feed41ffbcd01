"""Results of the same images from different samples, put together: what a search for a small error adds up."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from iafsweep.evaluation.log_weights import is_untrusted
from iafsweep.evaluation.shards import ShardResult, floats


def merge_parts(first: ShardResult, second: ShardResult) -> ShardResult:
    """Return the result of the samples of both, which follow each other.

    Exact but for two fields: the standard error is the infinitesimal jackknife's, sqrt(1/ESS - 1/S), and Pareto k-hat
    is that of the larger part, since only the weights themselves would give that of all.

    Raises:
        ValueError: the two are not of the same images, or their samples do not follow each other.
    """
    a, b = first.shard, second.shard
    if a.model_copy(update={"samples": b.samples, "first_sample": b.first_sample}) != b:
        raise ValueError(f"parts must be of the same images: got {a} and {b}")
    if a.first_sample + a.samples != b.first_sample:
        raise ValueError(f"samples must follow each other: got those up to {a.first_sample + a.samples}, then {b}")
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
        untrusted=tuple(bool(each) for each in is_untrusted(log_likelihood, variance, k).tolist()),
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
    # A zero weight makes a mean infinite, and the difference of two such means no number.
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
