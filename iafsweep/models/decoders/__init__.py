"""Decoders: ``base`` the base class · ``resnet`` · ``gated_conv`` · ``mlp``."""

from __future__ import annotations

from iafsweep.config import DecoderConfig
from iafsweep.models.decoders.base import Decoder
from iafsweep.models.layers import with_dropout
from iafsweep.models.shapes import ImageShape


def build_decoder(
    config: DecoderConfig, image_shape: ImageShape, latent_size: int, batch_norm_momentum: float | None
) -> Decoder:
    """Make the decoder that ``config.kind`` names.

    Raises:
        PluginError: its plugin is not loaded.
        ConfigError: the decoder has no dropout, and ``config.dropout`` is not 0.
    """
    member: type[Decoder] = config.family.load(config.kind)
    decoder = member.from_config(config, image_shape, latent_size, batch_norm_momentum)
    return with_dropout(decoder, config.dropout, "model.decoder")


__all__ = ["Decoder", "build_decoder"]
