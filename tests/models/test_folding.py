"""A folded model is the same model: the same densities, gradients and inverse, for fewer products."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.models import build_model, folded
from iafsweep.models.folding import BlockLinear
from iafsweep.models.layers import BatchNorm
from iafsweep.seeds import generator

SIZES = {
    "latent_size": 5,
    "encoder": {"mlp": {"hidden_sizes": [16, 12]}, "resnet": {"maps": 4, "hidden_size": 8}, "gated_conv": {"maps": 4}},
    "decoder": {"mlp": {"hidden_sizes": [16, 12]}, "resnet": {"maps": 4}, "gated_conv": {"maps": 4}},
}
FLOWS = {
    "plain": {"depth": 0},
    "add": {"depth": 2, "made": {"width": 200}},
    "linear": {"depth": 3, "context_size": 7, "made": {"width": 200, "context_mode": "linear", "batch_norm": False}},
    "shift": {"depth": 2, "gated": False, "made": {"width": 9, "hidden_layers": 1}},
    "planar": {"kind": "planar", "depth": 3},
    "sylvester": {"kind": "sylvester", "depth": 2, "sylvester": {"columns": 3}},
    "naf": {"kind": "naf", "depth": 2, "made": {"width": 200}},
    "spline": {"kind": "spline", "depth": 2, "made": {"width": 200}},
}


def trained(kind="mlp", flow="add"):
    """A model in float64 whose batch norms have seen something and whose weights are nowhere special."""
    values = SIZES | {"flow": FLOWS[flow]}
    for side in ("encoder", "decoder"):
        values[side] = SIZES[side] | {"kind": kind}
    model = build_model(ModelConfig.model_validate(values), ImageFormat((1, 8, 8)), seed=0).double()
    draws = generator("cpu", 1)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=draws)
    for buffer in [each for name, each in model.named_buffers() if "running" in name]:
        buffer += torch.rand(buffer.shape, generator=draws)
    return model.eval()


def inputs():
    draws = generator("cpu", 2)
    x = torch.rand((3, 1, 8, 8), generator=draws).round().double()
    return x, torch.randn((4, 3, 5), generator=draws).double()


def test_a_folded_head_is_the_same_head():
    sizes = {"layers": 2, "maps": 3, "kernel": 3, "features": 2}
    decoder = SIZES["decoder"] | {"autoregressive": {"kind": "pixelcnn", "pixelcnn": sizes}, "kind": "resnet"}
    values = SIZES | {"decoder": decoder, "normalisation": "weight_norm", "flow": FLOWS["plain"]}
    model = build_model(ModelConfig.model_validate(values), ImageFormat((1, 8, 8)), seed=0).double().eval()
    x, z = inputs()
    assert torch.allclose(folded(model).log_likelihood(x, z), model.log_likelihood(x, z), rtol=1e-12)
    pictures = [each.sample(2, generator("cpu", 3)) for each in (model, folded(model))]
    assert torch.equal(*pictures)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("kind", ["mlp", "resnet", "gated_conv"])
def test_densities_and_gradients_are_the_same(kind, flow):
    model = trained(kind, flow)
    x, noise = inputs()
    found = []
    for each in (model, folded(model)):
        e = noise.clone().requires_grad_()
        parameters = each.encode(x)
        z, log_det = each.transform_noise(e, parameters)
        density = each.log_joint(x, z) + log_det
        (gradient,) = torch.autograd.grad(density.sum(), e)
        found.append((density, gradient, z, each.invert_noise(z.detach(), parameters)))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10)


def test_it_is_a_copy_without_gradients_and_the_model_is_as_it_was():
    model = trained("resnet")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fast = folded(model)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    assert not any(isinstance(module, BatchNorm) for module in fast.flow.modules())


def test_a_model_in_training_mode_is_refused():
    with pytest.raises(RuntimeError, match="eval mode"):
        folded(trained().train())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda model: model.encoder.train(), "is in training mode"),
        (lambda model: model.bfloat16(), "holds bfloat16 numbers"),
        (lambda model: model.decoder.half(), "holds float16 numbers"),
    ],
)
def test_a_model_that_a_user_has_changed_is_refused_in_words(change, found):
    model = trained().float()
    change(model)
    with pytest.raises(RuntimeError, match=rf"this one {found}: call run\.model\.float\(\)\.eval\(\)"):
        folded(model)
    folded(model.float().eval())


def test_zeros_are_left_out():
    draws = generator("cpu", 4)
    weight = torch.randn((960, 960), generator=draws).tril()
    layer = BlockLinear(weight, torch.randn(960, generator=draws))
    x = torch.randn((2, 3, 960), generator=draws)
    with FlopCounterMode(display=False) as counter:
        y = layer(x)
    # Twelve blocks of a triangle: (12 + 1) / 24 of the products.
    assert counter.get_total_flops() == pytest.approx(2 * 6 * 960 * 960 * 13 / 24)
    assert torch.allclose(y, x @ weight.T + torch.cat(list(layer.biases)), atol=1e-4)


def test_rows_of_zeros_give_their_bias():
    weight = torch.zeros((160, 4))
    weight[80:] = 1.0
    y = BlockLinear(weight, torch.arange(160.0))(torch.ones(2, 4))
    assert torch.equal(y[0], torch.cat([torch.arange(80.0), torch.arange(80.0, 160.0) + 4]))
