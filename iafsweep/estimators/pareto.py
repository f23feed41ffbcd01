"""Pareto k-hat: the heaviness of the tail of importance weights.

k is the shape of the generalised Pareto distribution fitted to the largest weights. Below 0.5 the weights have a finite
variance; above 0.7 no affordable number of weights gives a reliable estimate.

The fit is that of Zhang and Stephens (2009), A new and efficient estimation method for the generalized Pareto
distribution, with the prior on k of Vehtari et al. It is computed in logarithms throughout, so that weights of any
magnitude remain distinguishable.

Source: Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling (2024), arXiv:1507.02646.
"""

import math

import torch
from torch import Tensor

FEWEST_WEIGHTS = 25
"""With fewer weights the tail has fewer than 5 of them, and k-hat is NaN."""

ROUNDING = 1e-3
"""Log-weights closer than this count as equal, because they are sums of float32 densities; nats."""

_PRIOR_WEIGHTS, _PRIOR_K = 10, 0.5
_PRIOR_SCALE = 3


def tail_length(count: int) -> int:
    """Tail size for `count` weights: 3 sqrt(count), or a fifth of them if that is less (count up to 225)."""
    return math.floor(3 * math.sqrt(count)) if count > 225 else count // 5


def pareto_k(largest: Tensor, count: int) -> Tensor:
    """Pareto k-hat of each image's weights, [B], float64.

    NaN where it is undefined: fewer than 25 weights, a tail of equal weights, a tail whose first quarter is zero
    weights, or too few of the largest weights to cover the tail.

    Args:
        largest: the largest log-weights of each image, [M, B]; all of them (M = `count`) or at least
            `tail_length(count)` + 1.
        count: total number of log-weights per image, S.
    """
    tail = tail_length(count)
    if count < FEWEST_WEIGHTS or len(largest) <= tail:
        return torch.full(largest.shape[1:], torch.nan, dtype=torch.float64, device=largest.device)
    rising = largest.detach().double().topk(tail + 1, dim=0).values.flip(0)
    cutoff, weights = rising[0], rising[1:]
    # Log of each weight's excess over the cutoff; -inf where both weights are zero.
    excess = (weights + _log_one_minus_exp(cutoff - weights)).nan_to_num(nan=-torch.inf, neginf=-torch.inf)
    quartile = torch.maximum(excess[int(tail / 4 + 0.5) - 1], cutoff + math.log(ROUNDING))
    k = _shape(excess - excess[-1], excess[-1] - quartile)
    return torch.where(weights[0] < weights[-1], k, torch.nan)


def _shape(y: Tensor, spread: Tensor) -> Tensor:
    """Posterior mean of k, [B].

    Zhang and Stephens' grid has b x_n = 1 - e^u, with u = log((sqrt(m / (j - 1/2)) - 1) / 3) + log(x_n / x_q), so that
    1 - b x_i = (1 - e^y_i) + e^(u + y_i): a sum of two positive terms, whatever the sign of b.

    Args:
        y: log(x_i / x_n) of the excesses x_i over the cutoff, increasing to 0, [n, B].
        spread: log(x_n / x_q) for the first quartile x_q, [B].
    """
    below = _log_one_minus_exp(y)
    points = 30 + int(math.sqrt(len(y)))
    places = torch.arange(1, points + 1, dtype=y.dtype, device=y.device) - 0.5
    u = ((points / places).sqrt() - 1).div(_PRIOR_SCALE).log().unsqueeze(1) + spread
    k = torch.stack([torch.logaddexp(below, each + y).mean(0) for each in u])
    log_b = u.clamp(min=0) + _log_one_minus_exp(-u.abs())
    log_posterior = (len(y) * (log_b - k.abs().log() - k)).log_softmax(0)
    k = torch.logaddexp(below, (log_posterior + u).logsumexp(0) + y).mean(0)
    return (len(y) * k + _PRIOR_WEIGHTS * _PRIOR_K) / (len(y) + _PRIOR_WEIGHTS)


def _log_one_minus_exp(x: Tensor) -> Tensor:
    """log(1 - e^x) for x <= 0."""
    return (-x.expm1()).log()
