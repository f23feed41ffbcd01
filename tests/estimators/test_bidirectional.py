import math

import pytest
import torch

from iafsweep.estimators import (
    Bridge,
    annealed_importance_sampling,
    linear_schedule,
    mean_over_images,
    reverse_annealing,
    sandwich,
    sigmoid_schedule,
)
from tests.oracles import LinearGaussian, UnequalMixture, seeded

SETTINGS = {"step_size": 0.4, "leapfrog_steps": 4}
MIXTURE = UnequalMixture(torch.tensor([-7.0, 0.0, 300.0], dtype=torch.float64))


def linear_gaussian(start, images):
    """A bridge with exact posterior samples of its images in the bridge's own space.

    The data are noisy: with a posterior much narrower than the start, reverse weights have no variance to speak of.
    """
    model = LinearGaussian.simulate(images=images, noise_std=2.0)
    samples = model.flow().inverse(model.z) if start == "flow" else model.z
    return model, getattr(model, f"{start}_bridge")(), samples


def test_the_flow_is_inverted():
    model, _, noise = linear_gaussian("flow", images=20)
    assert torch.allclose(model.flow()(noise.unsqueeze(0))[0][0], model.z, atol=1e-12)


def assert_reverse_weights_average_to_1_over_p(run, log_evidence, within=math.inf):
    ratio = (run.log_weights + log_evidence).exp()
    error = ratio.std(0) / len(ratio) ** 0.5
    assert ((ratio.mean(0) - 1).abs() < 4 * error).all(), (ratio.mean(0) - 1, error)
    assert (error < 0.05).all()
    assert abs(ratio.mean() - 1) < within


def posterior_samples(start, count):
    """Independent exact posterior samples [count, 3, D] of three images, with the bridge they belong to."""
    if start == "mixture":
        return MIXTURE.bridge(), MIXTURE.posterior_samples(count, seeded(8)), MIXTURE.log_evidence
    model, bridge, _ = linear_gaussian(start, images=3)
    z = model.exact_posterior_bridge().draw(count, seeded(8))
    return bridge, model.flow().inverse(z) if start == "flow" else z, model.log_evidence


STARTS = ["prior", "base", "flow", "mixture"]


@pytest.mark.parametrize("start", STARTS)
def test_reverse_weights_average_to_1_over_p_of_x(start):
    bridge, samples, log_evidence = posterior_samples(start, 3_000)
    run = reverse_annealing(bridge.log_densities, samples, linear_schedule(15), generator=seeded(4), **SETTINGS)
    assert_reverse_weights_average_to_1_over_p(run, log_evidence)


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_reverse_weights_average_to_1_over_p_of_x_within_3_in_1000(start):
    bridge, samples, log_evidence = posterior_samples(start, 120_000)
    run = reverse_annealing(bridge.log_densities, samples, linear_schedule(30), generator=seeded(4), **SETTINGS)
    assert_reverse_weights_average_to_1_over_p(run, log_evidence, within=0.003)


def test_with_one_increment_the_reverse_weight_is_the_inverse_of_the_forward_one():
    bridge, samples, _ = posterior_samples("flow", 10)
    run = reverse_annealing(bridge.log_densities, samples, linear_schedule(1), generator=seeded(4), **SETTINGS)
    log_start, log_target = bridge.log_densities(samples)
    assert torch.equal(run.log_weights, log_start - log_target)


@pytest.mark.parametrize("start", ["prior", "base", "flow"])
def test_the_sandwich_holds_and_closes(start):
    model, bridge, samples = linear_gaussian(start, images=60)
    truth = model.log_evidence.mean()
    gaps = []
    for increments in (2, 30):
        bounds = sandwich(bridge, samples, 8, linear_schedule(increments), generator=seeded(4), **SETTINGS)
        error = mean_over_images(bounds.gap).standard_error
        assert bounds.lower.mean() < truth + 3 * error
        assert bounds.upper.mean() > truth - 3 * error
        assert torch.equal(bounds.gap, bounds.upper - bounds.lower)
        gaps.append(bounds.gap.mean())
    assert gaps[0] > 2 * gaps[1]
    assert -0.02 < gaps[1] < 0.1


def test_it_is_made_of_its_two_runs():
    _, bridge, samples = linear_gaussian("flow", images=5)
    generator = seeded(4)
    bounds = sandwich(bridge, samples, 8, sigmoid_schedule(5), generator=generator, **SETTINGS)
    forward = annealed_importance_sampling(bridge, 8, sigmoid_schedule(5), generator=seeded(4), **SETTINGS)
    assert torch.equal(bounds.forward.log_weights, forward.log_weights)
    assert torch.equal(bounds.lower, forward.statistics.log_likelihood)
    assert bounds.reverse.gradient_evaluations == forward.gradient_evaluations == 17


def test_what_cannot_be_computed_widens_the_sandwich():
    _, bridge, samples = linear_gaussian("prior", images=2)

    def broken(z):
        log_start, log_target = bridge.log_densities(z)
        return log_start, log_target.index_fill(1, torch.tensor([0]), torch.nan)

    bounds = sandwich(
        Bridge(bridge.draw_start, broken), samples, 4, linear_schedule(3), generator=seeded(4), **SETTINGS
    )
    assert bounds.lower[0] == -math.inf
    assert bounds.upper[0] == math.inf
    assert bounds.gap[1].isfinite()


def test_errors():
    _, bridge, samples = linear_gaussian("prior", images=2)
    with pytest.raises(ValueError, match=r"posterior_sample must be \[B, D\]: got \(1, 2, 3\)"):
        sandwich(bridge, samples.unsqueeze(0), 4, linear_schedule(3), generator=seeded(4), **SETTINGS)
