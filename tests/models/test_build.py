"""From configuration to model: the reference's sizes, and starting weights that follow from the seed."""

import math

import pytest
import torch
from model_cases import IMAGE_SHAPE, flow_config, model_config
from torch import nn

from iafsweep.config import DecoderConfig, EncoderConfig, FlowConfig, ImageFormat, MadeConfig, ModelConfig
from iafsweep.models import build_model
from iafsweep.models.build import _assemble
from iafsweep.models.made import MaskedLayer

MNIST = (1, 28, 28)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def assembled(config):
    """The model without storage: sizes alone."""
    with torch.device("meta"):
        return _assemble(config, ImageFormat(MNIST))


def test_default_recipe_has_the_parameters_of_the_reference():
    model = assembled(ModelConfig())
    assert count(model.encoder) == 1_877_574
    assert count(model.context_map) == 867_840
    assert count(model.flow) == 32_503_808
    assert count(model.decoder) == 644_801
    assert count(model) == 35_894_023
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_other_kinds_have_the_parameters_of_their_structure():
    def gated(inputs, outputs, size):
        return 2 * (inputs * outputs * size + outputs)

    convolutions = assembled(
        ModelConfig(encoder=EncoderConfig(kind="gated_conv"), decoder=DecoderConfig(kind="gated_conv"))
    )
    assert count(convolutions.encoder) == (
        gated(1, 32, 25) + gated(32, 32, 25) + gated(32, 64, 25) + 2 * gated(64, 64, 25) + gated(64, 256, 49)
    ) + (256 * 128 + 128)
    assert count(convolutions.decoder) == (
        gated(64, 64, 49) + gated(64, 64, 25) + gated(64, 32, 25) + 3 * gated(32, 32, 25) + 32 + 1
    )
    dense = assembled(ModelConfig(encoder=EncoderConfig(kind="mlp"), decoder=DecoderConfig(kind="mlp")))
    assert count(dense.encoder) == (2 * 784 + 2) * 1000 + 2 * (1784 + 2) * 1000 + (1784 + 2) * 128
    assert count(dense.decoder) == (2 * 64 + 2) * 1000 + 2 * (1064 + 2) * 1000 + 1064 * 784


def test_flow_variants_have_the_parameters_of_their_structure():
    width, size = 1920, 64
    masked = 2 * size * width + width * width
    shift_only = assembled(ModelConfig(flow=FlowConfig(depth=1, gated=False)))
    assert count(shift_only.flow) == masked + 2 * (2 * width + size)
    biased = assembled(ModelConfig(flow=FlowConfig(depth=1, made=MadeConfig(batch_norm=False))))
    assert count(biased.flow) == masked + size * width + 2 * width + 2 * size
    linear = assembled(ModelConfig(flow=FlowConfig(depth=1, context_size=100, made=MadeConfig(context_mode="linear"))))
    assert count(linear.flow) == masked + size * width + 2 * (2 * width + 2 * size) + 100 * width
    assert count(linear.context_map) == 450 * 100 + 2 * 100
    plain = assembled(ModelConfig(flow=FlowConfig(depth=0)))
    assert count(plain.flow) == 0
    assert plain.context_map is None


def test_batch_norm_settings():
    model = build_model(model_config(encoder="resnet", decoder="resnet"), ImageFormat(IMAGE_SHAPE), 0)
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.1)}


@pytest.mark.parametrize("kind", ["resnet", "gated_conv", "mlp"])
def test_same_seed_same_weights(kind):
    config = model_config(encoder=kind, decoder=kind)
    first, second, other = (build_model(config, ImageFormat(IMAGE_SHAPE), seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    weights = [name for name in first if first[name].dim() > 1]
    assert weights
    assert not any(torch.equal(first[name], other[name]) for name in weights)


def test_building_leaves_the_global_random_state_alone_and_does_not_read_it():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_model(model_config(), ImageFormat(IMAGE_SHAPE), 3).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    second = build_model(model_config(), ImageFormat(IMAGE_SHAPE), 3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_start_xavier_uniform_and_biases_zero():
    flow = flow_config(width=40, batch_norm=False)
    model = build_model(
        model_config(encoder="gated_conv", decoder="gated_conv", flow=flow), ImageFormat(IMAGE_SHAPE), 0
    )
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            positions = math.prod(parameter.shape[2:])
            bound = math.sqrt(6 / (positions * (parameter.shape[0] + parameter.shape[1])))
            assert parameter.abs().max() <= bound, name
            assert parameter.numel() < 100 or parameter.abs().max() > 0.9 * bound, name
    gates = [step.made.gate.bias for step in model.flow.steps]
    assert all((gate == 2.0).all() for gate in gates)
    plain = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | MaskedLayer)]
    biases = [part.bias for part in plain if part.bias is not None and not any(part.bias is gate for gate in gates)]
    assert biases
    assert all((bias == 0).all() for bias in biases)


def test_every_member_of_the_configuration_matters():
    """Kind and sizes reach the networks: no two of these models have the same parameters."""
    configs = {
        "base": model_config(),
        "encoder": model_config(encoder="resnet"),
        "decoder": model_config(decoder="resnet"),
        "latent": model_config(latent_size=5),
        "depth": model_config(flow=flow_config(depth=3)),
        "gated": model_config(flow=flow_config(gated=False)),
        "width": model_config(flow=flow_config(width=7)),
        "layers": model_config(flow=flow_config(hidden_layers=3)),
        "norm": model_config(flow=flow_config(batch_norm=False)),
        "context": model_config(flow=flow_config(context_mode="linear")),
        "context_size": model_config(flow=flow_config(context_mode="linear", context_size=4)),
    }
    counts = {name: count(build_model(config, ImageFormat(IMAGE_SHAPE), 0)) for name, config in configs.items()}
    assert len(set(counts.values())) == len(counts), counts


def test_one_step_down_the_gradient_lowers_the_loss():
    model = build_model(
        model_config(encoder="resnet", decoder="resnet", flow=flow_config(width=16)), ImageFormat(IMAGE_SHAPE), 0
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    draws = torch.Generator().manual_seed(0)
    x = (torch.rand(8, *IMAGE_SHAPE, generator=draws) > 0.5).float()
    losses = []
    for _ in range(15):
        noise = torch.randn(8, 4, generator=draws)
        z, log_det = model.transform_noise(noise, model.encode(x))
        loss = -(model.log_joint(x, z) + log_det).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
