import math

import pytest
import torch

from iafsweep.estimators import Bridge, anneal, annealed_importance_sampling, linear_schedule, sigmoid_schedule
from tests.oracles import LinearGaussian, LogGamma, UnequalMixture, seeded

MODEL = LinearGaussian.simulate(images=3, noise_std=0.8)
MIXTURE = UnequalMixture(torch.tensor([-7.0, 0.0, 300.0], dtype=torch.float64))
GAMMA = LogGamma(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64))
BRIDGES = {
    "prior": (MODEL.prior_bridge(), MODEL.log_evidence),
    "base": (MODEL.base_bridge(), MODEL.log_evidence),
    "flow": (MODEL.flow_bridge(), MODEL.log_evidence),
    "mixture": (MIXTURE.bridge(), MIXTURE.log_evidence),
    "log-gamma": (GAMMA.bridge(), GAMMA.log_evidence),
}


def run(bridge, chains, increments, *, seed=1, schedule=linear_schedule, **changes):
    arguments = {"step_size": 0.4, "leapfrog_steps": 4, "generator": seeded(seed)} | changes
    return annealed_importance_sampling(bridge, chains, schedule(increments), **arguments)


def assert_unbiased(log_weights, log_evidence, within=math.inf):
    """Mean of weights over p(x) within 4 standard errors of 1, for each image."""
    ratio = (log_weights - log_evidence).exp()
    error = ratio.std(0) / len(ratio) ** 0.5
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all(), (ratio.mean(0) - 1, error)
    assert (error < 0.05).all()
    assert abs(ratio.mean() - 1) < within


@pytest.mark.parametrize("name", BRIDGES)
def test_weights_average_to_p_of_x(name):
    bridge, log_evidence = BRIDGES[name]
    assert_unbiased(run(bridge, 3_000, 8).log_weights, log_evidence)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [linear_schedule, sigmoid_schedule])
@pytest.mark.parametrize("name", BRIDGES)
def test_weights_average_to_p_of_x_within_3_in_1000(name, schedule):
    bridge, log_evidence = BRIDGES[name]
    weights = run(bridge, 150_000, 15, schedule=schedule, step_size=0.35).log_weights
    assert_unbiased(weights, log_evidence, within=0.003)


def test_annealing_tightens_the_bound():
    errors = [(MODEL.log_evidence - run(MODEL.prior_bridge(), 200, t).log_weights).mean() for t in (1, 4, 32)]
    assert errors[0] > 2 * errors[1] > 8 * errors[2] > 0


@pytest.mark.parametrize(("increments", "leapfrog_steps", "gradients"), [(1, 4, 1), (2, 3, 4), (20, 4, 77), (5, 5, 21)])
def test_a_chain_costs_1_plus_t_minus_1_times_l_gradients(increments, leapfrog_steps, gradients):
    calls = []

    def counted(z):
        calls.append(z.shape)
        return BRIDGES["flow"][0].log_densities(z)

    bridge = Bridge(BRIDGES["flow"][0].draw_start, counted)
    result = run(bridge, 2, increments, leapfrog_steps=leapfrog_steps)
    assert len(calls) == result.gradient_evaluations == gradients
    assert result.acceptance_rate.shape == (increments - 1, 3)


def test_seed_decides_and_chunks_do_not():
    bridge = BRIDGES["mixture"][0]
    first, again, other = (run(bridge, 16, 5, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.log_weights, again.log_weights)
    assert torch.equal(first.last_position, again.last_position)
    assert not torch.isclose(first.log_weights, other.log_weights).any()
    for rows in (1, 7, 1000):
        assert torch.equal(run(bridge, 16, 5, rows_per_chunk=rows).log_weights, first.log_weights)


def test_an_image_does_not_depend_on_those_beside_it():
    def generators(images):
        return [seeded(100 + image) for image in images]

    together = run(MIXTURE.bridge(), 16, 5, generator=generators([0, 1, 2])).log_weights
    apart = [
        run(UnequalMixture(MIXTURE.log_evidence[[image]]).bridge(), 16, 5, generator=generators([image])).log_weights
        for image in (2, 0, 1)
    ]
    assert torch.allclose(together[:, [2, 0, 1]], torch.cat(apart, dim=1), atol=1e-12)


def test_combined_densities_equal_separate_ones():
    bridge = BRIDGES["flow"][0]

    def log_start(z):
        return bridge.log_densities(z)[0]

    def log_target(z):
        return bridge.log_densities(z)[1]

    separate = Bridge.between(bridge.draw_start, log_start, log_target)
    assert torch.equal(run(bridge, 8, 5).log_weights, run(separate, 8, 5).log_weights)


def test_float32_positions_give_float64_weights():
    bridge, log_evidence = BRIDGES["base"]

    def narrow(z):
        return tuple(value.float() for value in bridge.log_densities(z.double()))

    single = Bridge(lambda count, generator: bridge.draw_start(count, generator).float(), narrow)
    result = run(single, 500, 10)
    assert result.last_position.dtype == torch.float32
    assert result.log_weights.dtype == torch.float64
    assert_unbiased(result.log_weights, log_evidence)


def test_chains_without_density_do_not_poison_the_others():
    def broken(z):
        """The third image's density cannot be computed at all, the others' not in some places."""
        log_start, log_target = MIXTURE.bridge().log_densities(z)
        log_target = torch.where(z[..., 0] > 1.5, -torch.inf, log_target)
        log_target = torch.where(z[..., 0] < -2.0, torch.nan, log_target)
        return log_start, log_target.index_fill(1, torch.tensor([2]), torch.nan)

    result = run(Bridge(MIXTURE.bridge().draw_start, broken), 100, 5)
    summary = result.statistics.summary()
    assert torch.isneginf(result.statistics.largest).any(0).all()
    assert summary.log_likelihood[:2].isfinite().all()
    assert ((summary.log_likelihood - MIXTURE.log_evidence)[:2].abs() < 0.5).all()
    assert summary.log_likelihood[2] == -math.inf
    assert summary.effective_sample_size[2] == 0
    assert summary.untrusted.all()


def test_a_poor_start_is_noticed():
    """Annealing that is far too short for its start must not look trustworthy."""
    far = LinearGaussian.simulate(images=10, latent=6, pixels=12, noise_std=0.1)
    summary = run(far.prior_bridge(), 16, 5, step_size=0.05).statistics.summary()
    assert (far.log_evidence - summary.log_likelihood).mean() > 5
    assert summary.untrusted.all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": 0.0}, "step_size must be positive and finite: got 0.0"),
        ({"step_size": math.nan}, "step_size must be positive and finite: got nan"),
        ({"leapfrog_steps": 0}, "leapfrog_steps must be at least 1: got 0"),
        ({"rows_per_chunk": 0}, "rows_per_chunk must be at least 1: got 0"),
    ],
)
def test_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        run(BRIDGES["prior"][0], 2, 3, **changes)


def test_positions_must_have_three_dimensions():
    with pytest.raises(ValueError, match=r"positions must be \[S, B, D\]"):
        anneal(
            MODEL.prior_bridge().log_densities,
            MODEL.z,
            linear_schedule(2),
            step_size=0.1,
            leapfrog_steps=1,
            generator=seeded(1),
        )
