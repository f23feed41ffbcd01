"""Decoders: ``base`` what all are · ``resnet`` · ``gated_conv`` · ``mlp``."""

from __future__ import annotations

from iafsweep.config import DecoderConfig
from iafsweep.models.decoders.base import Decoder
from iafsweep.models.decoders.gated_conv import GatedConvDecoder
from iafsweep.models.decoders.mlp import MlpDecoder
from iafsweep.models.decoders.resnet import ResnetDecoder
from iafsweep.models.registry import find_member
from iafsweep.models.shapes import ImageShape

DECODERS: dict[str, type[Decoder]] = {
    "resnet": ResnetDecoder,
    "gated_conv": GatedConvDecoder,
    "mlp": MlpDecoder,
}
"""Every decoder, by the name configurations use."""


def build_decoder(
    config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float
) -> Decoder:
    """Make the decoder that ``config.kind`` names.

    Raises:
        ValueError: there is no such decoder.
    """
    member = find_member(DECODERS, "decoder", config.kind)
    return member.from_config(config, image_shape, latent_size, batch_norm_momentum)


__all__ = ["DECODERS", "Decoder", "GatedConvDecoder", "MlpDecoder", "ResnetDecoder", "build_decoder"]
