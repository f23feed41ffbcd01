"""The `mlp` decoder: fully connected layers that all read the latent variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from iafsweep.config import DecoderConfig, MlpConfig
from iafsweep.models.decoders.base import Decoder
from iafsweep.models.layers import SkipMlp
from iafsweep.models.shapes import ImageShape, pixel_count


@final
class MlpDecoder(Decoder):
    """``logits = W [SkipMlp(z), z]``, without bias or batch norm in the last map."""

    def __init__(
        self, image_shape: ImageShape, latent_size: int, hidden_sizes: Sequence[int], batch_norm_momentum: float | None
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.hidden = SkipMlp(latent_size, hidden_sizes, batch_norm_momentum)
        self.output = nn.Linear(hidden_sizes[-1] + latent_size, pixel_count(image_shape), bias=False)

    @classmethod
    def from_config(
        cls, config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> MlpDecoder:
        """Make the decoder with the sizes in ``config.mlp``."""
        return cls(image_shape, latent_size, config.section(MlpConfig).hidden_sizes, batch_norm_momentum)

    def forward(self, z: Tensor) -> Tensor:
        """Decode z [B, D] to parameters [B, *image_shape]."""
        logits: Tensor = self.output(torch.cat((self.hidden(z), z), dim=-1))
        return logits.reshape(-1, *self.image_shape)
