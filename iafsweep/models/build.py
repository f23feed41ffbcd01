"""Build and initialise a model from its configuration."""

from __future__ import annotations

import torch
from torch import nn

from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.models.decoders import build_decoder
from iafsweep.models.encoders import build_encoder
from iafsweep.models.flows import build_flow
from iafsweep.models.heads import with_head
from iafsweep.models.layers import NormalisedLinear, SmallLinear
from iafsweep.models.likelihoods import build_likelihood
from iafsweep.models.made import MaskedLayer
from iafsweep.models.priors import build_prior
from iafsweep.models.priors.vamp import VampPrior
from iafsweep.models.vae import VAE
from iafsweep.models.weight_norm import apply_weight_norm


def build_model(config: ModelConfig, image: ImageFormat, seed: int) -> VAE:
    """Build the model of ``config`` for images of one format, on the CPU, in float32, in training mode.

    The same arguments give the same weights. The global random state is left unchanged.

    Args:
        config: kinds and sizes of the networks.
        image: shape and levels of the images; for a run, ``RunConfig.image_format``.
        seed: seed of the starting weights.

    Raises:
        ValueError: the likelihood does not fit images of this format.
    """
    # PyTorch's constructors draw weights of their own, which are overwritten below.
    with torch.random.fork_rng(devices=[]):
        model = _assemble(config, image)
    initialise(model, torch.Generator().manual_seed(seed))
    if config.normalisation == "weight_norm":
        apply_weight_norm(model)
    # Convolutions of this size are faster in channels-last order; the values are the same.
    return model.to(memory_format=torch.channels_last)


def _assemble(config: ModelConfig, image: ImageFormat) -> VAE:
    size = config.latent_size
    momentum = config.batch_norm_momentum if config.normalisation == "batch_norm" else None
    likelihood = with_head(build_likelihood(config.likelihood, image), config.decoder.autoregressive)
    encoder = build_encoder(config.encoder, image.shape, size, momentum)
    flow = build_flow(config.flow, size, momentum)
    context_size = flow.context_size
    prior = build_prior(config.prior, size, image, encoder, config.posterior_offset)
    return VAE(
        encoder,
        None if context_size is None else NormalisedLinear(encoder.hidden_size, context_size, momentum),
        flow,
        build_decoder(config.decoder, likelihood.parameter_shape, size, momentum),
        prior,
        likelihood,
        latent_size=size,
        posterior_offset=config.posterior_offset,
    )


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights Xavier-uniform and set all biases to their starting values (0, except in the gates of a flow).

    ``w ~ U(-a, a)`` with ``a = sqrt(6 / (fan_in + fan_out))``, or a hundredth of that in layers whose output should
    start near 0. The fans of a masked weight are those of the whole matrix. Batch norms keep their constructors'
    values. Weights are drawn in the order of ``model.modules()``, so the seed determines them.

    Args:
        model: changed in place; on the generator's device.
        generator: the only source of randomness.
    """
    for module in model.modules():
        if isinstance(module, MaskedLayer):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            module.weight.data.mul_(module.initial_scale)
            if module.bias is not None:
                nn.init.constant_(module.bias, module.initial_bias)
        elif isinstance(module, VampPrior):
            module.initialise(generator)
        elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if isinstance(module, SmallLinear):
                module.weight.data.mul_(module.initial_scale)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters of a network; masked weights count in full."""
    return sum(parameter.numel() for parameter in network.parameters())
