"""The `gated_conv` encoder: six gated convolutions, no batch norm (van den Berg et al. 2018, arXiv:1803.05649)."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from iafsweep.config import EncoderConfig
from iafsweep.config.model import GatedConvEncoderConfig
from iafsweep.models.encoders.base import Encoder, EncoderOutput, split_output
from iafsweep.models.gated import gated_conv, gated_valid_conv
from iafsweep.models.shapes import ImageShape, padded, quarter_size

_KERNEL = 5


@final
class GatedConvEncoder(Encoder):
    """Gated convolutions down to one position, the last hidden layer, then a linear map with bias to mean and log std.

    Images whose height or width is not a multiple of four are padded with zeros, evenly on both sides.
    """

    def __init__(self, image_shape: ImageShape, latent_size: int, maps: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.convolutions = nn.Sequential(
            gated_conv(image_shape[0], maps, _KERNEL),
            gated_conv(maps, maps, _KERNEL, stride=2),
            gated_conv(maps, 2 * maps, _KERNEL),
            gated_conv(2 * maps, 2 * maps, _KERNEL, stride=2),
            gated_conv(2 * maps, 2 * maps, _KERNEL),
            gated_valid_conv(2 * maps, hidden_size, quarter_size(image_shape)),
        )
        self.output = nn.Linear(hidden_size, 2 * latent_size)

    @classmethod
    def from_config(
        cls, config: EncoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
    ) -> GatedConvEncoder:
        """Make the encoder with the sizes in ``config.gated_conv``; without batch norm, the momentum is not used."""
        sizes = config.section(GatedConvEncoderConfig)
        return cls(image_shape, latent_size, sizes.maps, sizes.hidden_size)

    def forward(self, x: Tensor) -> EncoderOutput:
        """Encode x [B, *image_shape]."""
        hidden: Tensor = self.convolutions(padded(x)).flatten(1)
        return split_output(self.output(hidden), hidden)
