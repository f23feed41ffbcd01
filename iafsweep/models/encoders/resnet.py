"""The `resnet` encoder: six residual blocks, the default of the reference recipe."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.config import EncoderConfig
from iafsweep.config.model import ResnetEncoderConfig
from iafsweep.models.encoders.base import Encoder, EncoderOutput, split_output
from iafsweep.models.layers import NormalisedLinear, image_batch_norm
from iafsweep.models.residual import entry_block, halving_block, plain_block
from iafsweep.models.shapes import ImageShape, padded, quarter_size


@final
class ResnetEncoder(Encoder):
    """Six pre-activation blocks, of which the third and fifth halve the image, then BN and two normalised linear maps.

    ``hidden = ELU(BN(W flatten(BN(blocks(x)))))``, ``[mean, log_std] = BN(V hidden)``.

    Images whose height or width is not a multiple of four are padded with zeros, evenly on both sides.
    """

    def __init__(
        self, image_shape: ImageShape, latent_size: int, maps: int, hidden_size: int, batch_norm_momentum: float | None
    ) -> None:
        super().__init__()
        height, width = quarter_size(image_shape)
        self.hidden_size = hidden_size
        self.blocks = nn.Sequential(
            entry_block(image_shape[0], maps, batch_norm_momentum),
            plain_block(maps, batch_norm_momentum),
            halving_block(maps, batch_norm_momentum),
            plain_block(maps, batch_norm_momentum),
            halving_block(maps, batch_norm_momentum),
            plain_block(maps, batch_norm_momentum),
        )
        self.norm = image_batch_norm(maps, batch_norm_momentum)
        self.hidden = NormalisedLinear(maps * height * width, hidden_size, batch_norm_momentum)
        self.dropout = nn.Dropout(0.0)
        self.output = NormalisedLinear(hidden_size, 2 * latent_size, batch_norm_momentum)

    @classmethod
    def from_config(
        cls, config: EncoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> ResnetEncoder:
        """Make the encoder with the sizes in ``config.resnet``."""
        sizes = config.section(ResnetEncoderConfig)
        return cls(image_shape, latent_size, sizes.maps, sizes.hidden_size, batch_norm_momentum)

    def forward(self, x: Tensor) -> EncoderOutput:
        """Encode x [B, *image_shape]."""
        maps: Tensor = self.norm(self.blocks(padded(x)))
        hidden = self.dropout(F.elu(self.hidden(maps.flatten(1))))
        return split_output(self.output(hidden), hidden)
