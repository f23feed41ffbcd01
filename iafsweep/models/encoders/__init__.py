"""Encoders: ``base`` what all are · ``resnet`` · ``gated_conv`` · ``mlp``."""

from __future__ import annotations

from iafsweep.config import EncoderConfig
from iafsweep.models.encoders.base import Encoder, EncoderOutput
from iafsweep.models.encoders.gated_conv import GatedConvEncoder
from iafsweep.models.encoders.mlp import MlpEncoder
from iafsweep.models.encoders.resnet import ResnetEncoder
from iafsweep.models.registry import find_member
from iafsweep.models.shapes import ImageShape

ENCODERS: dict[str, type[Encoder]] = {
    "resnet": ResnetEncoder,
    "gated_conv": GatedConvEncoder,
    "mlp": MlpEncoder,
}
"""Every encoder, by the name configurations use."""


def build_encoder(
    config: EncoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float
) -> Encoder:
    """Make the encoder that ``config.kind`` names.

    Raises:
        ValueError: there is no such encoder.
    """
    member = find_member(ENCODERS, "encoder", config.kind)
    return member.from_config(config, image_shape, latent_size, batch_norm_momentum)


__all__ = [
    "ENCODERS",
    "Encoder",
    "EncoderOutput",
    "GatedConvEncoder",
    "MlpEncoder",
    "ResnetEncoder",
    "build_encoder",
]
