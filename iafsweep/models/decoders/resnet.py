"""The `resnet` decoder: six residual blocks, the default of the reference recipe."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.config import DecoderConfig
from iafsweep.config.model import ResnetDecoderConfig
from iafsweep.models.decoders.base import Decoder
from iafsweep.models.layers import image_batch_norm
from iafsweep.models.residual import doubling_block, plain_block
from iafsweep.models.shapes import ImageShape, cropped, quarter_size


@final
class ResnetDecoder(Decoder):
    """A transposed convolution to a quarter of the size, then six pre-activation blocks; the third and fifth double it.

    ``logits = conv1x1(BN(blocks(ELU(transposed(z)))))``.

    Images whose height or width is not a multiple of four are cropped from the next multiple.
    """

    def __init__(self, image_shape: ImageShape, latent_size: int, maps: int, batch_norm_momentum: float | None) -> None:
        super().__init__()
        self.image_shape = image_shape
        bias = batch_norm_momentum is None
        self.entry = nn.ConvTranspose2d(latent_size, maps, quarter_size(image_shape), bias=bias)
        self.blocks = nn.Sequential(
            plain_block(maps, batch_norm_momentum),
            plain_block(maps, batch_norm_momentum),
            doubling_block(maps, batch_norm_momentum),
            plain_block(maps, batch_norm_momentum),
            doubling_block(maps, batch_norm_momentum),
            plain_block(maps, batch_norm_momentum),
        )
        self.norm = image_batch_norm(maps, batch_norm_momentum)
        self.output = nn.Conv2d(maps, image_shape[0], 1)

    @classmethod
    def from_config(
        cls, config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> ResnetDecoder:
        """Make the decoder with the sizes in ``config.resnet``."""
        return cls(image_shape, latent_size, config.section(ResnetDecoderConfig).maps, batch_norm_momentum)

    def forward(self, z: Tensor) -> Tensor:
        """Decode z [B, D] to parameters [B, *image_shape]."""
        maps = F.elu(self.entry(z[:, :, None, None]))
        return cropped(self.output(self.norm(self.blocks(maps))), self.image_shape)
