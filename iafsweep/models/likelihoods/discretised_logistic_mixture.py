"""The `discretised_logistic_mixture` likelihood of PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517)."""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.config.model import MixtureConfig
from iafsweep.models.likelihoods.base import PixelLikelihood, centred
from iafsweep.models.likelihoods.discretised_logistic import drawn_level, log_probability
from iafsweep.models.passes import Passes


class _Mixture(NamedTuple):
    """Parameters of every pixel's components; the dimension of K components follows that of C channels.

    Attributes:
        logits: of the components, [..., K, height, width].
        means: [..., C, K, height, width], without what earlier channels add to those of later ones.
        log_scales: [..., C, K, height, width].
        slopes: from -1 to 1, factors of a value in the means of later channels, [..., C (C - 1) / 2, K, height, width].
    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    slopes: Tensor

    def added(self, channel: int, value: Tensor) -> Tensor:
        """Return what earlier channels of centred values [..., C, K or 1, height, width] add to a channel's mean."""
        first = channel * (channel - 1) // 2
        slopes = self.slopes[..., first : first + channel, :, :, :]
        return (slopes * value[..., :channel, :, :, :]).sum(-4)


@final
class DiscretisedLogisticMixture(PixelLikelihood):
    """``p(x|z) = prod over pixels of sum_k w_k prod_c p(x_c | x_1 ... x_(c-1), k)``, p a discretised logistic.

    The mean of a channel is linear in the pixel's earlier channels: ``m_c + sum_(d<c) tanh(s_cd) x_d``.

    Args:
        image: shape and levels.
        components: K; a pixel has K (1 + 2 C + C (C - 1) / 2) parameters.
    """

    def __init__(self, image: ImageFormat, components: int) -> None:
        channels = image.shape[0]
        sizes = (1, channels, channels, channels * (channels - 1) // 2)
        slopes = [channel for channel in range(channels) for _ in range(channel)]
        channel_of = (0, *range(channels), *range(channels), *slopes)
        super().__init__(image, tuple(each for each in channel_of for _ in range(components)), 1 + channels)
        self.components = components
        self._sizes = sizes

    @classmethod
    def from_config(cls, config: LikelihoodConfig, image: ImageFormat) -> DiscretisedLogisticMixture:
        """Make the likelihood with the number of components in its own section."""
        return cls(image, config.section(MixtureConfig).components)

    def log_density(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return log p(x|z), nats per image."""
        mixture, levels = self._mixture(parameters), self.image.levels
        x = x.unsqueeze(-3)
        value = centred(x, levels)
        means = mixture.means
        if self.image.shape[0] > 1:
            means = torch.stack(
                [means[..., c, :, :, :] + mixture.added(c, value) for c in range(self.image.shape[0])], dim=-4
            )
        of_components = log_probability(x, means, mixture.log_scales, levels).sum(-4)
        return (mixture.logits.log_softmax(-3) + of_components).logsumexp(-3).flatten(-2).sum(-1)

    def from_noise(self, parameters: Tensor, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Draw levels: for every pixel the component, then one channel after the other."""
        mixture, channels = self._mixture(parameters), self.image.shape[0]
        noise = noise.to(parameters.dtype)
        chances = mixture.logits.softmax(-3).cumsum(-3)
        chosen = (noise[..., :1, :, :] >= chances).sum(-3, keepdim=True).clamp(max=self.components - 1)
        mixture = _Mixture(*(_of(each, chosen) for each in mixture))
        values = torch.zeros_like(mixture.means)  # [..., C, 1, height, width]
        levels = []
        for channel in range(channels):
            mean = mixture.means[..., channel, :, :, :] + mixture.added(channel, values)
            log_scale = mixture.log_scales[..., channel, :, :, :]
            levels.append(drawn_level(noise[..., 1 + channel, None, :, :], mean, log_scale, self.image.levels))
            values[..., channel, :, :, :] = centred(levels[-1], self.image.levels)
        return torch.cat(levels, dim=-3)

    def most_probable(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the most probable level of each channel, given the earlier channels of x."""
        mixture, count = self._mixture(parameters), self.image.levels
        values = torch.arange(count, dtype=parameters.dtype, device=parameters.device)[:, None, None, None]
        log_weights, x = mixture.logits.log_softmax(-3), x.unsqueeze(-3)
        found = []
        for channel in range(self.image.shape[0]):
            mean = mixture.means[..., channel, :, :, :] + mixture.added(channel, centred(x, count))
            log_scale = mixture.log_scales[..., channel, :, :, :]
            of_levels = log_probability(values, mean.unsqueeze(-4), log_scale.unsqueeze(-4), count)
            found.append((log_weights.unsqueeze(-4) + of_levels).logsumexp(-3).argmax(-3).to(x.dtype))
            log_weights = log_weights + log_probability(x[..., channel, :, :, :], mean, log_scale, count)
        return torch.stack(found, dim=-3)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the means of the mixtures, with each logistic's mean clamped to the range from black to white."""
        mixture = self._mixture(parameters)
        values = torch.zeros_like(mixture.means)
        for channel in range(self.image.shape[0]):
            mean = mixture.means[..., channel, :, :, :] + mixture.added(channel, values)
            values[..., channel, :, :, :] = mean.clamp(-1, 1)
        mixed = (mixture.logits.softmax(-3).unsqueeze(-4) * values).sum(-3)
        return (mixed / 2 + 0.5).clamp(0, 1)  # the weights sum to one up to rounding

    def _mixture(self, parameters: Tensor) -> _Mixture:
        by_component = parameters.unflatten(-3, (sum(self._sizes), self.components))
        logits, means, log_scales, slopes = by_component.split(self._sizes, dim=-4)
        return _Mixture(logits.squeeze(-4), means, log_scales, slopes.tanh())


def _of(parameters: Tensor, chosen: Tensor) -> Tensor:
    """Select from parameters [..., K, height, width] the component ``chosen`` [..., 1, height, width]; K becomes 1."""
    if parameters.dim() > chosen.dim():
        chosen = chosen.unsqueeze(-4).expand(*parameters.shape[:-3], 1, *parameters.shape[-2:])
    return parameters.gather(-3, chosen)
