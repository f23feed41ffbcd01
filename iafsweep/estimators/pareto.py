"""Pareto k-hat: how heavy the tail of importance weights is.

k is the shape of the generalised Pareto distribution fitted to the largest weights. Below 0.5 the weights have a
variance; above 0.7 an estimate from any affordable number of them is not reliable.

Source: Vehtari, Simpson, Gelman, Yao and Gabry, Pareto smoothed importance sampling (2024), arXiv:1507.02646.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FEWEST_WEIGHTS = 25
"""Below so many weights the tail has fewer than 5 of them, and no k-hat."""


def tail_length(count: int) -> int:
    """Weights in the tail of `count`: 3 sqrt(count), or a fifth where that is less (count up to 225)."""
    return math.floor(3 * math.sqrt(count)) if count > 225 else count // 5


def pareto_k(largest: Tensor, count: int) -> Tensor:
    """Pareto k-hat of each image's weights, [B], float64.

    NaN where it cannot be had: fewer than 25 weights, a tail of equal weights (there is no tail), or fewer of the
    largest weights than the tail takes.

    Args:
        largest: the largest log-weights of each image, [M, B]; all of them (M = `count`) or at least
            `tail_length(count)` + 1.
        count: how many log-weights an image there were in all, S.
    """
    # SciPy comes with it, a second: not every import of the package shall pay.
    from arviz_stats.base.array import array_stats  # noqa: PLC0415

    fit: Callable[..., float] = array_stats.pareto_khat
    columns = largest.detach().double().cpu().numpy().T
    k = np.full(len(columns), np.nan)
    tail = tail_length(count)
    if count >= FEWEST_WEIGHTS and (len(largest) == count or len(largest) > tail):
        with np.errstate(all="ignore"):  # a degenerate tail divides by zero and gives NaN, as it should
            for image, log_weights in enumerate(columns):
                weights = _padded_weights(log_weights, count)
                if np.ptp(weights[-tail:]) > np.finfo(float).tiny:
                    k[image] = fit(weights, chain_axis=None, draw_axis=-1, r_eff=1.0, tail="right")
    return torch.from_numpy(k).to(largest.device)


def _padded_weights(log_weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """All `count` weights in rising order, scaled to a largest of 1; those not kept stand in as the smallest kept one.

    The fit reads the tail, the largest value below it, and how many there are: none of these is changed.
    """
    log_weights = np.sort(log_weights)
    weights = np.exp(log_weights - log_weights[-1])
    return np.concatenate([np.full(count - len(weights), weights[0]), weights])
