"""Tiny members of every family, and what the tests do to them."""

from __future__ import annotations

import torch
from torch import nn

from iafsweep.config import (
    DecoderConfig,
    EncoderConfig,
    FlowConfig,
    ImageFormat,
    MadeConfig,
    MlpConfig,
    ModelConfig,
    PriorConfig,
)
from iafsweep.config.model import (
    AutoregressivePriorConfig,
    GatedConvDecoderConfig,
    GatedConvEncoderConfig,
    ResnetDecoderConfig,
    ResnetEncoderConfig,
    SplineCouplingPriorConfig,
    VampPriorConfig,
)
from iafsweep.models.build import initialise
from iafsweep.models.decoders import build_decoder
from iafsweep.models.encoders import build_encoder
from iafsweep.models.flows import build_flow
from iafsweep.models.priors import build_prior

LATENT_SIZE = 4
CONTEXT_SIZE = 6
MOMENTUM = 0.1
IMAGE_SHAPE = (1, 8, 8)
IMAGE_SHAPES = [IMAGE_SHAPE, (3, 8, 12), (5, 4, 4)]  # one channel, several, as many as there are maps


def encoder_config(kind):
    return EncoderConfig(
        kind=kind,
        resnet=ResnetEncoderConfig(maps=5, hidden_size=7),
        gated_conv=GatedConvEncoderConfig(maps=3, hidden_size=7),
        mlp=MlpConfig(hidden_sizes=(6, 7)),
    )


def decoder_config(kind):
    return DecoderConfig(
        kind=kind,
        resnet=ResnetDecoderConfig(maps=5),
        gated_conv=GatedConvDecoderConfig(maps=3),
        mlp=MlpConfig(hidden_sizes=(6, 7)),
    )


def flow_of(kind, depth=2, sizes=None, context_size=CONTEXT_SIZE, **made):
    sections = {} if sizes is None else {kind: sizes}
    values = {"kind": kind, "depth": depth, "context_size": context_size, "made": {"width": CONTEXT_SIZE} | made}
    return FlowConfig.model_validate(values | sections)


def flow_config(depth=2, gated=True, width=CONTEXT_SIZE, context_size=None, **made):
    return FlowConfig(depth=depth, gated=gated, context_size=context_size, made=MadeConfig(width=width, **made))


def model_config(encoder="mlp", decoder="mlp", latent_size=LATENT_SIZE, flow=None, **rest):
    return ModelConfig(
        latent_size=latent_size,
        batch_norm_momentum=MOMENTUM,
        encoder=encoder_config(encoder),
        decoder=decoder_config(decoder),
        flow=flow_config() if flow is None else flow,
        **rest,
    )


def make_encoder(kind, image_shape=IMAGE_SHAPE):
    return build_encoder(encoder_config(kind), image_shape, LATENT_SIZE, MOMENTUM)


def make_decoder(kind, image_shape=IMAGE_SHAPE):
    return build_decoder(decoder_config(kind), image_shape, LATENT_SIZE, MOMENTUM)


def make_flow(name, latent_size=LATENT_SIZE):
    return build_flow(FLOW_CONFIGS[name], latent_size, MOMENTUM)


ENCODER_CASES = {kind: lambda kind=kind: make_encoder(kind) for kind in ("resnet", "gated_conv", "mlp")}
DECODER_CASES = {kind: lambda kind=kind: make_decoder(kind) for kind in ("resnet", "gated_conv", "mlp")}

FLOW_CONFIGS = {
    "identity": flow_config(depth=0),
    "gated": flow_config(),
    "gated_deep": flow_config(depth=3, hidden_layers=3),
    "gated_shallow": flow_config(hidden_layers=1),
    "gated_bias": flow_config(batch_norm=False),
    "gated_linear": flow_config(width=9, context_size=CONTEXT_SIZE, context_mode="linear"),
    "gated_linear_bias": flow_config(width=9, context_size=CONTEXT_SIZE, context_mode="linear", batch_norm=False),
    "gated_narrow": flow_config(width=3, context_size=CONTEXT_SIZE, context_mode="linear"),
    "shift": flow_config(gated=False),
    "shift_linear_bias": flow_config(
        gated=False, width=5, context_size=CONTEXT_SIZE, context_mode="linear", batch_norm=False
    ),
    "planar": flow_of("planar", depth=3),
    "sylvester_orthogonal": flow_of("sylvester", sizes={"columns": 2}),
    "sylvester_householder": flow_of("sylvester", sizes={"variant": "householder", "reflections": 3}),
    "sylvester_triangular": flow_of("sylvester", sizes={"variant": "triangular"}),
    "naf": flow_of("naf", sizes={"units": 3}),
    "naf_linear_bias": flow_of("naf", sizes={"units": 2}, width=9, context_mode="linear", batch_norm=False),
    "spline": flow_of("spline", sizes={"bins": 4}),
    "spline_linear_bias": flow_of("spline", sizes={"bound": 3.0}, width=9, context_mode="linear", batch_norm=False),
}
PRIOR_SIZES = {
    "autoregressive": AutoregressivePriorConfig(depth=2, width=9, hidden_layers=2),
    "spline_coupling": SplineCouplingPriorConfig(depth=4, width=8, hidden_layers=1, bins=4, bound=3.0),
    "vamp": VampPriorConfig(components=3),
}


def make_prior(kind, latent_size=LATENT_SIZE):
    """The prior of a kind; `vamp` leans on an encoder without batch norm."""
    encoder = build_encoder(encoder_config("mlp"), IMAGE_SHAPE, latent_size, None)
    return build_prior(PriorConfig(kind=kind, **PRIOR_SIZES), latent_size, ImageFormat(IMAGE_SHAPE), encoder, -0.5)


PRIOR_CASES = {kind: lambda kind=kind: make_prior(kind) for kind in ("standard_normal", *PRIOR_SIZES)}
FLOW_CASES = {name: lambda name=name: make_flow(name) for name in FLOW_CONFIGS}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def images(count, image_shape=IMAGE_SHAPE, seed=0):
    return (torch.rand(count, *image_shape, generator=generator(seed), dtype=torch.float64) > 0.5).double()


def settled(module, seed=0, spread=0.1):
    """Return ``module`` in float64 and eval mode, as if trained: all parameters moved, averages no longer 0 and 1."""
    draws = generator(seed)
    module = module.double()
    initialise(module, draws)
    for parameter in module.parameters():
        parameter.data += spread * torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean += spread * torch.randn(part.running_mean.shape, generator=draws, dtype=torch.float64)
            part.running_var.uniform_(0.5, 2.0, generator=draws)
    return module.eval()


def gradients_missing(module, value):
    """Return the names of the parameters that the gradient of ``value`` does not reach."""
    module.zero_grad()
    value.backward()
    return [
        name
        for name, parameter in module.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]


def influence_of_other_rows(function, x):
    """Return the largest gradient of the first row of ``function(x)`` with respect to other rows of x."""
    x = x.clone().requires_grad_()
    row = function(x)[0]
    weights = normal(*row.shape, seed=99)
    (gradient,) = torch.autograd.grad((weights * row).sum(), x)
    assert gradient[0].any()
    return gradient[1:].abs().max().item()
