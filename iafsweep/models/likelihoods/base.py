"""What every likelihood is: the density of an image, given what the decoder says of its pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat, LikelihoodConfig


class Likelihood(nn.Module, ABC):
    """p(x|z) of images x of whole levels 0 to L - 1, its parameters given by the decoder, in nats.

    Args:
        image: shape and levels of the images.
        maps: M, how many parameters a pixel has: what the decoder gives is [..., M, height, width].
    """

    def __init__(self, image: ImageFormat, maps: int) -> None:
        super().__init__()
        self.image = image
        self.maps = maps

    @property
    def parameter_shape(self) -> tuple[int, int, int]:
        """Shape of what the decoder gives for one image."""
        return self.maps, *self.image.shape[1:]

    @classmethod
    @abstractmethod
    def from_config(cls, config: LikelihoodConfig, image: ImageFormat) -> Likelihood:
        """Make the likelihood with the sizes its own section of ``config`` gives.

        Raises:
            ValueError: it is no likelihood of images of this format.
        """

    @abstractmethod
    def log_density(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return log p(x|z), nats per image: x [B, *shape], parameters [..., B, *parameter_shape] to [..., B]."""

    @abstractmethod
    def sample(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw levels [..., *shape] from parameters [..., *parameter_shape]; noise on the generator's device."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return what to show of p(x|z): the mean of every value as a share of the largest, 0 to 1, [..., *shape]."""


def centred(x: Tensor, levels: int) -> Tensor:
    """Return levels 0 to L - 1 from -1 to 1."""
    return x * (2 / (levels - 1)) - 1


def uniform(parameters: Tensor, maps: int, generator: torch.Generator) -> Tensor:
    """Return uniform noise from 0 to 1, ``maps`` values for each pixel of parameters [..., M, height, width]."""
    shape = (*parameters.shape[:-3], maps, *parameters.shape[-2:])
    return torch.rand(shape, generator=generator, device=generator.device).to(parameters.device)
