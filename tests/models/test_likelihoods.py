"""Likelihoods: probabilities that sum to one, gradients, samples, in float32 and at the limits of their parameters."""

import itertools
import math

import pytest
import torch
from model_cases import generator, normal

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models import bernoulli_log_density
from iafsweep.models.likelihoods import build_likelihood
from iafsweep.models.likelihoods.discretised_logistic import log_probability

LEVELS = [2, 17, 256]
LOGISTICS = ["discretised_logistic", "discretised_logistic_mixture"]
LIMITS = [-20.0, -7.0, -3.0, 0.0, 7.0, 20.0]
MEANS = [-4.0, -1.0, -0.97, 0.0, 1 / 3, 1.0, 4.0]


def likelihood(kind, shape=(1, 1, 1), levels=2, components=3):
    values = {"kind": kind, "discretised_logistic_mixture": {"components": components}}
    return build_likelihood(LikelihoodConfig.model_validate(values), ImageFormat(shape, levels))


def every_image(channels, levels):
    """All images of one pixel, [levels^channels, channels, 1, 1]."""
    values = list(itertools.product(range(levels), repeat=channels))
    return torch.tensor(values, dtype=torch.float32)[:, :, None, None]


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("log_scale", LIMITS)
def test_probabilities_of_all_levels_sum_to_one_in_float32(levels, log_scale):
    x = torch.arange(levels, dtype=torch.float32)[:, None]
    mean = torch.tensor(MEANS)
    found = log_probability(x, mean, torch.full_like(mean, log_scale), levels)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert (found <= 1e-6).all()
    assert torch.allclose(found.double().logsumexp(0), torch.zeros(len(MEANS), dtype=torch.float64), atol=2e-5)


@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 17), (1, 256), (2, 17), (3, 2), (3, 6)])
@pytest.mark.parametrize("kind", LOGISTICS)
@pytest.mark.parametrize("spread", [0.3, 3.0, 30.0])
def test_probabilities_of_all_images_sum_to_one(kind, channels, levels, spread):
    member = likelihood(kind, (channels, 1, 1), levels)
    images = every_image(channels, levels)
    parameters = spread * torch.randn(5, 1, *member.parameter_shape, generator=generator(3))
    found = member.log_density(images, parameters.expand(5, len(images), *member.parameter_shape))
    assert found.shape == (5, len(images))
    assert torch.allclose(found.double().logsumexp(-1), torch.zeros(5, dtype=torch.float64), atol=2e-5)


@pytest.mark.parametrize("levels", LEVELS)
def test_a_level_has_the_probability_of_its_bin(levels):
    x = torch.arange(levels, dtype=torch.float64)[:, None]
    mean, log_scale = normal(30, seed=1), normal(30, seed=2) - 1
    ends = (2 * x + 1) / (levels - 1) - 1  # of the bins, above
    cumulative = torch.sigmoid((ends - mean) / log_scale.exp())
    cumulative[-1] = 1
    probabilities = torch.diff(cumulative, dim=0, prepend=torch.zeros(1, 30, dtype=torch.float64))
    assert torch.allclose(log_probability(x, mean, log_scale, levels).exp(), probabilities, atol=1e-13)


def test_a_narrow_logistic_is_certain_and_a_far_one_finite():
    x = torch.tensor([0.0, 128.0, 255.0])
    mean = 2 * x / 255 - 1
    assert torch.allclose(log_probability(x, mean, torch.tensor(-30.0), 256), torch.zeros(3), atol=0.03)
    far = log_probability(x.flip(0), mean, torch.tensor(-30.0), 256)
    assert far.isfinite().all()
    assert far[0] == pytest.approx(-(2 - 1 / 255) * math.exp(7), rel=1e-5)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("kind", LOGISTICS)
@pytest.mark.parametrize("spread", [0.5, 5.0])
def test_float32_densities_and_gradients_are_those_of_float64(kind, levels, spread):
    member = likelihood(kind, (3, 4, 5), levels)
    x = torch.randint(levels, (6, 3, 4, 5), generator=generator(1)).double()
    x[:, :, 0], x[:, :, 1] = 0, levels - 1
    parameters = (spread * torch.randn(2, 6, *member.parameter_shape, generator=generator(2))).requires_grad_()
    exact = parameters.detach().double().requires_grad_()
    found, wanted = member.log_density(x.float(), parameters), member.log_density(x, exact)
    assert torch.allclose(found.double(), wanted, rtol=1e-5, atol=1e-3)
    (gradient,) = torch.autograd.grad(found.sum(), parameters)
    (true,) = torch.autograd.grad(wanted.sum(), exact)
    assert gradient.isfinite().all()
    assert torch.allclose(gradient.double(), true, rtol=2e-3, atol=2e-4 * true.abs().max().item())


@pytest.mark.parametrize("kind", ["bernoulli", *LOGISTICS])
def test_gradients_by_differences(kind):
    member = likelihood(kind, (3, 2, 1), 2 if kind == "bernoulli" else 17, components=2)
    x = torch.randint(member.image.levels, (2, 3, 2, 1), generator=generator(5)).double()
    parameters = normal(2, *member.parameter_shape, seed=6).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: member.log_density(x, given), (parameters,))


@pytest.mark.parametrize(
    ("kind", "channels", "levels"),
    [("bernoulli", 2, 2), ("discretised_logistic", 2, 5), ("discretised_logistic_mixture", 1, 17)]
    + [("discretised_logistic_mixture", 3, 3)],
)
def test_frequencies_of_samples_are_the_probabilities(kind, channels, levels):
    count, member = 40_000, likelihood(kind, (channels, 1, 1), levels)
    images = every_image(channels, levels)
    parameters = torch.randn(1, *member.parameter_shape, generator=generator(8))
    chances = member.log_density(images, parameters.expand(len(images), -1, -1, -1)).exp().double()
    drawn = member.sample(parameters.expand(count, -1, -1, -1), generator(9))
    assert drawn.shape == (count, channels, 1, 1)
    places = sum(drawn[:, c, 0, 0] * levels ** (channels - 1 - c) for c in range(channels))
    frequencies = torch.bincount(places.long(), minlength=len(images)).double() / count
    errors = (chances * (1 - chances) / count).sqrt()
    assert ((frequencies - chances).abs() < 4.5 * errors + 2 / count).all()


@pytest.mark.parametrize("kind", LOGISTICS)
def test_means_are_those_of_samples_inside_the_range_and_stay_within_it(kind):
    member = likelihood(kind, (3, 1, 1), 256)
    parameters = 0.2 * torch.randn(1, *member.parameter_shape, generator=generator(1))
    scales = slice(3, 6) if kind == "discretised_logistic" else slice(12, 21)
    parameters[:, scales] -= 4
    drawn = member.sample(parameters.expand(20_000, -1, -1, -1), generator(2)) / 255
    assert torch.allclose(drawn.mean(0, keepdim=True), member.mean(parameters), atol=0.004)
    far = member.mean(50 * torch.randn(100, *member.parameter_shape, generator=generator(3)))
    assert far.min() >= 0
    assert far.max() <= 1


def test_samples_follow_the_generator_and_stay_levels_at_every_parameter():
    for kind in LOGISTICS:
        member = likelihood(kind, (3, 4, 4), 17)
        parameters = 30 * torch.randn(50, *member.parameter_shape, generator=generator(1))
        drawn = member.sample(parameters, generator(4))
        assert set(drawn.unique().tolist()) <= set(range(17))
        assert torch.equal(drawn, member.sample(parameters, generator(4)))
        assert not torch.equal(drawn, member.sample(parameters, generator(5)))


def test_bernoulli_is_what_it_was_bit_for_bit():
    member = likelihood("bernoulli", (2, 3, 4))
    logits = torch.randn(5, 6, 2, 3, 4, generator=generator(1))
    x = torch.rand(6, 2, 3, 4, generator=generator(2)).round()
    assert torch.equal(member.log_density(x, logits), bernoulli_log_density(x.flatten(1), logits.flatten(2)))
    noise = torch.rand(5, 6, 2, 3, 4, generator=generator(3))
    assert torch.equal(member.sample(logits, generator(3)), (noise < logits.sigmoid()).float())
    assert torch.equal(member.mean(logits), logits.sigmoid())


def test_a_mixture_of_one_is_a_logistic():
    one, single = likelihood("discretised_logistic_mixture", (1, 4, 4), 17, 1), likelihood(LOGISTICS[0], (1, 4, 4), 17)
    x = torch.randint(17, (3, 1, 4, 4), generator=generator(1)).double()
    parameters = normal(3, *single.parameter_shape)
    with_logit = torch.cat([normal(3, 1, 4, 4, seed=1), parameters], dim=1)
    assert torch.allclose(one.log_density(x, with_logit), single.log_density(x, parameters), atol=1e-12)
    assert torch.equal(one.mean(with_logit), single.mean(parameters))


def test_the_default_follows_the_levels_and_bernoulli_is_of_bits_alone():
    kinds = {levels: LikelihoodConfig().resolved(ImageFormat((1, 2, 2), levels)) for levels in LEVELS}
    assert kinds == {2: "bernoulli", 17: "discretised_logistic", 256: "discretised_logistic"}
    with pytest.raises(ValueError, match="likelihood of bits, but these images have 17 levels"):
        likelihood("bernoulli", (1, 2, 2), 17)
