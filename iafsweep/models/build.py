"""From a configuration to a model."""

from __future__ import annotations

import torch

from iafsweep.config import ModelConfig
from iafsweep.models.decoders import build_decoder
from iafsweep.models.encoders import build_encoder
from iafsweep.models.flows import build_flow
from iafsweep.models.initialise import initialise
from iafsweep.models.layers import NormalisedLinear
from iafsweep.models.priors import StandardNormalPrior
from iafsweep.models.shapes import ImageShape
from iafsweep.models.vae import VAE


def build_model(config: ModelConfig, image_shape: ImageShape, seed: int) -> VAE:
    """Build the model of ``config`` for images of one shape, on the CPU, in float32, in training mode.

    Same arguments, same weights; the global random state is left as it was.

    Args:
        config: kinds and sizes of the networks.
        image_shape: channels, height, width.
        seed: of the starting weights.

    Raises:
        ValueError: a network cannot be built for images of this shape.
    """
    # PyTorch's constructors draw weights of their own, which are overwritten below.
    with torch.random.fork_rng(devices=[]):
        model = _assemble(config, image_shape)
    initialise(model, torch.Generator().manual_seed(seed))
    # Convolutions of this size are faster with the maps of a pixel side by side; the values are the same.
    return model.to(memory_format=torch.channels_last)


def _assemble(config: ModelConfig, image_shape: ImageShape) -> VAE:
    size, momentum = config.latent_size, config.batch_norm_momentum
    encoder = build_encoder(config.encoder, image_shape, size, momentum)
    flow = build_flow(config.flow, size, momentum)
    context_size = flow.context_size
    return VAE(
        encoder,
        None if context_size is None else NormalisedLinear(encoder.hidden_size, context_size, momentum),
        flow,
        build_decoder(config.decoder, image_shape, size, momentum),
        StandardNormalPrior(size),
        image_shape=image_shape,
        latent_size=size,
        posterior_offset=config.posterior_offset,
    )
