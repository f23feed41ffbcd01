"""The `gated_conv` decoder: six gated transposed convolutions (van den Berg et al. 2018, arXiv:1803.05649)."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from iafsweep.config import DecoderConfig
from iafsweep.config.model import GatedConvDecoderConfig
from iafsweep.models.decoders.base import Decoder
from iafsweep.models.gated import gated_transposed_conv, gated_valid_transposed_conv
from iafsweep.models.shapes import ImageShape, cropped, quarter_size

_KERNEL = 5


@final
class GatedConvDecoder(Decoder):
    """Gated transposed convolutions from one position up to the image, then a 1x1 convolution; no batch norm.

    Images whose height or width is not a multiple of four are cropped from the next multiple.
    """

    def __init__(self, image_shape: ImageShape, latent_size: int, maps: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.convolutions = nn.Sequential(
            gated_valid_transposed_conv(latent_size, 2 * maps, quarter_size(image_shape)),
            gated_transposed_conv(2 * maps, 2 * maps, _KERNEL),
            gated_transposed_conv(2 * maps, maps, _KERNEL, stride=2),
            gated_transposed_conv(maps, maps, _KERNEL),
            gated_transposed_conv(maps, maps, _KERNEL, stride=2),
            gated_transposed_conv(maps, maps, _KERNEL),
        )
        self.output = nn.Conv2d(maps, image_shape[0], 1)

    @classmethod
    def from_config(
        cls, config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> GatedConvDecoder:
        """Make the decoder with the sizes in ``config.gated_conv``; without batch norm, the momentum is not used."""
        return cls(image_shape, latent_size, config.section(GatedConvDecoderConfig).maps)

    def forward(self, z: Tensor) -> Tensor:
        """Decode z [B, D] to parameters [B, *image_shape]."""
        return cropped(self.output(self.convolutions(z[:, :, None, None])), self.image_shape)
