"""What every decoder is: latent variables to the parameters of the pixels' likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from iafsweep.config import DecoderConfig
from iafsweep.models.shapes import ImageShape


class Decoder(nn.Module, ABC):
    """Maps latent variables to parameters of the likelihood: of a Bernoulli likelihood logits, a map a channel."""

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> Decoder:
        """Make the decoder with the sizes its own section of ``config`` gives.

        Args:
            config: of all decoders.
            image_shape: of what it gives: maps (the likelihood's parameters of a pixel), height, width.
            latent_size: D.
            batch_norm_momentum: weight of the newest batch.
        """

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Decode z [B, D] to parameters [B, *image_shape]."""
