"""The `mlp` encoder: fully connected layers that all read the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from iafsweep.config import EncoderConfig, MlpConfig
from iafsweep.models.encoders.base import Encoder, EncoderOutput, split_output
from iafsweep.models.layers import NormalisedLinear, SkipMlp
from iafsweep.models.shapes import ImageShape, pixel_count


@final
class MlpEncoder(Encoder):
    """``hidden = SkipMlp(x)``, ``[mean, log_std] = BN(W [hidden, x])``."""

    def __init__(
        self, image_shape: ImageShape, latent_size: int, hidden_sizes: Sequence[int], batch_norm_momentum: float | None
    ) -> None:
        super().__init__()
        pixels = pixel_count(image_shape)
        self.hidden_size = hidden_sizes[-1]
        self.hidden = SkipMlp(pixels, hidden_sizes, batch_norm_momentum)
        self.output = NormalisedLinear(self.hidden_size + pixels, 2 * latent_size, batch_norm_momentum)

    @classmethod
    def from_config(
        cls, config: EncoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> MlpEncoder:
        """Make the encoder with the sizes in ``config.mlp``."""
        return cls(image_shape, latent_size, config.section(MlpConfig).hidden_sizes, batch_norm_momentum)

    def forward(self, x: Tensor) -> EncoderOutput:
        """Encode x [B, *image_shape]."""
        pixels = x.flatten(1)
        hidden: Tensor = self.hidden(pixels)
        return split_output(self.output(torch.cat((hidden, pixels), dim=-1)), hidden)
