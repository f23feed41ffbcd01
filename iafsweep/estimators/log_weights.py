"""Mergeable statistics of importance weights.

An estimator of p(x) gives S log-weights per image; the estimate of log p(x) is their log-mean-exp. All figures are
float64, in nats per image. Shapes: S weights (samples or chains), B images.

A log-weight that is NaN or +inf comes from a density that could not be computed; it counts as a weight of zero. The
estimate thus remains a lower bound, and the image is untrusted: a zero weight makes the variance of log-weights
infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.estimators.pareto import pareto_k

KEPT_WEIGHTS = 2048
"""Number of largest log-weights kept per image; enough for the tail of 465,000 weights."""

VARIANCE_LIMIT, VARIANCE_BOUND, CONFIDENCE = 1.0, 2.0, 0.95
"""An image is untrusted if the variance of its log-weights is above the limit, or its upper confidence limit above the
bound; see `largest_trusted_variance`."""

PARETO_K_LIMIT = 0.7
"""An image with a larger Pareto k-hat is untrusted (Vehtari et al., arXiv:1507.02646)."""


class LogWeightSummary(NamedTuple):
    """Estimates and diagnostics from the log-weights of B images; every field is [B], float64 except `untrusted`.

    Attributes:
        log_likelihood: log-mean-exp of the log-weights; -inf where all weights are zero.
        standard_error: the estimator's own standard error of `log_likelihood`: jackknife over the weights (beyond
            `KEPT_WEIGHTS` weights the infinitesimal jackknife, sqrt(1/ESS - 1/S)); NaN for one weight. It does not
            include bias. Its square is right on average; for a single image with uneven weights it is usually too small
            and occasionally far too large, so that twice the error covers log p(x) less often than 95 %
            (docs/estimators.md).
        mean_log_weight: mean of the log-weights; for importance sampling this is the ELBO.
        effective_sample_size: (sum w)^2 / sum w^2, from 1 to S; 0 where all weights are zero.
        log_weight_variance: variance of the log-weights (denominator S - 1); infinite if a weight is zero, NaN for one
            weight.
        pareto_k: shape of the tail of the weights; NaN below 25 weights or where they hardly differ.
        untrusted: whether the variance is above 1, its upper confidence limit above 2, k-hat above 0.7, or the estimate
            infinite; always true for one weight.
    """

    log_likelihood: Tensor
    standard_error: Tensor
    mean_log_weight: Tensor
    effective_sample_size: Tensor
    log_weight_variance: Tensor
    pareto_k: Tensor
    untrusted: Tensor


@dataclass(frozen=True)
class LogWeightStatistics:
    """Sufficient statistics of the log-weights of B images.

    Attributes:
        count: log-weights per image, S.
        log_sum: log sum w, [B].
        log_sum_squares: log sum w^2, [B].
        zeros: number of zero weights, [B].
        mean: mean log-weight of the non-zero weights, [B].
        squared_deviations: sum of their squared deviations from the mean, [B].
        largest: the largest log-weights, [min(S, KEPT_WEIGHTS), B], unordered.
    """

    count: int
    log_sum: Tensor
    log_sum_squares: Tensor
    zeros: Tensor
    mean: Tensor
    squared_deviations: Tensor
    largest: Tensor

    @classmethod
    def of(cls, log_weights: Tensor) -> LogWeightStatistics:
        """Compute the statistics of log-weights [S, B].

        Raises:
            ValueError: `log_weights` is not [S, B] with S at least 1.
        """
        if log_weights.dim() != 2 or len(log_weights) < 1:
            raise ValueError(f"log-weights must be [S, B] with S at least 1: got {tuple(log_weights.shape)}.")
        log_weights = without_nonsense(log_weights)
        is_zero = log_weights.isinf()
        positive = (~is_zero).sum(0)
        mean = torch.where(is_zero, 0.0, log_weights).sum(0) / positive.clamp(min=1)
        deviations = torch.where(is_zero, 0.0, log_weights - mean)
        return cls(
            count=len(log_weights),
            log_sum=log_weights.logsumexp(0),
            log_sum_squares=(2 * log_weights).logsumexp(0),
            zeros=is_zero.sum(0),
            mean=mean,
            squared_deviations=deviations.square().sum(0),
            largest=_keep_largest(log_weights),
        )

    def merge(self, other: LogWeightStatistics) -> LogWeightStatistics:
        """Merge the statistics of two sets of log-weights of the same images.

        Source for the update of mean and deviations: Chan, Golub and LeVeque (1979), eq. 2.1.
        """
        ours, theirs = (self.count - self.zeros).double(), (other.count - other.zeros).double()
        share = theirs / (ours + theirs).clamp(min=1)
        shift = other.mean - self.mean
        return LogWeightStatistics(
            count=self.count + other.count,
            log_sum=torch.logaddexp(self.log_sum, other.log_sum),
            log_sum_squares=torch.logaddexp(self.log_sum_squares, other.log_sum_squares),
            zeros=self.zeros + other.zeros,
            mean=self.mean + shift * share,
            squared_deviations=self.squared_deviations + other.squared_deviations + shift.square() * ours * share,
            largest=_keep_largest(torch.cat([self.largest, other.largest])),
        )

    @property
    def log_likelihood(self) -> Tensor:
        """Log-mean-exp of the log-weights, [B]."""
        return self.log_sum - math.log(self.count)

    @property
    def effective_sample_size(self) -> Tensor:
        """(sum w)^2 / sum w^2, [B]; 0 where all weights are zero."""
        return (2 * self.log_sum - self.log_sum_squares).exp().nan_to_num(nan=0.0)

    @property
    def log_weight_variance(self) -> Tensor:
        """Variance of the log-weights, [B]; infinite where a weight is zero, NaN for one weight."""
        variance = self.squared_deviations / (self.count - 1) if self.count > 1 else self.mean * torch.nan
        return torch.where(self.zeros > 0, torch.inf, variance)

    @property
    def standard_error(self) -> Tensor:
        """Standard error of `log_likelihood` from the estimator's own randomness, [B]."""
        if self.count == len(self.largest):
            return jackknife_standard_error(self.largest)
        return (1 / self.effective_sample_size - 1 / self.count).clamp(min=0).sqrt()

    def summary(self) -> LogWeightSummary:
        """Estimates and diagnostics of each image."""
        variance = self.log_weight_variance
        k = pareto_k(self.largest, self.count)
        return LogWeightSummary(
            log_likelihood=self.log_likelihood,
            standard_error=self.standard_error,
            mean_log_weight=torch.where(self.zeros > 0, -torch.inf, self.mean),
            effective_sample_size=self.effective_sample_size,
            log_weight_variance=variance,
            pareto_k=k,
            untrusted=is_untrusted(self.log_likelihood, variance, k, self.count),
        )


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Log of the mean of exp(log_weights) over the first dimension, [S, B] to [B], float64; -inf if all are -inf."""
    return without_nonsense(log_weights).logsumexp(0) - math.log(len(log_weights))


def without_nonsense(log_weights: Tensor) -> Tensor:
    """Return log-weights in float64, with NaN and +inf (a density that could not be computed) replaced by -inf."""
    log_weights = log_weights.double()
    return torch.where(log_weights.isnan() | (log_weights == torch.inf), -torch.inf, log_weights)


@cache
def largest_trusted_variance(count: int) -> float:
    """The largest variance of `count` log-weights, S, that is trusted; negative for one weight, which has no variance.

    It is at most 1, and small enough that the one-sided 95 % upper confidence limit of the true variance,
    (S - 1) s^2 / q with q the 5 % quantile of chi-square with S - 1 degrees of freedom, is at most 2. From 18 weights
    on, the first condition is the stricter one. The confidence limit is exact for normal log-weights: of images with a
    true variance of 2, 5 % pass with 2 to 17 weights, fewer with more. For measured log-weights of HAIS up to 6 % pass
    (docs/estimators.md).
    """
    from scipy.special import chdtri  # noqa: PLC0415 - takes half a second that only this call should pay

    if count < 2:
        return -1.0
    return min(VARIANCE_LIMIT, VARIANCE_BOUND * float(chdtri(count - 1, CONFIDENCE)) / (count - 1))


def is_too_uneven(log_weight_variance: Tensor, count: int) -> Tensor:
    """Whether `count` log-weights vary too much to be trusted or are too few to tell (variance NaN), [B]."""
    return ~(log_weight_variance <= largest_trusted_variance(count))


def is_untrusted(log_likelihood: Tensor, log_weight_variance: Tensor, k: Tensor, count: int) -> Tensor:
    """Whether an estimate is untrusted, [B]: weights too uneven or too few to tell, or an estimate that is not finite.

    A k-hat of NaN (too few weights) does not count against it.
    """
    return is_too_uneven(log_weight_variance, count) | (k > PARETO_K_LIMIT) | ~log_likelihood.isfinite()


def jackknife_standard_error(log_weights: Tensor) -> Tensor:
    """Jackknife standard error of the log-mean-exp over the first dimension, [S, B] to [B].

    sqrt((S - 1)/S sum_s (L_s - mean L)^2), with L_s the log-mean-exp of all weights but the s-th. Infinite where at
    most one weight is not zero; NaN for a single weight.

    Source: Efron, The jackknife, the bootstrap and other resampling plans (1982), chapter 3.
    """
    log_weights = without_nonsense(log_weights)
    count = len(log_weights)
    if count < 2:
        return torch.full_like(log_weights[0], torch.nan)
    nothing = torch.full_like(log_weights[:1], -torch.inf)
    # Prefix and suffix sums: subtracting a dominant weight from the whole sum would suffer cancellation.
    before = torch.cat([nothing, log_weights.logcumsumexp(0)[:-1]])
    behind = torch.cat([log_weights.flip(0).logcumsumexp(0).flip(0)[1:], nothing])
    without_one = torch.logaddexp(before, behind) - math.log(count - 1)
    deviations = without_one - without_one.mean(0)
    error = ((count - 1) / count * deviations.square().sum(0)).sqrt()
    return torch.where(without_one.isfinite().all(0), error, torch.inf)


def _keep_largest(log_weights: Tensor) -> Tensor:
    if len(log_weights) <= KEPT_WEIGHTS:
        return log_weights
    return log_weights.topk(KEPT_WEIGHTS, dim=0, sorted=False).values
