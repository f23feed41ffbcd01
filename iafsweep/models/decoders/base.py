"""What every decoder is: latent variables to the logits of an image's pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from iafsweep.config import DecoderConfig
from iafsweep.models.shapes import ImageShape


class Decoder(nn.Module, ABC):
    """Maps latent variables to Bernoulli logits."""

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> Decoder:
        """Make the decoder with the sizes its own section of ``config`` gives."""

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Decode z [B, D] to logits [B, *image_shape]."""
