"""The `discretised_logistic` likelihood: values are independent logistics (Kingma et al. 2016, arXiv:1606.04934)."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models.likelihoods.base import PixelLikelihood, centred
from iafsweep.models.passes import Passes

MOST_LOG_SCALE = 7.0
"""Log-scales are clamped to [-7, 7]: from a logistic far narrower than a bin to one that is flat."""


@final
class DiscretisedLogistic(PixelLikelihood):
    """``p(x = l) = F(l + 1/2) - F(l - 1/2)``, F the CDF of a logistic with a mean and a scale for each value.

    Maps: the means of all channels, then the logarithms of their scales; levels are scaled to [-1, 1].
    """

    def __init__(self, image: ImageFormat) -> None:
        super().__init__(image, 2 * tuple(range(image.shape[0])), image.shape[0])

    @classmethod
    def from_config(cls, config: LikelihoodConfig, image: ImageFormat) -> DiscretisedLogistic:
        """Make the likelihood; it has no sizes."""
        return cls(image)

    def log_density(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return log p(x|z), nats per image."""
        mean, log_scale = parameters.chunk(2, dim=-3)
        return log_probability(x, mean, log_scale, self.image.levels).flatten(-3).sum(-1)

    def from_noise(self, parameters: Tensor, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Draw levels."""
        mean, log_scale = parameters.chunk(2, dim=-3)
        return drawn_level(noise, mean, log_scale, self.image.levels)

    def most_probable(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the levels of the most probable bins; the bins at the ends include the tails."""
        mean, log_scale = parameters.unsqueeze(-4).chunk(2, dim=-3)
        levels = torch.arange(self.image.levels, dtype=mean.dtype, device=mean.device)[:, None, None, None]
        return log_probability(levels, mean, log_scale, self.image.levels).argmax(-4).to(mean.dtype)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the means of the logistics, clamped to the range from black to white."""
        mean, _ = parameters.chunk(2, dim=-3)
        return mean.clamp(-1, 1) / 2 + 0.5


def log_probability(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Return the log probability of each level, nats (Salimans et al. 2017, arXiv:1701.05517).

    With v = x scaled to [-1, 1], h = 1 / (L - 1) half a bin, s the scale, ``b = (v - mean + h) / s`` and
    ``a = (v - mean - h) / s``: ``log p = log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) +
    log(1 - exp(a - b))``, which avoids cancellation. The first bin has no lower end and the last no upper one, so the
    probabilities of all levels sum to one.

    Args:
        x: integer levels 0 to L - 1, broadcastable to the parameters.
        mean: any shape.
        log_scale: logarithm of s, any shape; clamped to [-7, 7].
        levels: L.
    """
    half = 1 / (levels - 1)
    rate = (-log_scale.clamp(-MOST_LOG_SCALE, MOST_LOG_SCALE)).exp()
    distance = centred(x, levels) - mean
    is_first, is_last = x == 0, x == levels - 1
    below_upper_end = F.logsigmoid(rate * (distance + half)).masked_fill(is_last, 0)
    above_lower_end = F.logsigmoid(rate * (half - distance)).masked_fill(is_first, 0)
    width = (-torch.expm1(-2 * half * rate)).log().masked_fill(is_first | is_last, 0)
    return below_upper_end + above_lower_end + width


def drawn_level(noise: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Return levels drawn with uniform noise from 0 to 1: logistics, rounded and clamped to the levels."""
    scale = log_scale.clamp(-MOST_LOG_SCALE, MOST_LOG_SCALE).exp()
    value = mean + scale * noise.to(mean.dtype).logit()
    return ((value + 1) * ((levels - 1) / 2)).round().clamp(0, levels - 1)
