"""Base class of encoders, which map an image to the parameters of its base Gaussian and a hidden layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

from iafsweep.config import EncoderConfig
from iafsweep.models.shapes import ImageShape


class EncoderOutput(NamedTuple):
    """What an encoder returns.

    Attributes:
        mean: mean of the base Gaussian, [B, D].
        log_std: logarithm of its standard deviation before the posterior offset is added, [B, D].
        hidden: last hidden layer, [B, H]; the flow's context is computed from it.
    """

    mean: Tensor
    log_std: Tensor
    hidden: Tensor


class Encoder(nn.Module, ABC):
    """Maps images to the parameters of the posterior's base Gaussian.

    Attributes:
        hidden_size: H, size of the last hidden layer.
    """

    hidden_size: int

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: EncoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> Encoder:
        """Make the encoder with the sizes in its own section of ``config``."""

    @abstractmethod
    def forward(self, x: Tensor) -> EncoderOutput:
        """Encode x [B, *image_shape]."""


def split_output(output: Tensor, hidden: Tensor) -> EncoderOutput:
    """Split the output layer [B, 2D] into mean and log standard deviation."""
    mean, log_std = output.chunk(2, dim=-1)
    return EncoderOutput(mean, log_std, hidden)
