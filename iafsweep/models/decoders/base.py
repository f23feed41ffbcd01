"""Base class of decoders, which map latent variables to the parameters of the pixels' likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from iafsweep.config import DecoderConfig
from iafsweep.models.shapes import ImageShape


class Decoder(nn.Module, ABC):
    """Maps latent variables to likelihood parameters: with a Bernoulli likelihood, one map of logits per channel."""

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> Decoder:
        """Make the decoder with the sizes in its own section of ``config``.

        Args:
            config: the configuration of the decoder.
            image_shape: shape of the output: maps (the likelihood's parameters of a pixel), height, width.
            latent_size: D.
            batch_norm_momentum: weight of the newest batch in the moving averages; None: no batch norm.
        """

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Decode z [B, D] to parameters [B, *image_shape]."""
