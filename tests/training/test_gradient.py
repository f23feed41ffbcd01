"""Estimators of gradients against those of linear-Gaussian models, which are known; means within 4 standard errors."""

import functools
import math

import numpy as np
import pytest
import torch
from torch import nn

from iafsweep.config import DecoderConfig, ImageFormat, TrainingConfig
from iafsweep.models import VAE, build_model
from iafsweep.models.densities import diagonal_normal_log_density, standard_normal_log_density
from iafsweep.models.flows import Flow, IdentityFlow
from iafsweep.models.vae import PosteriorParameters
from iafsweep.training.batches import Batch
from iafsweep.training.computing import Computing
from iafsweep.training.gradient import PLAIN, Objective, gradient_of, objective_in
from tests.models.model_cases import FLOW_CONFIGS, IMAGE_SHAPE, model_config, settled

EAGER = Computing("float32", compiled=False)
ELBO, STL = Objective(3), Objective(1, path_alone=True)
IWAE, DREG = Objective(2, weighted=True), Objective(2, weighted=True, path_alone=True)
PIXELS, STD, DRAWS = 3, 0.8, 4000
WEIGHTS = [1.0, 0.6]


class Bent(Flow):
    """``z' = z + c tanh(z)``: every coordinate alone, so that the score goes through by a division."""

    pushes_scores = True

    def __init__(self, c):
        super().__init__()
        self.context_size, self.c = None, nn.Parameter(c)

    @classmethod
    def from_config(cls, config, latent_size, batch_norm_momentum):
        return cls(torch.zeros(latent_size))

    def _slope(self, z):
        return 1 + self.c * (1 - z.tanh() ** 2)

    def forward(self, z, context):
        return z + self.c * z.tanh(), self._slope(z).log().sum(-1)

    def inverse(self, z, context):
        found = z
        for _ in range(200):
            found = found - (found + self.c * found.tanh() - z) / self._slope(found)
        return found

    def push_score(self, z, context, score):
        slope, tanh = self._slope(z), z.tanh()
        curvature = -2 * self.c * tanh * (1 - tanh**2)
        return (score - curvature / slope) / slope


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x | z ~ N(W z, STD^2 I); q = N(mean, std^2), bent or not. Every row has parameters of its own."""

    transform_noise, posterior_score = VAE.transform_noise, VAE.posterior_score

    def __init__(self, mean, log_std, weight, rows, flow=None):
        super().__init__()
        self.mean, self.log_std = (nn.Parameter(each.expand(rows, -1).clone()) for each in (mean, log_std))
        self.weight = nn.Parameter(weight.expand(rows, -1, -1).clone())
        self.flow = flow or IdentityFlow()

    def posterior(self, x):
        return PosteriorParameters(self.mean, self.log_std, None)

    def log_likelihood(self, x, z):
        mean = torch.einsum("bxd,...bd->...bx", self.weight, z)
        return diagonal_normal_log_density(x, mean, torch.tensor(math.log(STD)))

    def log_prior(self, z):
        return standard_normal_log_density(z)


def setting(latent, seed=0):
    draws = torch.Generator().manual_seed(seed)
    weight = torch.randn(PIXELS, latent, generator=draws, dtype=torch.float64)
    x = torch.randn(PIXELS, generator=draws, dtype=torch.float64)
    mean = torch.full((latent,), 0.4, dtype=torch.float64)
    return x, mean, torch.full((latent,), -0.3, dtype=torch.float64), weight


def gradients(objective, kl_weight, latent=2, draws=DRAWS, bend=None, free_bits=0.0, at=None):
    """The loss, and the gradient of each draw by parameter, [draws, ...]."""
    x, *parameters = setting(latent)
    flow = None if bend is None else Bent(torch.full((draws, latent), bend, dtype=torch.float64))
    model = LinearGaussian(*(at or parameters), draws, flow)
    size = (draws, latent) if objective.samples == 1 else (objective.samples, draws, latent)
    noise = torch.randn(size, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    loss = gradient_of(model, EAGER, objective, free_bits).backward(Batch(x.expand(draws, -1), noise), kl_weight)
    return loss, {name: each.grad * draws for name, each in model.named_parameters()}


def analytic_elbo(kl_weight, latent=2):
    """The gradient of minus the ELBO: E|x - W z|^2 = |x - W m|^2 + sum of (W std)^2, and the KL of two Gaussians."""
    x, *values = setting(latent)
    mean, log_std, weight = (value.requires_grad_() for value in values)
    std = log_std.exp()
    squares = (x - weight @ mean).square().sum() + (weight * std).square().sum()
    kl = 0.5 * (mean.square() + std.square() - 1).sum() - log_std.sum()
    (squares / (2 * STD**2) + kl_weight * kl).backward()
    return {"mean": mean.grad, "log_std": log_std.grad, "weight": weight.grad}


def analytic_iwae(kl_weight):
    """The gradient of minus the bound with two samples of one latent variable, by Gauss-Hermite quadrature in both."""
    x, *values = setting(1)
    mean, log_std, weight = (value.requires_grad_() for value in values)
    points, shares = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(60))
    shares = shares / shares.sum()
    z = mean + log_std.exp() * points[:, None]
    log_posterior = diagonal_normal_log_density(z, mean, log_std)
    log_likelihood = diagonal_normal_log_density(x, z @ weight.T, torch.tensor(math.log(STD)))
    log_weights = log_likelihood + kl_weight * (standard_normal_log_density(z) - log_posterior)
    bounds = torch.logaddexp(log_weights[:, None], log_weights[None, :]) - math.log(2)
    (-(shares[:, None] * shares[None, :] * bounds).sum()).backward()
    return {"mean": mean.grad, "log_std": log_std.grad, "weight": weight.grad}


def within_errors(found, expected):
    """Whether the means over draws are within 4 standard errors of what is expected."""
    for name, value in expected.items():
        draws = found[name]
        error = draws.std(0) / math.sqrt(len(draws))
        assert ((draws.mean(0) - value).abs() <= 4 * error + 1e-12).all(), name


@pytest.mark.parametrize("kl_weight", WEIGHTS)
@pytest.mark.parametrize("objective", [PLAIN, ELBO, STL, Objective(3, path_alone=True)])
def test_gradients_of_the_elbo_are_the_analytic_ones(objective, kl_weight):
    within_errors(gradients(objective, kl_weight)[1], analytic_elbo(kl_weight))


@pytest.mark.parametrize("kl_weight", WEIGHTS)
@pytest.mark.parametrize("objective", [IWAE, DREG])
def test_gradients_of_iwae_are_those_of_quadrature(objective, kl_weight):
    within_errors(gradients(objective, kl_weight, latent=1)[1], analytic_iwae(kl_weight))


@pytest.mark.parametrize("kl_weight", WEIGHTS)
def test_dreg_has_the_mean_of_iwae_and_less_variance(kl_weight):
    (one, ours), (other, theirs) = (gradients(each._replace(samples=8), kl_weight) for each in (DREG, IWAE))
    assert one.loss == pytest.approx(other.loss.item())
    for name in ("mean", "log_std", "weight"):
        differences = ours[name] - theirs[name]
        error = differences.std(0) / math.sqrt(DRAWS)
        assert (differences.mean(0).abs() <= 4 * error + 1e-12).all(), name
    assert ours["mean"].var(0).sum() < theirs["mean"].var(0).sum()


@pytest.mark.parametrize("objective", [STL, Objective(3, path_alone=True), DREG])
def test_at_the_posterior_there_is_no_variance(objective):
    x, _, _, weight = setting(1)
    precision = 1 + weight.square().sum() / STD**2
    at = (x @ weight / STD**2 / precision, -0.5 * precision.log().expand(1), weight)
    found = gradients(objective, 1.0, latent=1, draws=50, at=at)[1]
    usual = gradients(PLAIN, 1.0, latent=1, draws=50, at=at)[1]
    for name in ("mean", "log_std"):
        assert found[name].abs().max() < 1e-12
        assert usual[name].abs().max() > 0.01


@pytest.mark.parametrize("objective", [STL, DREG])
def test_the_score_goes_through_a_flow(objective):
    found = gradients(objective, 1.0, bend=0.7)[1]
    usual = gradients(objective._replace(path_alone=False), 1.0, bend=0.7)[1]
    for name in ("mean", "log_std", "weight", "flow.c"):
        differences = found[name] - usual[name]
        error = differences.std(0) / math.sqrt(DRAWS)
        assert (differences.mean(0).abs() <= 4 * error + 1e-12).all(), name


def test_the_score_is_the_gradient_of_the_density():
    """log q at z through the flow's inverse, at fixed parameters."""
    _, mean, log_std, weight = setting(2)
    flow = Bent(torch.full((2,), 0.7, dtype=torch.float64))
    model = LinearGaussian(mean, log_std, weight, 5, flow)
    noise = torch.randn((4, 5, 2), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    parameters = model.posterior(None)
    z = model.transform_noise(noise, parameters)[0].detach().requires_grad_()
    before = flow.inverse(z, None)
    log_density = diagonal_normal_log_density(before, parameters.mean, parameters.log_std) - flow(before, None)[1]
    (expected,) = torch.autograd.grad(log_density.sum(), z)
    assert torch.allclose(model.posterior_score(noise, parameters), expected)


def test_a_floor_takes_the_gradient_of_the_kl_below_it():
    kl = gradients(PLAIN, 1.0)[0].kl.item()
    without, below, above = (gradients(PLAIN, weight, free_bits=bits)[1] for weight, bits in ((0, 0), (1, 9e9), (1, 0)))
    for name in ("mean", "log_std"):
        assert torch.equal(below[name], without[name])
    again = gradients(PLAIN, 1.0, free_bits=kl / 2)[1]
    assert all(torch.equal(again[name], above[name]) for name in above)
    assert gradients(PLAIN, 0.5, free_bits=100.0)[0].loss == pytest.approx(
        (gradients(PLAIN, 0.5)[0].reconstruction + 50).item()
    )


def test_several_samples_are_the_mean_of_each():
    found, expected = gradients(ELBO, 0.7)[0], gradients(PLAIN, 0.7)[0]
    assert found.reconstruction == pytest.approx(expected.reconstruction.item(), rel=0.05)
    assert found.loss == pytest.approx((found.reconstruction + 0.7 * found.kl).item())


@pytest.mark.parametrize("name", FLOW_CONFIGS)
def test_which_flows_push_scores_the_configuration_knows(name):
    flow = FLOW_CONFIGS[name]
    model = build_model(model_config(flow=flow), ImageFormat(IMAGE_SHAPE), seed=0)
    assert model.flow.pushes_scores is flow.pushes_scores
    if not flow.pushes_scores:
        with pytest.raises(ValueError, match="StepwiseFlow cannot push scores"):
            gradient_of(model, EAGER, STL)


@pytest.mark.parametrize("name", ["identity", "planar", "sylvester_orthogonal", "sylvester_householder"])
def test_the_score_of_a_posterior_is_the_gradient_of_its_density(name):
    """By differences of log q(z|x), for which the flow is inverted."""
    model = settled(build_model(model_config(flow=FLOW_CONFIGS[name]), ImageFormat(IMAGE_SHAPE), seed=0))
    draws = torch.Generator().manual_seed(3)
    parameters = model.encode(torch.rand(2, *IMAGE_SHAPE, generator=draws).round())
    noise = torch.randn(5, 2, 4, generator=draws, dtype=torch.float64)

    def log_posterior(z):
        e = model.invert_noise(z, parameters)
        return standard_normal_log_density(e) - model.transform_noise(e, parameters)[1]

    z, _ = model.transform_noise(noise, parameters)
    steps = 1e-5 * torch.eye(4, dtype=torch.float64)
    slopes = torch.stack([(log_posterior(z + step) - log_posterior(z - step)) / 2e-5 for step in steps], -1)
    score = model.posterior_score(noise, parameters)
    assert (score - slopes).abs().max() < 1e-6 * score.abs().max()


def test_the_objective_begins_at_its_epoch():
    recipe = TrainingConfig(objective="dreg", objective_samples=5, objective_from_epoch=3)
    assert [objective_in(recipe, epoch) for epoch in (0, 2, 3, 9)] == [PLAIN] * 2 + [DREG._replace(samples=5)] * 2


@pytest.mark.parametrize("objective", [IWAE, STL, DREG])
def test_every_objective_reaches_every_weight_of_a_head(objective):
    config = model_config(flow=FLOW_CONFIGS["planar"])
    head = {"kind": "pixelcnn", "pixelcnn": {"layers": 2, "maps": 3, "kernel": 3, "features": 2}}
    decoder = DecoderConfig.model_validate(config.decoder.model_dump() | {"autoregressive": head})
    model = build_model(config.model_copy(update={"decoder": decoder}), ImageFormat(IMAGE_SHAPE), seed=0)
    draws = torch.Generator().manual_seed(1)
    x = torch.randint(0, 2, (6, *IMAGE_SHAPE), generator=draws).float()
    noise = torch.randn((objective.samples, 6, 4), generator=draws)
    gradient_of(model, EAGER, objective).backward(Batch(x, noise[0] if len(noise) == 1 else noise), 1.0)
    assert all(each.grad.isfinite().all() and each.grad.any() for each in model.likelihood.parameters())


def compare_captured(objective, precision, tolerance, backend, flow="identity"):
    """Each part is one graph, and the gradient that of the eager step."""
    draws = torch.Generator().manual_seed(1)
    x = torch.randint(0, 2, (6, *IMAGE_SHAPE), generator=draws).float()
    size = (6, 4) if objective.samples == 1 else (objective.samples, 6, 4)
    batch, found = Batch(x, torch.randn(size, generator=draws)), []
    for compiles in (False, True):
        model = build_model(model_config(flow=FLOW_CONFIGS[flow]), ImageFormat(IMAGE_SHAPE), seed=0)
        gradient = gradient_of(model, Computing(precision, compiled=compiles), objective)
        if compiles:
            gradient = gradient.compiled(functools.partial(torch.compile, backend=backend, fullgraph=True))
        found.append([*gradient.backward(batch, 0.7), *(each.grad for each in model.parameters())])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=tolerance)
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("objective", "flow"), [(IWAE, "identity"), (DREG, "identity"), (STL, "planar"), (DREG, "sylvester_orthogonal")]
)
def test_every_part_is_one_graph(objective, flow):
    compare_captured(objective, "float32", 1e-5, "eager", flow)


@pytest.mark.slow
@pytest.mark.parametrize("objective", [ELBO, IWAE, STL, DREG])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_every_captured_part_computes_the_same(objective, precision, tolerance):
    compare_captured(objective, precision, tolerance, "aot_eager")
