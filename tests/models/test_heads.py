"""The `pixelcnn` head: a density that sums to one, no pixel that sees a later one, draws of what is scored."""

import itertools
import math

import pytest
import torch
from model_cases import generator, model_config, normal, settled
from torch.utils.flop_counter import FlopCounterMode

from iafsweep.config import AutoregressiveConfig, DecoderConfig, ImageFormat, LikelihoodConfig
from iafsweep.models import build_model
from iafsweep.models.heads import pixelcnn, with_head
from iafsweep.models.likelihoods import build_likelihood

LIKELIHOODS = {"bernoulli": 2, "discretised_logistic": 3, "discretised_logistic_mixture": 3}
SMALL = {"layers": 2, "maps": 4, "features": 3, "kernel": 3}


def head_config(**sizes):
    return AutoregressiveConfig.model_validate({"kind": "pixelcnn", "pixelcnn": SMALL | sizes})


def make_head(kind="bernoulli", shape=(1, 3, 3), spread=0.5, **sizes):
    """A head in float64 whose weights are far from where they start."""
    values = {"kind": kind, "discretised_logistic_mixture": {"components": 2}}
    pixel = build_likelihood(LikelihoodConfig.model_validate(values), ImageFormat(shape, LIKELIHOODS[kind]))
    return settled(with_head(pixel, head_config(**sizes)), spread=spread)


def every_image(shape, levels):
    values = list(itertools.product(range(levels), repeat=math.prod(shape)))
    return torch.tensor(values, dtype=torch.float64).reshape(-1, *shape)


def features_of(head, *leading, seed=0):
    return normal(*leading, *head.parameter_shape, seed=seed)


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("shape", [(1, 3, 3), (1, 1, 5), (1, 6, 1), (2, 3, 4), (3, 2, 3)])
@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_no_probability_sees_what_comes_after_it_to_the_bit(kind, shape, kernel, layers):
    head = make_head(kind, shape, layers=layers, kernel=kernel).float()
    channels, height, width = shape
    x = torch.randint(head.image.levels, (1, *shape), generator=generator(1)).float()
    features = features_of(head, 1).float()
    before = head.parameters_of(x, features)[0]
    places = torch.arange(height * width).reshape(height, width)
    first = torch.tensor(head.pixel.channel_of_map)
    for channel, row, column in itertools.product(range(channels), range(height), range(width)):
        other = x.clone()
        other[0, channel, row, column] = (other[0, channel, row, column] + 1) % head.image.levels
        after = head.parameters_of(other, features)[0]
        here = row * width + column
        assert torch.equal(after[:, places < here], before[:, places < here])
        same = first <= channel
        assert torch.equal(after[same, row, column], before[same, row, column])
        if channel < channels - 1:
            assert (after[~same, row, column] != before[~same, row, column]).any()
        if column < width - 1:
            assert (after[:, row, column + 1] != before[:, row, column + 1]).all()
        if row < height - 1:
            assert (after[:, row + 1, column] != before[:, row + 1, column]).all()


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("bernoulli", (1, 3, 3)), ("bernoulli", (3, 1, 3)), ("discretised_logistic", (1, 2, 2))]
    + [("discretised_logistic", (2, 2, 1)), ("discretised_logistic_mixture", (3, 1, 2))],
)
def test_the_probabilities_of_all_images_sum_to_one_given_z(kind, shape):
    head = make_head(kind, shape)
    images = every_image(shape, head.image.levels)
    features = features_of(head, 4, 1).expand(4, len(images), *head.parameter_shape)
    found = head.log_density(images, features)
    assert found.shape == (4, len(images))
    assert found.exp().amax() < 0.9  # not one of them has it all
    assert torch.allclose(found.logsumexp(-1), torch.zeros(4, dtype=torch.float64), atol=1e-12)


def test_a_pixel_follows_those_before_it():
    head = make_head()
    images, features = every_image((1, 3, 3), 2), features_of(head, 1)
    chances = head.log_density(images, features.expand(512, *head.parameter_shape)).exp().reshape([2] * 9)
    last = chances.sum((2, 3, 5, 6)).reshape(2, 2, 2, 2, 2)[:, :, :, :, 1].flatten()
    both = chances.sum((2, 3, 5, 6)).sum(-1).flatten()
    assert (last / both).std() > 0.01  # of the last pixel, given some of the others


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("bernoulli", (1, 2, 2)), ("bernoulli", (2, 1, 2)), ("discretised_logistic", (1, 2, 2))]
    + [("discretised_logistic_mixture", (2, 1, 2)), ("discretised_logistic_mixture", (1, 2, 2))],
)
def test_frequencies_of_draws_are_the_probabilities_that_are_scored(kind, shape, monkeypatch):
    monkeypatch.setattr(pixelcnn, "_IMAGES_AT_A_TIME", 20_000)
    count, head = 20_000, make_head(kind, shape)
    images = every_image(shape, head.image.levels)
    features = features_of(head, 1)
    chances = head.log_density(images, features.expand(len(images), *head.parameter_shape)).exp()
    with torch.no_grad():
        drawn = head.sample(features.expand(count, *head.parameter_shape), generator(3)).flatten(1)
    weights = torch.tensor([head.image.levels**power for power in reversed(range(drawn.shape[1]))])
    frequencies = torch.bincount((drawn * weights).sum(1).long(), minlength=len(images)).double() / count
    errors = (chances * (1 - chances) / count).sqrt()
    assert ((frequencies - chances).abs() < 4.5 * errors + 2 / count).all()


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("kind", LIKELIHOODS)
@torch.no_grad()
def test_a_draw_is_what_one_pass_over_it_draws_of_the_same_noise(kind, kernel, layers):
    head = make_head(kind, (2, 5, 4), layers=layers, kernel=kernel)
    features = features_of(head, 2, 3)
    noise = head.noise(features, generator(2))
    drawn = head.from_noise(features, noise)
    assert drawn.shape == (2, 3, 2, 5, 4)
    x, flat = drawn.flatten(0, 1), features.flatten(0, 1)
    again = head.pixel.from_noise(head.parameters_of(x, flat), noise.flatten(0, 1))
    assert torch.equal(again, x)


@torch.no_grad()
def test_draws_are_those_of_the_generator_whatever_the_chunks(monkeypatch):
    head = make_head(shape=(1, 6, 5))
    features = features_of(head, 7)
    found = head.sample(features, generator(1))
    assert not torch.equal(found, head.sample(features, generator(2)))
    for at_a_time in (1, 3, 7):
        monkeypatch.setattr(pixelcnn, "_IMAGES_AT_A_TIME", at_a_time)
        heard = []
        assert torch.equal(head.sample(features, generator(1), lambda *done: heard.append(done)), found)  # noqa: B023
        rows = 6 * -(-7 // at_a_time)
        assert heard == [(row, rows) for row in range(1, rows + 1)]


def test_a_draw_can_be_ended_and_leaves_nothing_behind():
    head = make_head(shape=(1, 6, 5))
    features = features_of(head, 3)
    whole = head.sample(features, generator(1))

    def end(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        head.sample(features, generator(1), end)
    assert torch.equal(head.sample(features, generator(1)), whole)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 6, 4), pytest.param((1, 28, 28), marks=pytest.mark.slow)], ids=str)
@torch.no_grad()
def test_drawing_takes_no_more_arithmetic_than_scoring(shape):
    head = make_head(shape=shape, kernel=5).float()
    features = features_of(head, 64).float()
    with FlopCounterMode(display=False) as scoring:
        head.parameters_of(torch.zeros(64, *shape), features)
    with FlopCounterMode(display=False) as drawing:
        head.sample(features, generator(1))
    assert scoring.get_total_flops() > 0
    assert drawing.get_total_flops() == scoring.get_total_flops()
    _, height, width = shape
    single_row_pass = scoring.get_total_flops() / height
    assert drawing.get_total_flops() <= 2 * height * width * single_row_pass


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_most_probable_value_is_that_of_the_largest_conditional_probability(kind):
    shape, levels = (2, 2, 1), LIKELIHOODS[kind]
    head = make_head(kind, shape, spread=1.0)
    features = features_of(head, 1)
    images = every_image(shape, levels)
    chances = head.log_density(images, features.expand(len(images), *head.parameter_shape)).exp().reshape([levels] * 4)
    # Values are drawn pixel by pixel, in a pixel channel by channel: [c, row] to the order row, c.
    ordered = chances.permute(0, 2, 1, 3)
    found = head.most_probable(images, features.expand(len(images), *head.parameter_shape))
    for x, guess in zip(images.long(), found.long(), strict=True):
        values, guesses = x[:, :, 0].T.flatten().tolist(), guess[:, :, 0].T.flatten().tolist()
        for place in range(4):
            given = ordered[tuple(values[:place])]
            marginal = given.sum(tuple(range(1, given.dim()))) if given.dim() > 1 else given
            assert guesses[place] == int(marginal.argmax())


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_gradients_by_differences(kind):
    head = make_head(kind, (2, 2, 2))
    x = torch.randint(head.image.levels, (2, 2, 2, 2), generator=generator(5)).double()
    features = features_of(head, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: head.log_density(x, given), (features,))


def test_more_features_and_more_maps_in_all_take_the_memory_of_more_rows():
    pixels = 6 * 5
    small = make_head(shape=(1, 6, 5), layers=2, maps=4, features=3)
    assert (small.row_numbers, small.pixel.row_numbers) == (3 * pixels, pixels)
    assert make_head(shape=(1, 6, 5), layers=8, maps=64, features=1).row_numbers == 4 * pixels


def test_off_is_the_likelihood_itself():
    pixel = build_likelihood(LikelihoodConfig(), ImageFormat((1, 2, 2)))
    assert with_head(pixel, AutoregressiveConfig()) is pixel


def model_of(shape=(1, 6, 5), levels=2, decoder="mlp", **sizes):
    config = model_config(decoder=decoder)
    decoders = config.decoder.model_dump() | {"autoregressive": head_config(**sizes).model_dump()}
    config = config.model_copy(update={"decoder": DecoderConfig.model_validate(decoders)})
    return build_model(config, ImageFormat(shape, levels), seed=1).eval()


@pytest.mark.parametrize("decoder", ["mlp", "resnet", "gated_conv"])
@pytest.mark.parametrize(("shape", "levels"), [((1, 8, 8), 2), ((3, 8, 8), 7)])
def test_every_decoder_takes_it_and_samples_are_a_loop(decoder, shape, levels):
    model = settled(model_of(shape, levels, decoder))
    x = torch.randint(levels, (3, *shape), generator=generator(1)).double()
    z = normal(2, 3, 4)
    found = model.log_likelihood(x, z)
    assert found.shape == (2, 3)
    assert torch.allclose(found[1], model.log_likelihood(x, z[1]), atol=1e-10)
    assert not torch.allclose(found[0], found[1])
    pictures = model.sample(2, generator(3))
    assert set((pictures * (levels - 1)).round().unique().tolist()) <= set(range(levels))
    assert torch.equal(pictures, model.sample(2, generator(3)))
    assert model.reconstruct(x).shape == model.predict(x).shape == x.shape
    assert not torch.equal(model.predict(x), model.predict(1 - x if levels == 2 else (x + 1) % levels))  # noqa: PLR2004


def test_gradients_in_z_in_float32_are_those_of_float64():
    model = model_of(layers=3, maps=6)
    exact = settled(model_of(layers=3, maps=6))
    model.load_state_dict(exact.state_dict())
    x = torch.randint(2, (4, 1, 6, 5), generator=generator(1))
    z = normal(5, 4, 4)
    found, wanted = (
        torch.autograd.grad(each.log_joint(x.to(given.dtype), given).sum(), given)[0]
        for each, given in ((model, z.float().requires_grad_()), (exact, z.requires_grad_()))
    )
    assert torch.allclose(found.double(), wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())
