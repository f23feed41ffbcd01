import pytest
import torch

from iafsweep.estimators import (
    NOISE_BLOCK,
    LogWeightStatistics,
    annealed_importance_sampling,
    importance_sampling,
    linear_schedule,
    log_weight_blocks,
)
from tests.oracles import LinearGaussian, UnequalMixture, seeded


def test_with_the_exact_posterior_every_log_weight_is_log_p_of_x():
    model = LinearGaussian.simulate(images=5)
    log_weights = torch.cat(list(log_weight_blocks(model.exact_posterior_bridge(), 200, seeded(1))))
    assert (log_weights - model.log_evidence).abs().max() < 1e-9
    summary = importance_sampling(model.exact_posterior_bridge(), 200, seeded(1)).summary()
    assert torch.allclose(summary.log_likelihood, model.log_evidence, atol=1e-9)
    assert torch.allclose(summary.effective_sample_size, torch.tensor(200.0, dtype=torch.float64), atol=1e-6)
    assert summary.standard_error.max() < 1e-9
    assert not summary.untrusted.any()


@pytest.mark.parametrize("start", ["prior_bridge", "base_bridge", "flow_bridge"])
def test_weights_average_to_p_of_x(start):
    model = LinearGaussian.simulate(images=3, noise_std=1.5)
    log_weights = torch.cat(list(log_weight_blocks(getattr(model, start)(), 20_000, seeded(2))))
    ratio = (log_weights - model.log_evidence).exp()
    error = ratio.std(0) / len(ratio) ** 0.5
    assert ((ratio.mean(0) - 1).abs() < 5 * error).all()
    assert error.max() < 0.05


def test_more_samples_give_a_tighter_bound():
    model = LinearGaussian.simulate(images=40)
    bounds = []
    for samples in (1, 10, 1000):
        runs = [importance_sampling(model.flow_bridge(), samples, seeded(s)) for s in range(20)]
        bounds.append(float(torch.stack([run.log_likelihood for run in runs]).mean()))
    many = importance_sampling(model.flow_bridge(), 1000, seeded(0)).summary()
    error = float(many.log_weight_variance.mean() / (20 * 40)) ** 0.5
    assert abs(bounds[0] - float(many.mean_log_weight.mean())) < 4 * error
    assert bounds[0] + 4 * error < bounds[1] < bounds[2] < float(model.log_evidence.mean()) + 0.01


def test_neither_chunks_nor_length_change_the_noise():
    bridge = UnequalMixture(torch.tensor([-3.0, 2.0, 0.0], dtype=torch.float64)).bridge()
    whole = torch.cat(list(log_weight_blocks(bridge, 2 * NOISE_BLOCK + 7, seeded(1))))
    assert whole.shape == (2 * NOISE_BLOCK + 7, 3)
    assert whole.dtype == torch.float64
    for rows in (1, 4, 100, 10_000):
        pieces = torch.cat(list(log_weight_blocks(bridge, 2 * NOISE_BLOCK + 7, seeded(1), rows_per_chunk=rows)))
        assert torch.equal(pieces, whole)
    longer = torch.cat(list(log_weight_blocks(bridge, 3 * NOISE_BLOCK, seeded(1))))
    assert torch.equal(longer[: len(whole)], whole)


def test_streamed_statistics_are_those_of_all_weights_at_once():
    bridge = LinearGaussian.simulate(images=3).flow_bridge()
    streamed = importance_sampling(bridge, 3 * NOISE_BLOCK + 1, seeded(1)).summary()
    at_once = LogWeightStatistics.of(
        torch.cat(list(log_weight_blocks(bridge, 3 * NOISE_BLOCK + 1, seeded(1))))
    ).summary()
    for one, other in zip(streamed, at_once, strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=1e-10, equal_nan=True)


@pytest.mark.parametrize("count", [16, NOISE_BLOCK, 70])
@pytest.mark.parametrize("start", ["prior_bridge", "base_bridge", "flow_bridge"])
def test_annealing_with_one_increment_is_importance_sampling_draw_for_draw(start, count):
    bridge = getattr(LinearGaussian.simulate(images=3), start)()
    run = annealed_importance_sampling(
        bridge, count, linear_schedule(1), step_size=0.1, leapfrog_steps=3, generator=seeded(5)
    )
    assert torch.equal(run.log_weights, torch.cat(list(log_weight_blocks(bridge, count, seeded(5)))))
    assert run.gradient_evaluations == 1
    assert run.mean_acceptance_rate is None


def test_seed_decides():
    bridge = LinearGaussian.simulate(images=3).flow_bridge()
    first, again, other = (importance_sampling(bridge, 60, seeded(s)).log_likelihood for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any()


def test_no_graph_is_built():
    model = LinearGaussian.simulate(images=3)
    model.weight.requires_grad_()
    assert not importance_sampling(model.flow_bridge(), 60, seeded(1)).log_likelihood.requires_grad


def test_float32_densities_are_summed_in_float64():
    bridge = UnequalMixture(torch.tensor([-3.0], dtype=torch.float64)).bridge()

    def narrow(z):
        return tuple(value.float() for value in bridge.log_densities(z))

    run = importance_sampling(type(bridge)(bridge.draw_start, narrow), 500, seeded(1))
    assert run.log_sum.dtype == torch.float64
    assert torch.allclose(run.log_likelihood, importance_sampling(bridge, 500, seeded(1)).log_likelihood, atol=1e-5)


def test_errors():
    with pytest.raises(ValueError, match="samples must be at least 1: got 0"):
        importance_sampling(LinearGaussian.simulate(images=3).prior_bridge(), 0, seeded(1))
