"""Log densities, in nats, summed over the last dimension.

All broadcast: a sample of shape [S, B, D] goes with parameters of shape [B, D].
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

_LOG_TWO_PI = math.log(2 * math.pi)


def standard_normal_log_density(x: Tensor) -> Tensor:
    """Return ``log N(x; 0, I)`` in nats: x [..., D] to [...]."""
    return -0.5 * (x.square() + _LOG_TWO_PI).sum(-1)


def diagonal_normal_log_density(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return ``log N(x; mean, diag(exp(log_std))^2)`` in nats.

    Args:
        x: points, [..., D].
        mean: broadcastable to x.
        log_std: logarithm of the standard deviations, broadcastable to x.

    Returns:
        [...], the leading dimensions of x and the parameters, broadcast.
    """
    standardised = (x - mean) * (-log_std).exp()
    return (-0.5 * (standardised.square() + _LOG_TWO_PI) - log_std).sum(-1)


def bernoulli_log_density(x: Tensor, logits: Tensor) -> Tensor:
    """Return ``sum x log p + (1 - x) log(1 - p)`` with ``p = sigmoid(logits)``, in nats.

    Stable for logits of any size, since no probability is computed. The caller flattens the images.

    Args:
        x: values in [0, 1], broadcastable to logits; expanded as a view, never copied.
        logits: [..., X]; they determine the dtype.

    Returns:
        [...], the leading dimensions of logits.
    """
    target = x.to(logits.dtype).expand_as(logits)
    return -F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)
