"""The whole model: densities that are densities, samples that are reproducible."""

import itertools

import pytest
import torch
from model_cases import (
    DECODER_CASES,
    ENCODER_CASES,
    FLOW_CONFIGS,
    IMAGE_SHAPE,
    LATENT_SIZE,
    flow_config,
    generator,
    gradients_missing,
    images,
    influence_of_other_rows,
    model_config,
    normal,
    settled,
)
from torch import nn
from torch.autograd.functional import jacobian

from iafsweep.config import ImageFormat
from iafsweep.models import VAE, build_model, diagonal_normal_log_density, standard_normal_log_density
from iafsweep.models.flows import IdentityFlow

IN_TWO_DIMENSIONS = ["identity", "gated", "gated_bias", "gated_linear", "shift", "planar", "naf", "spline"] + [
    f"sylvester_{variant}" for variant in ("orthogonal", "householder", "triangular")
]


def make_model(image_shape=IMAGE_SHAPE, seed=0, **settings):
    return settled(build_model(model_config(**settings), ImageFormat(image_shape), seed), seed=seed)


def log_posterior(model, noise, parameters):
    _, log_det = model.transform_noise(noise, parameters)
    return standard_normal_log_density(noise) - log_det


@pytest.mark.parametrize(("encoder", "decoder"), list(itertools.product(ENCODER_CASES, DECODER_CASES)))
def test_any_encoder_goes_with_any_decoder(encoder, decoder):
    model = make_model(encoder=encoder, decoder=decoder)
    x, noise = images(2), normal(3, 2, LATENT_SIZE)
    parameters = model.encode(x)
    z, log_det = model.transform_noise(noise, parameters)
    assert parameters.mean.shape == parameters.log_std.shape == (2, LATENT_SIZE)
    assert parameters.context.shape == (2, 6)
    assert model.decode(z).shape == (3, 2, *IMAGE_SHAPE)
    bound = model.log_joint(x, z) + log_det - standard_normal_log_density(noise)
    assert bound.shape == (3, 2)
    assert bound.isfinite().all()
    assert gradients_missing(model, bound.mean()) == []


def test_rows_do_not_touch_in_eval_mode():
    model = make_model(encoder="resnet", decoder="resnet")
    noise = normal(3, LATENT_SIZE)

    def joint(x):
        z, log_det = model.transform_noise(noise, model.encode(x))
        return (model.log_joint(x.detach(), z) + log_det).unsqueeze(-1)

    assert influence_of_other_rows(joint, images(3)) == 0.0
    model.train()
    assert influence_of_other_rows(joint, images(3)) > 1e-6


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_log_det_of_the_noise_transform(name):
    model = make_model(flow=FLOW_CONFIGS[name])
    parameters = model.encode(images(1))
    noise = normal(1, LATENT_SIZE)
    matrix = jacobian(lambda noise: model.transform_noise(noise, parameters)[0][0], noise)[:, 0]
    log_det = model.transform_noise(noise, parameters)[1].item()
    assert abs(log_det - torch.linalg.slogdet(matrix).logabsdet.item()) < 1e-9


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_noise_comes_back(name):
    model = make_model(flow=FLOW_CONFIGS[name])
    parameters = model.encode(images(2))
    noise = normal(5, 2, LATENT_SIZE)
    z, _ = model.transform_noise(noise, parameters)
    assert (model.invert_noise(z, parameters) - noise).abs().max() < 1e-9


@pytest.mark.parametrize("name", IN_TWO_DIMENSIONS)
def test_two_dimensional_posterior_integrates_to_one(name):
    model = make_model(latent_size=2, flow=FLOW_CONFIGS[name], posterior_offset=-1.0)
    parameters = model.encode(images(1))
    with torch.no_grad():
        draws, _ = model.transform_noise(normal(4000, 1, 2), parameters)
        middle, reach = draws.mean((0, 1)), 1.6 * (draws.amax((0, 1)) - draws.amin((0, 1))) / 2
        axes = [torch.linspace(-1, 1, 301, dtype=torch.float64) * r + m for m, r in zip(middle, reach, strict=True)]
        grid = torch.cartesian_prod(*axes).unsqueeze(1)
        density = log_posterior(model, model.invert_noise(grid, parameters), parameters).exp()
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    assert abs((density.sum() * cell).item() - 1) < 1e-3


def test_depth_zero_is_a_plain_gaussian():
    model = make_model(flow=flow_config(depth=0), posterior_offset=-1.0)
    parameters = model.encode(images(2))
    assert model.context_map is None
    assert parameters.context is None
    noise = normal(5, 2, LATENT_SIZE)
    z, _ = model.transform_noise(noise, parameters)
    expected = diagonal_normal_log_density(z, parameters.mean, parameters.log_std)
    assert torch.allclose(z, parameters.mean + parameters.log_std.exp() * noise, atol=1e-12)
    assert torch.allclose(log_posterior(model, noise, parameters), expected, atol=1e-12)


def test_offset_is_added_to_the_log_standard_deviation():
    low, high = make_model(posterior_offset=-3.0), make_model(posterior_offset=0.5)
    difference = high.encode(images(2)).log_std - low.encode(images(2)).log_std
    assert torch.allclose(difference, torch.full_like(difference, 3.5), atol=1e-12)
    assert torch.equal(high.encode(images(2)).mean, low.encode(images(2)).mean)


@pytest.mark.parametrize("decoder", DECODER_CASES)
def test_sample_dimensions_equal_a_loop(decoder):
    model = make_model(decoder=decoder)
    x, noise = images(3), normal(2, 4, 3, LATENT_SIZE)
    parameters = model.encode(x)
    z, log_det = model.transform_noise(noise, parameters)
    joint = model.log_joint(x, z)
    assert log_det.shape == joint.shape == (2, 4, 3)
    for i, j in itertools.product(range(2), range(4)):
        one, one_log_det = model.transform_noise(noise[i, j], parameters)
        assert torch.allclose(z[i, j], one, atol=1e-12)
        assert torch.allclose(log_det[i, j], one_log_det, atol=1e-12)
        assert torch.allclose(joint[i, j], model.log_joint(x, one), atol=1e-10)


def test_log_joint_is_likelihood_plus_prior():
    model = make_model()
    x, z = images(2), normal(2, LATENT_SIZE)
    p = model.decode(z).sigmoid()
    likelihood = (x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    assert torch.allclose(model.log_likelihood(x, z), likelihood, atol=1e-9)
    assert torch.equal(model.log_prior(z), standard_normal_log_density(z))
    assert torch.allclose(model.log_joint(x, z), likelihood + standard_normal_log_density(z), atol=1e-9)


def test_decode_takes_any_leading_dimensions():
    model = make_model()
    assert model.decode(normal(LATENT_SIZE)).shape == IMAGE_SHAPE
    assert model.decode(normal(2, 3, 5, LATENT_SIZE)).shape == (2, 3, 5, *IMAGE_SHAPE)
    assert model.decode(normal(0, LATENT_SIZE)).shape == (0, *IMAGE_SHAPE)


def test_eval_mode_is_deterministic_and_changes_nothing():
    model = make_model(encoder="resnet", decoder="resnet")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    z = normal(2, LATENT_SIZE)
    first, second = (model.log_joint(images(2), z) + model.encode(images(2)).mean.sum(-1) for _ in range(2))
    assert torch.equal(first, second)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_training_mode_moves_the_averages():
    model = make_model().train()
    before = model.encoder.output.norm.running_mean.clone()
    model.encode(images(3))
    assert not torch.equal(before, model.encoder.output.norm.running_mean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_and_reconstructions_are_probabilities_of_their_seed(dtype):
    model = make_model(decoder="resnet").to(dtype)
    x = images(3).to(dtype)
    draws = [
        lambda seed: model.sample(3, generator(seed)),
        lambda seed: model.reconstruct(x, generator(seed)),
    ]
    for draw in draws:
        probabilities = draw(0)
        assert probabilities.shape == (3, *IMAGE_SHAPE)
        assert probabilities.dtype == dtype
        assert not probabilities.requires_grad
        assert (probabilities > 0).all()
        assert (probabilities < 1).all()
        assert torch.equal(draw(0), probabilities)
        assert not torch.equal(draw(1), probabilities)


def test_samples_come_from_the_trained_decoder():
    model = make_model()
    z = torch.randn(2, LATENT_SIZE, generator=generator(), dtype=torch.float64)
    assert torch.equal(model.sample(2, generator()), model.decode(z).sigmoid())


def test_global_random_state_is_left_alone():
    model = make_model()
    before = torch.get_rng_state()
    model.sample(2, generator())
    model.reconstruct(images(2), generator())
    assert torch.equal(before, torch.get_rng_state())


def test_training_mode_is_refused_where_it_would_do_harm():
    model = make_model().train()
    parameters = model.encode(images(2))
    with pytest.raises(RuntimeError, match=r"sample needs a model in eval mode.*call model.eval\(\)"):
        model.sample(2, generator())
    with pytest.raises(RuntimeError, match="reconstruct needs a model in eval mode"):
        model.reconstruct(images(2), generator())
    with pytest.raises(RuntimeError, match="invert_noise needs a model in eval mode"):
        model.invert_noise(normal(2, LATENT_SIZE), parameters)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected images of shape \[B, 1, 8, 8\], got \[2, 1, 4, 4\]"):
        make_model().encode(images(2, (1, 4, 4)))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float32])
def test_bits_of_any_type_are_the_same_images(dtype):
    model, bits = make_model(), images(3)
    assert torch.equal(model.encode(bits.to(dtype)).mean, model.encode(bits).mean)
    assert torch.equal(model.reconstruct(bits.to(dtype)), model.reconstruct(bits))


@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (torch.zeros(2, *IMAGE_SHAPE).numpy(), TypeError, "must be a torch.Tensor, got numpy.ndarray"),
        (torch.zeros(2, *IMAGE_SHAPE, dtype=torch.complex64), TypeError, "must be real numbers, got torch.complex64"),
        (torch.full((2, *IMAGE_SHAPE), 200, dtype=torch.uint8), ValueError, "binarise grey values"),
        (torch.full((2, *IMAGE_SHAPE), torch.nan), ValueError, "probabilities from 0 to 1"),
        (torch.full((2, *IMAGE_SHAPE), -0.5), ValueError, "probabilities from 0 to 1"),
    ],
)
def test_what_are_no_images_is_said_in_words(x, error, match):
    model = make_model()
    for use in (model.encode, model.reconstruct):
        with pytest.raises(error, match=match):
            use(x)


def test_what_is_no_number_of_samples_is_said_in_words():
    model = make_model()
    with pytest.raises(ValueError, match="count must be at least 0, got -1"):
        model.sample(-1)
    for count in (3.5, True, "3", None):
        with pytest.raises(TypeError, match="count must be a whole number"):
            model.sample(count)
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator or None, got int 1; .*manual_seed"):
        model.sample(2, 1)


def test_context_map_and_flow_must_agree():
    model = make_model()
    with pytest.raises(ValueError, match="needs a context map"):
        VAE(
            model.encoder,
            nn.Identity(),
            IdentityFlow(),
            model.decoder,
            model.prior,
            model.likelihood,
            latent_size=LATENT_SIZE,
            posterior_offset=0.0,
        )
