"""Base classes of likelihoods, the densities of an image given the decoder's output."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models.passes import Passes


class Likelihood(nn.Module, ABC):
    """p(x|z) of images x with integer levels 0 to L - 1, in nats; the decoder gives its parameters.

    Args:
        image: shape and levels of the images.
        maps: M, parameters per pixel; the decoder's output is [..., M, height, width].
        noise_maps: U, uniform numbers from 0 to 1 that it takes to draw a pixel.

    Attributes:
        is_autoregressive: whether pixels depend on those before them, given z.
    """

    is_autoregressive = False

    def __init__(self, image: ImageFormat, maps: int, noise_maps: int) -> None:
        super().__init__()
        self.image = image
        self.maps = maps
        self.noise_maps = noise_maps

    @property
    def parameter_shape(self) -> tuple[int, int, int]:
        """Shape of the decoder's output for one image."""
        return self.maps, *self.image.shape[1:]

    @property
    def row_numbers(self) -> int:
        """Memory that the density of one image takes, as an equivalent number of decoder outputs."""
        return math.prod(self.parameter_shape)

    @abstractmethod
    def log_density(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return log p(x|z), nats per image: x [B, *shape], parameters [..., B, *parameter_shape] to [..., B]."""

    @abstractmethod
    def from_noise(self, parameters: Tensor, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Turn uniform noise [..., U, height, width] into exact draws of p(x|z), levels [..., *shape].

        Args:
            parameters: [..., *parameter_shape].
            noise: from :meth:`noise`, on the device of the parameters.
            passes: progress callback, called if more than one pass of a network is needed.
        """

    @abstractmethod
    def picture(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Return images of p(x|z), [..., *shape], as shares of the largest level, 0 to 1: the means, or else a draw."""

    @abstractmethod
    def most_probable(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the most probable level of each value of x given the values of x before it, both [B, *shape].

        Values of one pixel are ordered by channel; the likelihood determines which other pixels come before it, if any.
        """

    def noise(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the noise for :meth:`from_noise` on the generator's device, and move it to that of the parameters."""
        shape = (*parameters.shape[:-3], self.noise_maps, *parameters.shape[-2:])
        return torch.rand(shape, generator=generator, device=generator.device).to(parameters.device)

    def sample(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Draw levels [..., *shape] from parameters [..., *parameter_shape], with noise from the generator's device."""
        return self.from_noise(parameters, self.noise(parameters, generator), passes)


class PixelLikelihood(Likelihood, ABC):
    """Base class of likelihoods of pixels that are independent given their parameters (``model.likelihood.kind``).

    Args:
        image: shape and levels of the images.
        channel_of_map: for each of the M maps, the first channel whose probability depends on it.
        noise_maps: U.
    """

    def __init__(self, image: ImageFormat, channel_of_map: tuple[int, ...], noise_maps: int) -> None:
        super().__init__(image, len(channel_of_map), noise_maps)
        self.channel_of_map = channel_of_map

    @classmethod
    @abstractmethod
    def from_config(cls, config: LikelihoodConfig, image: ImageFormat) -> PixelLikelihood:
        """Make the likelihood with the sizes in its own section of ``config``.

        Raises:
            ValueError: the likelihood does not fit images of this format.
        """

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the mean of every value as a share of the largest level, 0 to 1, [..., *shape]."""

    def picture(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Return the means."""
        return self.mean(parameters)


def centred(x: Tensor, levels: int) -> Tensor:
    """Scale levels from the range 0 to L - 1 to the range -1 to 1."""
    return x * (2 / (levels - 1)) - 1
