"""Encoders: ``base`` the base class · ``resnet`` · ``gated_conv`` · ``mlp``."""

from __future__ import annotations

from iafsweep.config import EncoderConfig
from iafsweep.models.encoders.base import Encoder, EncoderOutput
from iafsweep.models.layers import with_dropout
from iafsweep.models.shapes import ImageShape


def build_encoder(
    config: EncoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
) -> Encoder:
    """Make the encoder that ``config.kind`` names.

    Raises:
        PluginError: its plugin is not loaded.
        ConfigError: the encoder has no dropout, and ``config.dropout`` is not 0.
    """
    member: type[Encoder] = config.family.load(config.kind)
    encoder = member.from_config(config, image_shape, latent_size, batch_norm_momentum)
    return with_dropout(encoder, config.dropout, "model.encoder")


__all__ = ["Encoder", "EncoderOutput", "build_encoder"]
