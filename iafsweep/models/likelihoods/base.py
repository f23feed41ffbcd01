"""What every likelihood is: the density of an image, given what the decoder says of its pixels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models.passes import Passes


class Likelihood(nn.Module, ABC):
    """p(x|z) of images x of whole levels 0 to L - 1, its parameters given by the decoder, in nats.

    Args:
        image: shape and levels of the images.
        maps: M, how many parameters a pixel has: what the decoder gives is [..., M, height, width].
        noise_maps: U, how many uniform numbers from 0 to 1 a pixel is drawn by.

    Attributes:
        is_autoregressive: whether pixels follow each other, given z.
    """

    is_autoregressive = False

    def __init__(self, image: ImageFormat, maps: int, noise_maps: int) -> None:
        super().__init__()
        self.image = image
        self.maps = maps
        self.noise_maps = noise_maps

    @property
    def parameter_shape(self) -> tuple[int, int, int]:
        """Shape of what the decoder gives for one image."""
        return self.maps, *self.image.shape[1:]

    @property
    def row_numbers(self) -> int:
        """How much memory the density of one image takes, as numbers that a decoder would give."""
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
            passes: hears how far it is, where more than one pass of a network is needed.
        """

    @abstractmethod
    def picture(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Return what to show of p(x|z), shares of the largest level, 0 to 1, [..., *shape]: means, or else a draw."""

    @abstractmethod
    def most_probable(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the most probable level of each value of x given the values of x before it, [B, *shape] alike.

        Values of one pixel are ordered by channel; whether other pixels come before it is the likelihood's.
        """

    def noise(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the noise that :meth:`from_noise` takes, on the generator's device, for the parameters' device."""
        shape = (*parameters.shape[:-3], self.noise_maps, *parameters.shape[-2:])
        return torch.rand(shape, generator=generator, device=generator.device).to(parameters.device)

    def sample(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Draw levels [..., *shape] from parameters [..., *parameter_shape]; noise on the generator's device."""
        return self.from_noise(parameters, self.noise(parameters, generator), passes)


class PixelLikelihood(Likelihood, ABC):
    """Pixels that are independent given their parameters: the base of every member of ``model.likelihood.kind``.

    Args:
        image: shape and levels of the images.
        channel_of_map: of each of the M maps, the first channel whose probability it enters.
        noise_maps: U.
    """

    def __init__(self, image: ImageFormat, channel_of_map: tuple[int, ...], noise_maps: int) -> None:
        super().__init__(image, len(channel_of_map), noise_maps)
        self.channel_of_map = channel_of_map

    @classmethod
    @abstractmethod
    def from_config(cls, config: LikelihoodConfig, image: ImageFormat) -> PixelLikelihood:
        """Make the likelihood with the sizes its own section of ``config`` gives.

        Raises:
            ValueError: it is no likelihood of images of this format.
        """

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return the mean of every value as a share of the largest, 0 to 1, [..., *shape]."""

    def picture(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Return the means."""
        return self.mean(parameters)


def centred(x: Tensor, levels: int) -> Tensor:
    """Return levels 0 to L - 1 from -1 to 1."""
    return x * (2 / (levels - 1)) - 1
