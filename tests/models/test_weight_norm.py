"""Weight norm: its start from data, and that nothing ties the images of a batch together."""

import copy

import pytest
import torch
from model_cases import FLOW_CONFIGS, IMAGE_SHAPE, LATENT_SIZE, generator, influence_of_other_rows, model_config, normal
from torch.nn.utils import parametrize

from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.models import build_model
from iafsweep.models.heads.pixelcnn import CausalLayer
from iafsweep.models.made import ConditionalMade, MaskedLayer
from iafsweep.models.weight_norm import hidden_layers, remove_weight_norm, start_from_data

NETWORKS = ["mlp", "resnet", "gated_conv"]
ROWS = 50


def model_of(networks, normalisation="weight_norm", **settings):
    config = model_config(encoder=networks, decoder=networks, normalisation=normalisation, **settings)
    return build_model(config, ImageFormat(IMAGE_SHAPE), 3)


def batch(rows=ROWS):
    x = (torch.rand(rows, *IMAGE_SHAPE, generator=generator(1)) < 0.4).float()
    return x, normal(rows, LATENT_SIZE, seed=2).float()


def outputs_of(model, x, noise):
    """What each hidden layer gives for a batch, and the model's log-joint."""
    seen = {}
    names = {module: name for name, module in model.named_modules()}

    def keep(module, inputs, output):
        seen.setdefault(names[module], output.clone())

    hooks = [layer.register_forward_hook(keep) for layer in hidden_layers(model)]
    z, _ = model.transform_noise(noise, model.posterior(x))
    log_joint = model.log_joint(x, z)
    for hook in hooks:
        hook.remove()
    return seen, log_joint


@pytest.mark.parametrize("networks", NETWORKS)
def test_a_new_model_is_that_without_norms_until_it_has_seen_data(networks):
    x, noise = batch()
    _, with_lengths = outputs_of(model_of(networks), x, noise)
    _, plain = outputs_of(model_of(networks, "none"), x, noise)
    assert torch.allclose(with_lengths, plain, rtol=1e-5)


@pytest.mark.parametrize("rows", [10, ROWS])
@pytest.mark.parametrize("networks", NETWORKS)
def test_hidden_layers_start_with_mean_0_and_variance_1_over_the_first_batch(networks, rows):
    model, (x, noise) = model_of(networks), batch(rows)
    start_from_data(model, x, noise)
    seen, _ = outputs_of(model, x, noise)
    assert {name.split(".")[0] for name in seen} == {"encoder", "context_map", "flow", "decoder"}
    moved = 0
    for name, output in seen.items():
        over = [0, 2, 3] if output.dim() == 4 else [0]
        mean, variance = output.mean(over), output.var(over, correction=0)
        alive = variance > 1e-6  # a unit behind a mask that hides every input is constant
        assert mean.abs().max() < 1e-4, name
        assert (variance[alive] - 1).abs().max() < 1e-3, name
        moved += int(alive.sum())
        assert alive.all() or "flow" in name
    assert moved > 20


def model_with_head():
    values = model_config(normalisation="weight_norm").model_dump()
    values["decoder"]["autoregressive"] = {"kind": "pixelcnn", "pixelcnn": {"layers": 3, "maps": 3, "kernel": 3}}
    return build_model(ModelConfig.model_validate(values), ImageFormat(IMAGE_SHAPE), 3)


def test_layers_of_a_head_start_with_mean_0_and_variance_1_of_the_sum_that_they_activate():
    model, before, (x, noise) = model_with_head(), model_with_head(), batch()
    start_from_data(model, x, noise)
    seen = []
    for module in model.modules():
        if isinstance(module, CausalLayer):
            module.register_forward_hook(lambda layer, given, _: seen.append(layer.pre_activation(*given)))
    for mixed in model.likelihood.mixed:
        mixed.register_forward_hook(lambda layer, given, output: seen.append(output))
    z, _ = model.transform_noise(noise, model.posterior(x))
    model.log_joint(x, z)
    assert len(seen) == 4
    for summed in seen:
        assert summed.mean((0, 2, 3)).abs().max() < 1e-5
        assert (summed.var((0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    for one, other in zip(model.likelihood.output.parameters(), before.likelihood.output.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("networks", NETWORKS)
def test_output_layers_stay_as_they_were_drawn_so_that_gates_start_open(networks):
    model, before = model_of(networks), model_of(networks)
    start_from_data(model, *batch())
    for one, other in zip(model.modules(), before.modules(), strict=True):
        if isinstance(one, ConditionalMade):
            for name in ("shift", "gate"):
                mine, theirs = getattr(one, name), getattr(other, name)
                assert torch.equal(mine.weight, theirs.weight)
                assert torch.equal(mine.bias, theirs.bias)
            assert (one.gate.bias == 2.0).all()
    for side in ("encoder", "decoder"):
        mine, theirs = getattr(model, side).output, getattr(before, side).output
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("flow", ["gated", "planar", "sylvester_orthogonal", "naf", "spline"])
def test_a_new_flow_is_near_the_identity_after_its_start_from_data(flow):
    model = model_of("mlp", flow=FLOW_CONFIGS[flow])
    start_from_data(model, *batch())
    parameters = model.posterior(batch()[0])
    z = normal(ROWS, LATENT_SIZE, seed=4).float()
    moved, log_det = model.flow(z, parameters.context)
    assert (moved - z).square().mean().sqrt() < 0.3 * len(model.flow.steps)
    assert log_det.abs().mean() / LATENT_SIZE < 0.3 * len(model.flow.steps)


@pytest.mark.parametrize("make", [lambda: model_of("resnet"), model_with_head])
def test_the_start_is_the_same_whenever_it_is_made(make):
    one, other = make(), make()
    for model in (one, other):
        start_from_data(model, *batch())
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


@pytest.mark.parametrize("networks", NETWORKS)
@pytest.mark.parametrize("normalisation", ["weight_norm", "none", "batch_norm"])
def test_nothing_ties_images_together_in_training_but_batch_norm(networks, normalisation):
    model = model_of(networks, normalisation).double().train()
    x, noise = (each.double() for each in batch(4))

    def terms(x):
        z, log_det = model.transform_noise(noise, model.posterior(x))
        return torch.stack([model.log_joint(x, z), log_det], dim=-1)

    influence = influence_of_other_rows(terms, x)
    assert (influence == 0.0) == (normalisation != "batch_norm")


def test_weights_are_lengths_times_directions_and_hidden_ones_count_in_no_norm():
    model = model_of("mlp")
    start_from_data(model, *batch())
    masked = next(module for module in model.modules() if isinstance(module, MaskedLayer))
    g, v = masked.parametrizations.weight.original0, masked.parametrizations.weight.original1
    assert (v[masked.mask == 0] == 0).all()
    rows = masked.weight.norm(dim=1)
    assert torch.allclose(rows[rows > 0], g.flatten()[rows > 0], rtol=1e-5)
    x, noise = batch()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(3):
        z, log_det = model.transform_noise(noise, model.posterior(x))
        optimiser.zero_grad()
        (-(model.log_joint(x, z) + log_det).mean()).backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
        optimiser.step()
    assert (v[masked.mask == 0] == 0).all()


def test_computing_weights_once_changes_no_copy_beside():
    model = model_of("gated_conv")
    start_from_data(model, *batch())
    other = copy.deepcopy(model)
    before = outputs_of(model, *batch())[1]
    remove_weight_norm(other)
    assert not any(parametrize.is_parametrized(module) for module in other.modules())
    assert torch.allclose(outputs_of(model, *batch())[1], before, rtol=1e-6)
    z, _ = other.transform_noise(batch()[1], other.posterior(batch()[0]))
    assert torch.allclose(other.log_joint(batch()[0], z), before, rtol=1e-5)


def test_a_constant_output_keeps_its_scale():
    model = model_of("mlp")
    x, noise = torch.zeros(4, *IMAGE_SHAPE), torch.zeros(4, LATENT_SIZE)
    start_from_data(model, x, noise)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


@pytest.mark.parametrize("pixels", [0, 1, 10])
def test_two_images_that_nearly_agree_give_no_other_image_huge_values(pixels):
    model, (x, noise) = model_of("mlp"), batch(2)
    x[1] = x[0]
    x[1].flatten()[:pixels] = 1 - x[1].flatten()[:pixels]
    start_from_data(model, x, noise)
    for name, length in model.named_parameters():
        assert "weight.original0" not in name or length.max() < 2.001, name
    seen, _ = outputs_of(model, *batch())
    assert max(output.abs().max() for output in seen.values()) < 40
