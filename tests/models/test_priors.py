"""Priors: densities that integrate to one, samples that have them, inverses, what each may be combined with."""

import math

import pytest
import torch
from model_cases import (
    IMAGE_SHAPE,
    LATENT_SIZE,
    PRIOR_CASES,
    PRIOR_SIZES,
    encoder_config,
    flow_config,
    generator,
    gradients_missing,
    influence_of_other_rows,
    make_prior,
    model_config,
    normal,
    settled,
)
from torch.autograd.functional import jacobian

from iafsweep.config import EvaluationConfig, HaisConfig, ImageFormat, ModelConfig, PriorConfig
from iafsweep.estimators.annealing import annealed_importance_sampling
from iafsweep.evaluation.bridges import prior_bridge
from iafsweep.evaluation.simulated import SimulatedShard, simulate, squeeze
from iafsweep.models import build_model, folded
from iafsweep.models.build import initialise
from iafsweep.models.densities import standard_normal_log_density

FLOWS = ["autoregressive", "spline_coupling"]
LEARNED = [*FLOWS, "vamp"]
REACH, STEP = 6.5, 0.06


def trained(kind, latent_size=LATENT_SIZE, spread=0.3):
    """A prior, and the encoder it may lean on, as if trained, in float64."""
    prior = make_prior(kind, latent_size)
    if kind == "vamp":
        settled(prior._encoder[0], seed=5)
    return settled(prior, spread=spread)


def whole_model(kind, normalisation="batch_norm", **settings):
    flow = flow_config(depth=0) if kind == "vamp" else flow_config()
    encoder = "gated_conv" if kind == "vamp" else "mlp"
    prior = PriorConfig(kind=kind, **PRIOR_SIZES)
    config = model_config(encoder=encoder, flow=flow, prior=prior, normalisation=normalisation, **settings)
    return build_model(config, ImageFormat(IMAGE_SHAPE), 3)


def grid():
    axis = torch.arange(-REACH, REACH + STEP, STEP, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


@pytest.mark.parametrize("kind", PRIOR_CASES)
def test_two_dimensional_density_integrates_to_one_and_samples_have_its_moments(kind):
    prior = trained(kind, 2)
    z = grid()
    with torch.no_grad():
        weights = prior.log_density(z).exp() * STEP**2
        sample = prior.sample(20_000, generator(), z)
    assert abs(weights.sum().item() - 1) < 1e-3  # splines bend at their knots, between the points of the grid
    for power in (1, 2):
        moments = torch.cat([z**power, z[:, :1] * z[:, 1:]], dim=1)
        expected = (weights[:, None] * moments).sum(0)
        drawn = torch.cat([sample**power, sample[:, :1] * sample[:, 1:]], dim=1)
        error = drawn.std(0) / math.sqrt(len(drawn))
        assert ((drawn.mean(0) - expected).abs() < 5 * error).all()
    # Not the moments alone: the density of the samples themselves has the mean that the grid has.
    log_density = prior.log_density(sample)
    entropy = (weights * prior.log_density(z)).nan_to_num().sum()
    assert abs(log_density.mean() - entropy) < 5 * log_density.std() / math.sqrt(len(sample))


@pytest.mark.parametrize("kind", FLOWS)
def test_samples_are_noise_moved_by_the_inverse_of_the_density_s_map(kind):
    prior = trained(kind)
    noise = normal(3, 2, LATENT_SIZE)
    z = prior.from_noise(noise)
    back, log_det = prior.to_noise(z)
    assert (back - noise).abs().max() < 1e-9
    assert torch.allclose(prior.log_density(z), standard_normal_log_density(noise) + log_det)
    matrix = jacobian(lambda z: prior.to_noise(z)[0], z[0, 0])
    assert abs(torch.linalg.slogdet(matrix)[1] - log_det[0, 0]) < 1e-9


@pytest.mark.parametrize("kind", FLOWS)
def test_a_new_flow_prior_is_nearly_the_standard_normal(kind):
    prior = make_prior(kind)
    initialise(prior, generator())
    z = normal(50, LATENT_SIZE).float()
    difference = (prior.log_density(z) - standard_normal_log_density(z)).abs().max()
    assert 0 < difference < 0.3


@pytest.mark.parametrize("kind", PRIOR_CASES)
def test_rows_do_not_touch_in_training_either_and_sample_dimensions_are_a_loop(kind):
    prior = trained(kind).train()
    z = normal(4, LATENT_SIZE)
    assert influence_of_other_rows(lambda z: prior.log_density(z)[:, None], z) == 0.0
    many = normal(2, 3, 4, LATENT_SIZE)
    assert torch.allclose(prior.log_density(many)[1, 2], prior.log_density(many[1, 2]), atol=1e-12)


@pytest.mark.parametrize("kind", LEARNED)
def test_gradient_reaches_every_parameter_and_float32_is_close(kind):
    prior = trained(kind)
    z = normal(40, LATENT_SIZE)
    log_density = prior.log_density(z)
    assert gradients_missing(prior, log_density.sum()) == []
    encoder = prior._encoder[0].float() if kind == "vamp" else None
    low = prior.float().log_density(z.float())
    assert encoder is None or next(encoder.parameters()).dtype == torch.float32
    assert torch.allclose(low.double(), log_density, atol=1e-3)


def test_autoregressive_sampling_says_how_far_it_is():
    said = []
    prior = trained("autoregressive")
    prior.sample(2, generator(), normal(1), passes=lambda done, total: said.append((done, total)))
    assert said == [(done, 2 * LATENT_SIZE) for done in range(1, 2 * LATENT_SIZE + 1)]
    heard = []
    whole_model("autoregressive").eval().sample(2, progress=lambda done, total: heard.append(done))
    assert heard[-1] == len(heard) > LATENT_SIZE


@pytest.mark.parametrize("kind", PRIOR_CASES)
def test_prior_starts_are_exact_draws_and_one_temperature_is_importance_sampling(kind):
    model = whole_model(kind).double().eval()
    x = (torch.rand(3, *IMAGE_SHAPE, generator=generator()) < 0.5).double()
    bridge = prior_bridge(model, x, model.posterior(x))
    start = bridge.draw(7, generator(1))
    noise = torch.randn(50, 3, model.prior.noise_size, generator=generator(1), dtype=torch.float64)[:7]
    assert torch.allclose(start, model.prior.from_noise(noise), atol=1e-12)
    log_start, log_target = bridge.log_densities(start)
    assert torch.allclose(log_start, model.log_prior(start))
    assert torch.allclose(log_target, model.log_joint(x, start))
    run = annealed_importance_sampling(
        bridge, 7, torch.tensor([0.0, 1.0]), step_size=0.1, leapfrog_steps=2, generator=generator(1)
    )
    assert torch.allclose(run.log_weights, model.log_likelihood(x, start), atol=1e-9)


@pytest.mark.parametrize("kind", PRIOR_CASES)
@pytest.mark.parametrize("normalisation", ["batch_norm", "weight_norm", "none"])
def test_a_folded_model_has_the_same_densities_and_leaves_the_other_as_it_was(kind, normalisation):
    model = whole_model(kind, normalisation).eval()
    x = (torch.rand(5, *IMAGE_SHAPE, generator=generator()) < 0.5).float()
    noise = normal(5, LATENT_SIZE).float()

    def joint(model):
        z, log_det = model.transform_noise(noise, model.posterior(x))
        return model.log_joint(x, z) + log_det

    before = joint(model)
    made = folded(model)
    assert torch.allclose(joint(made), before, atol=1e-4)
    assert torch.equal(joint(model), before)
    assert torch.allclose(made.sample(3), model.sample(3), atol=1e-6)
    assert not any(parameter.requires_grad for parameter in made.parameters())


@pytest.mark.parametrize("kind", PRIOR_CASES)
def test_no_rows_give_no_rows(kind):
    model = whole_model(kind).eval()
    for each in (model, folded(model)):
        assert each.sample(0).shape == (0, *IMAGE_SHAPE)
        assert each.log_prior(torch.zeros(3, 0, LATENT_SIZE)).shape == (3, 0)


@pytest.mark.parametrize("kind", PRIOR_CASES)
def test_simulated_latent_variables_are_draws_of_the_prior_each_of_its_own_place(kind):
    model = whole_model(kind).eval()
    images = simulate(model, 0, range(4))
    assert torch.allclose(simulate(model, 0, range(2, 4)).z, images.z[2:], atol=1e-6)
    assert images.z.std() > 0.02


@pytest.mark.parametrize("start", ["posterior", "prior"])
@pytest.mark.parametrize("kind", LEARNED)
def test_the_sandwich_holds_from_every_start(kind, start):
    hais = HaisConfig(enabled=True, chains=2, temperatures=6, leapfrog_steps=2, initial_step_size=0.05)
    model = folded(whole_model(kind).eval())
    result = squeeze(model, SimulatedShard(start=start, first=0, count=6), EvaluationConfig(hais=hais), 0.05)
    gaps = torch.tensor(result.upper) - torch.tensor(result.lower)
    assert gaps.isfinite().all()
    assert gaps.mean() > -3 * gaps.std() / math.sqrt(len(gaps))


def test_a_deeper_copy_of_a_vamp_prior_leans_on_its_own_encoder():
    import copy

    model = whole_model("vamp")
    other = copy.deepcopy(model)
    assert other.prior._encoder[0] is other.encoder
    assert not any("encoder" in name for name in model.prior.state_dict())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"prior": {"kind": "vamp"}}, "that takes the inverse of each step.*set flow.depth = 0"),
        ({"prior": {"kind": "vamp"}, "flow": {"depth": 0}}, "batch norm would mix the statistics of both"),
        ({"prior": {"kind": "autoregressive", "autoregressive": {"width": 8}}}, "width of at least 63"),
        ({"prior": {"kind": "spline_coupling"}, "latent_size": 1}, "has no halves"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_reason(values, said):
    with pytest.raises(ValueError, match=said):
        ModelConfig.model_validate(values)


def test_the_vamp_prior_is_the_mixture_of_posteriors_on_paper_in_float32_too():
    prior = trained("vamp")
    z = 3 * normal(20, LATENT_SIZE)
    mean, log_std = prior.components(torch.float64)
    each = torch.distributions.Normal(mean, log_std.exp()).log_prob(z[:, None]).sum(-1)
    expected = torch.logsumexp(each, 1) - math.log(len(mean))
    assert torch.allclose(prior.log_density(z), expected, atol=1e-9)
    prior.fix()
    low = prior.log_density(z.float())
    assert low.dtype == torch.float32
    assert torch.allclose(low.double(), expected, rtol=1e-5)


def test_far_components_of_the_vamp_prior_have_no_gradient_and_none_is_denormal():
    prior = make_prior("vamp", 2)
    mean = torch.tensor([[0.0, 0.0], [2.0, 0.0], [13.5, 0.0], [14.0, 0.0], [50.0, 0.0]], requires_grad=True)
    prior.components = lambda dtype: (mean.to(dtype), torch.zeros(5, 2, dtype=dtype))
    z = torch.zeros(3, 2)
    found = prior.log_density(z)
    plain = torch.distributions.Normal(mean.double(), 1.0).log_prob(z[:, None].double()).sum(-1).logsumexp(1)
    assert torch.equal(found, (plain - math.log(5)).float())
    (gradient,), (exact,) = (torch.autograd.grad(each.sum(), mean) for each in (found, plain))
    assert torch.allclose(gradient[:2], exact[:2], rtol=1e-6)
    assert not gradient[2:].any()
    assert 0 < exact[2:4, 0].abs().min() < 1e-38  # a denormal number


def test_vamp_goes_with_an_encoder_without_batch_norm():
    allowed = {"prior": {"kind": "vamp"}, "flow": {"depth": 0}}
    ModelConfig.model_validate(allowed | {"normalisation": "weight_norm"})
    ModelConfig.model_validate(allowed | {"encoder": {"kind": "gated_conv"}})
    assert encoder_config("gated_conv").chosen.normalised is False
