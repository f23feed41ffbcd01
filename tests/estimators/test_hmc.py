import math

import pytest
import torch

from iafsweep.estimators.hmc import Point, evaluate, hmc_move, leapfrog
from tests.oracles import LogGamma, UnequalMixture, normal, seeded


def skewed(z):
    return (LogGamma(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)).log_target(z),)


def energy(point, momentum):
    return 0.5 * momentum.square().sum(-1) - point.log_density((1.0,))


def follow(point, momentum, step_size, steps):
    return leapfrog(point, momentum, skewed, powers=(1.0,), step_size=step_size, steps=steps)


def test_leapfrog_is_reversible():
    start, momentum = evaluate(0.5 * normal(4, 3, 2, seed=1), skewed), normal(4, 3, 2, seed=2)
    there, last = follow(start, momentum, 0.1, 12)
    back, last = follow(there, -last, 0.1, 12)
    assert (there.position - start.position).abs().max() > 0.1
    assert (back.position - start.position).abs().max() < 1e-12
    assert (last + momentum).abs().max() < 1e-12


def test_leapfrog_keeps_volume():
    momentum = normal(1, 3, 2, seed=2)

    def flow(state):
        position, momentum = state.view(2, 1, 3, 2)
        reached, last = position, momentum
        last = last + 0.05 * torch.func.grad(lambda z: skewed(z)[0].sum())(reached)
        for step in range(3):
            reached = reached + 0.1 * last
            last = last + (0.1 if step < 2 else 0.05) * torch.func.grad(lambda z: skewed(z)[0].sum())(reached)
        return torch.stack([reached, last]).flatten()

    state = torch.stack([0.5 * normal(1, 3, 2, seed=1), momentum]).flatten()
    point, last = follow(evaluate(state.view(2, 1, 3, 2)[0], skewed), momentum, 0.1, 3)
    assert torch.allclose(flow(state), torch.stack([point.position, last]).flatten(), atol=1e-12)
    assert torch.linalg.slogdet(torch.func.jacrev(flow)(state)).logabsdet.abs() < 1e-10


def test_energy_error_falls_with_the_square_of_the_step_size():
    start, momentum = evaluate(0.5 * normal(50, 3, 2, seed=1), skewed), normal(50, 3, 2, seed=2)
    errors = []
    for steps in (16, 32, 64):
        point, last = follow(start, momentum, 0.8 / steps, steps)
        errors.append((energy(point, last) - energy(start, momentum)).abs().mean().item())
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert 1.8 < math.log2(coarse / fine) < 2.2


def test_a_move_costs_as_many_gradients_as_leapfrog_steps():
    calls = []

    def counted(z):
        calls.append(z.shape)
        return skewed(z)

    point = evaluate(normal(4, 3, 2, seed=1), counted)
    assert len(calls) == 1
    hmc_move(point, counted, powers=(1.0,), step_size=0.1, leapfrog_steps=5, generator=seeded(1))
    assert len(calls) == 6


def test_cached_values_are_those_of_the_position():
    point = evaluate(normal(40, 3, 2, seed=1), skewed)
    for _ in range(5):
        point, info = hmc_move(point, skewed, powers=(1.0,), step_size=0.6, leapfrog_steps=3, generator=seeded(1))
    assert 0.1 < info.is_accepted.double().mean() < 0.99
    fresh = evaluate(point.position, skewed)
    assert torch.allclose(point.log_densities, fresh.log_densities, atol=1e-12)
    assert torch.allclose(point.gradients, fresh.gradients, atol=1e-12)


def test_chunks_change_nothing():
    start = normal(8, 3, 2, seed=1)
    runs = []
    for rows in (None, 1, 7):
        point = evaluate(start, skewed, rows)
        arguments = {"powers": (1.0,), "step_size": 0.4, "leapfrog_steps": 3, "rows_per_chunk": rows}
        runs.append(hmc_move(point, skewed, generator=seeded(1), **arguments)[0])
    for run in runs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(run, runs[0], strict=True))


def moments_after(moves, chains, start, log_densities, step_size):
    point, generator = evaluate(start, log_densities), seeded(9)
    for _ in range(moves):
        point, _ = hmc_move(
            point, log_densities, powers=(1.0,), step_size=step_size, leapfrog_steps=4, generator=generator
        )
    return point.position


def assert_same_moments(z, mean, variance):
    """Chains are independent, so plain standard errors over chains hold."""
    chains = len(z)
    assert ((z.mean(0) - mean).abs() < 4.5 * z.std(0) / chains**0.5).all()
    spread = (z - z.mean(0)).square()
    assert ((spread.mean(0) - variance).abs() < 4.5 * spread.std(0) / chains**0.5).all()
    correlation = torch.stack([torch.corrcoef(z[:, image].T)[0, 1] for image in range(z.shape[1])])
    assert (correlation.abs() < 4.5 / chains**0.5).all()


@pytest.mark.parametrize(
    ("chains", "moves"), [(4_000, 5), pytest.param(200_000, 20, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_a_skewed_target_stays_as_it_is(chains, moves):
    """Started from exact samples, with a step size so coarse that the acceptance step has to work."""
    mixture = UnequalMixture(torch.tensor([0.0, -50.0], dtype=torch.float64))
    start = mixture.posterior_samples(chains, seeded(3))
    z = moments_after(moves, chains, start, lambda z: (mixture.log_target(z),), step_size=0.7)
    shares, means, stds = mixture.LOG_SHARES.exp(), mixture.MEANS, mixture.STDS
    mean = (shares * means).sum()
    assert_same_moments(z, mean, (shares * (stds.square() + means.square())).sum() - mean.square())


@pytest.mark.slow
def test_a_target_is_reached_from_elsewhere():
    shape = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    z = moments_after(100, 20_000, torch.zeros(20_000, 3, 2, dtype=torch.float64), skewed, step_size=0.35)
    assert_same_moments(z, torch.digamma(shape).unsqueeze(-1), torch.polygamma(1, shape).unsqueeze(-1))


def test_powers_weight_the_densities_and_zero_leaves_one_out():
    values = torch.tensor([[[1.0, -torch.inf]], [[10.0, 3.0]]], dtype=torch.float64)
    point = Point(torch.zeros(1, 2, 1), values, torch.ones(2, 1, 2, 1))
    assert torch.equal(point.log_density((0.0, 2.0)), torch.tensor([[20.0, 6.0]], dtype=torch.float64))
    assert torch.equal(point.log_density((0.5, 0.5)), torch.tensor([[5.5, -torch.inf]], dtype=torch.float64))
    assert torch.equal(point.gradient((0.25, 0.5)), torch.full((1, 2, 1), 0.75))


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -math.inf])
def test_proposals_without_a_finite_density_are_rejected(nonsense):
    def walled(z):
        return (torch.where(z[..., 0] > 0.5, nonsense, -0.5 * z.square().sum(-1)),)

    point = evaluate(torch.zeros(200, 1, 2, dtype=torch.float64), walled)
    point, info = hmc_move(point, walled, powers=(1.0,), step_size=1.0, leapfrog_steps=1, generator=seeded(1))
    assert (point.position[..., 0] <= 0.5).all()
    assert 0.2 < info.is_accepted.double().mean() < 0.9
    assert point.log_densities.isfinite().all()
    assert info.acceptance_rate.isfinite().all()


def test_a_proposal_without_a_finite_gradient_is_rejected():
    def spiked(z):
        # Below 0.3 the value is finite, but the branch not taken makes the gradient NaN.
        return (torch.where(z[..., 0] > 0.3, (z[..., 0] - 0.3).sqrt(), 0.0) - 0.5 * z.square().sum(-1),)

    point = evaluate(torch.full((100, 1, 1), 0.5, dtype=torch.float64), spiked)
    point, _ = hmc_move(point, spiked, powers=(1.0,), step_size=0.5, leapfrog_steps=1, generator=seeded(1))
    assert point.gradients.isfinite().all()
    assert (point.position > 0.3).all()


def test_a_chain_leaves_a_place_without_density():
    def half(z):
        return (torch.where(z[..., 0] < 0, -torch.inf, -0.5 * z.square().sum(-1)),)

    point = evaluate(torch.full((50, 1, 1), -0.2, dtype=torch.float64), half)
    for _ in range(10):
        point, _ = hmc_move(point, half, powers=(1.0,), step_size=0.5, leapfrog_steps=1, generator=seeded(1))
    generator = seeded(2)
    for _ in range(20):
        point, _ = hmc_move(point, half, powers=(1.0,), step_size=0.5, leapfrog_steps=1, generator=generator)
    assert (point.position > 0).all()


def test_network_parameters_get_no_gradient_and_callers_may_switch_gradients_off():
    layer = torch.nn.Linear(2, 1, dtype=torch.float64)
    with torch.no_grad():
        point = evaluate(normal(4, 3, 2, seed=1), lambda z: (layer(z).squeeze(-1),))
    assert layer.weight.grad is None
    assert torch.allclose(point.gradients[0], layer.weight.detach().expand(4, 3, 2))
    assert not point.log_densities.requires_grad


def test_errors():
    with pytest.raises(ValueError, match=r"must have shape \(4, 3\): got \(4, 3, 2\)"):
        evaluate(normal(4, 3, 2, seed=1), lambda z: (z,))
