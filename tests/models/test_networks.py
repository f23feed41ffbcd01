"""Encoders and decoders: shapes, gradients, rows that do not touch each other, saving and loading."""

import pytest
import torch
from model_cases import (
    DECODER_CASES,
    ENCODER_CASES,
    IMAGE_SHAPE,
    IMAGE_SHAPES,
    LATENT_SIZE,
    gradients_missing,
    images,
    influence_of_other_rows,
    make_decoder,
    make_encoder,
    normal,
    settled,
)
from torch import nn
from torch.nn import functional as F

from iafsweep.errors import ConfigError
from iafsweep.models.layers import with_dropout
from iafsweep.models.residual import halved, halving_block

NETWORK_CASES = {
    **{f"encoder_{name}": (make, images(3)) for name, make in ENCODER_CASES.items()},
    **{f"decoder_{name}": (make, normal(3, LATENT_SIZE)) for name, make in DECODER_CASES.items()},
}
USES_BATCH_NORM = [name for name in NETWORK_CASES if "gated_conv" not in name]


def flat_output(network, x):
    """All a network returns, one row an image."""
    output = network(x)
    parts = output if isinstance(output, tuple) else (output,)
    return torch.cat([part.flatten(1) for part in parts], dim=1)


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
@pytest.mark.parametrize("kind", ENCODER_CASES)
def test_encoder_shapes(kind, image_shape):
    encoder = settled(make_encoder(kind, image_shape))
    mean, log_std, hidden = encoder(images(2, image_shape))
    assert mean.shape == log_std.shape == (2, LATENT_SIZE)
    assert hidden.shape == (2, encoder.hidden_size) == (2, 7)


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
@pytest.mark.parametrize("kind", DECODER_CASES)
def test_decoder_shapes(kind, image_shape):
    assert settled(make_decoder(kind, image_shape))(normal(2, LATENT_SIZE)).shape == (2, *image_shape)


@pytest.mark.parametrize("case", NETWORK_CASES)
def test_gradient_reaches_every_parameter(case):
    make, x = NETWORK_CASES[case]
    network = settled(make())
    output = flat_output(network, x)
    assert gradients_missing(network, (output * normal(*output.shape, seed=1)).sum()) == []


@pytest.mark.parametrize("case", NETWORK_CASES)
def test_rows_do_not_touch_in_eval_mode(case):
    make, x = NETWORK_CASES[case]
    network = settled(make())
    assert influence_of_other_rows(lambda x: flat_output(network, x), x) == 0.0


@pytest.mark.parametrize("case", USES_BATCH_NORM)
def test_batch_matters_in_training_mode(case):
    make, x = NETWORK_CASES[case]
    network = settled(make()).train()
    assert influence_of_other_rows(lambda x: flat_output(network, x), x) > 1e-6


@pytest.mark.parametrize("case", NETWORK_CASES)
def test_saved_and_loaded_network_is_the_same(case, tmp_path):
    make, x = NETWORK_CASES[case]
    network = settled(make())
    torch.save(network.state_dict(), tmp_path / "network.pt")
    other = settled(make(), seed=1)
    assert not torch.equal(flat_output(other, x), flat_output(network, x))
    other.load_state_dict(torch.load(tmp_path / "network.pt", weights_only=True))
    assert torch.equal(flat_output(other, x), flat_output(network, x))


@pytest.mark.parametrize("image_shape", [(1, 3, 5), (2, 1, 1), (1, 28, 20), (3, 30, 30), (5, 6, 13)])
@pytest.mark.parametrize("kind", ENCODER_CASES)
def test_networks_take_any_size(kind, image_shape):
    assert settled(make_encoder(kind, image_shape))(images(2, image_shape)).mean.shape == (2, LATENT_SIZE)
    made = settled(make_decoder(kind, image_shape))(normal(2, LATENT_SIZE))
    assert made.shape == (2, *image_shape)
    assert made[:, :, [0, -1]][..., [0, -1]].abs().min() > 0  # no padding in the corners


@pytest.mark.parametrize("kind", ["resnet", "gated_conv"])
def test_an_image_and_what_is_made_of_it_lie_in_the_middle_of_the_padded_one(kind):
    """Pixels of the smaller image are those of the larger one with zeros around, and so are those that come back."""
    small, large = make_encoder(kind, (1, 5, 6)), make_encoder(kind, (1, 8, 8))
    large.load_state_dict(small.state_dict())
    x = images(3, (1, 5, 6))
    around = F.pad(x, (1, 1, 1, 2))
    assert torch.equal(settled(small)(x).mean, settled(large)(around).mean)
    small, large = make_decoder(kind, (1, 5, 6)), make_decoder(kind, (1, 8, 8))
    z = normal(3, LATENT_SIZE)
    assert torch.equal(settled(small)(z), settled(large)(z)[..., 1:6, 1:7])


@pytest.mark.parametrize("image_shape", [(1, 8, 8), (1, 7, 6)])
def test_gradients_stay_channels_last_through_the_crop(image_shape):
    decoder = settled(make_decoder("resnet", image_shape)).to(memory_format=torch.channels_last)
    found = []

    def watch(layer, given, maps):
        maps.register_hook(found.append)

    decoder.output.register_forward_hook(watch)
    (decoder(normal(3, LATENT_SIZE)) ** 2).sum().backward()
    assert [each.is_contiguous(memory_format=torch.channels_last) for each in found] == [True]


def test_first_mlp_layer_reads_the_input_twice():
    encoder = settled(make_encoder("mlp"))
    pixels = images(2).flatten(1)
    first, second = encoder.hidden.layers
    hidden = F.elu(first(torch.cat((pixels, pixels), 1)))
    hidden = F.elu(second(torch.cat((hidden, pixels), 1)))
    # Half the products, so another rounding.
    assert torch.allclose(encoder(images(2)).hidden, hidden, rtol=1e-5, atol=1e-6)


def test_residual_block_by_hand():
    block = settled(halving_block(2, 0.1))
    x = normal(2, 2, 4, 4)
    hidden = F.conv2d(F.elu(block.first_norm(x)), block.first.weight, stride=2, padding=1)
    hidden = F.conv2d(F.elu(block.second_norm(hidden)), block.second.weight, padding=1)
    nearest = F.interpolate(x, scale_factor=0.5, mode="nearest")
    assert torch.allclose(block(x), nearest + 0.1 * hidden, atol=1e-12)


def test_a_halving_shortcut_takes_every_second_row_and_column():
    x = images(2, (3, 12, 8))
    assert torch.equal(halved(x), x[..., ::2, ::2])


def test_gradients_of_channels_last_maps_are_channels_last():
    """Else every pass over them, and every convolution's gradient, has two layouts to reconcile."""
    encoder = settled(make_encoder("resnet")).train().to(memory_format=torch.channels_last)
    found = []

    def watch(block, maps):
        maps[0].register_hook(lambda gradient: found.append(gradient.is_contiguous(memory_format=torch.channels_last)))

    for block in list(encoder.blocks)[1:]:
        block.register_forward_pre_hook(watch)
    flat_output(encoder, images(3)).sum().backward()
    assert found == [True] * 5


def test_first_resnet_block_broadcasts_the_image_over_the_maps():
    block = make_encoder("resnet", IMAGE_SHAPE).double().blocks[0].eval()
    block.second.weight.data.zero_()
    x = images(2)
    assert torch.equal(block(x), x.expand(2, 5, 8, 8))
    colours = make_encoder("resnet", (3, 8, 8)).double().blocks[0].eval()
    colours.second.weight.data.zero_()
    x = images(2, (3, 8, 8))
    assert torch.equal(colours(x), x.mean(1, keepdim=True).expand(2, 5, 8, 8))


def test_dropout_of_a_network_without_dropout_is_refused_by_the_field_that_asks_for_it():
    network = nn.Linear(2, 2)
    assert with_dropout(network, 0.0, "model.encoder") is network
    with pytest.raises(ConfigError, match=r"^model\.encoder\.dropout = 0\.2 .* Linear .*model\.encoder\.dropout = 0"):
        with_dropout(network, 0.2, "model.encoder")
