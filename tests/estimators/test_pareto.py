import mpmath
import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats

from iafsweep.estimators import pareto_k
from iafsweep.estimators.pareto import tail_length
from tests.oracles import normal, seeded


def arviz_k(log_weights):
    """k-hat by another way through the same library: Pareto smoothing, which reads negated log-weights."""
    return array_stats.psislw(-log_weights.T.numpy(), r_eff=1.0)[1]


@pytest.mark.parametrize("count", [25, 60, 225, 226, 1000])
@pytest.mark.parametrize("scale", [0.3, 1.5, 5.0])
def test_equals_arviz(count, scale):
    log_weights = scale * normal(count, 4, seed=count) - 700
    assert pareto_k(log_weights, count).numpy() == pytest.approx(arviz_k(log_weights), rel=1e-9)


@pytest.mark.parametrize("count", [230, 1000, 3000])
def test_the_tail_alone_is_enough(count):
    log_weights = 1.5 * normal(count, 3, seed=1)
    tail = log_weights.topk(tail_length(count) + 1, dim=0).values
    assert torch.allclose(pareto_k(tail, count), pareto_k(log_weights, count), rtol=1e-12)
    assert pareto_k(tail[:-1], count).isnan().all()


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_finds_the_shape_of_a_pareto_tail(shape):
    uniform = torch.rand(20_000, 3, generator=seeded(1), dtype=torch.float64)
    assert pareto_k(-shape * uniform.log(), 20_000).numpy() == pytest.approx(np.full(3, shape), abs=0.15)


def test_weights_too_far_apart_for_floating_point_numbers_are_told_apart():
    one_carries_all = torch.tensor([0.0] + [-800.0] * 99, dtype=torch.float64).unsqueeze(1)
    assert pareto_k(one_carries_all, 100).item() > 20


def exact_k(log_weights, tail):
    """The fit as Vehtari et al. write it, with numbers of any size."""
    rising = sorted(mpmath.mpf(each) for each in log_weights)
    cutoff = mpmath.exp(rising[-tail - 1])
    x = [mpmath.exp(each) - cutoff for each in rising[-tail:]]
    m = 30 + int(tail**0.5)
    quartile = x[int(tail / 4 + 0.5) - 1]
    b = [1 / x[-1] + (1 - mpmath.sqrt(m / (j + mpmath.mpf(0.5)))) / (3 * quartile) for j in range(m)]
    k_of = lambda each: sum(mpmath.log(1 - each * value) for value in x) / tail  # noqa: E731
    logs = [tail * (mpmath.log(-each / k_of(each)) - k_of(each)) for each in b]
    weights = [mpmath.exp(each - max(logs)) for each in logs]
    mean = sum(w * each for w, each in zip(weights, b, strict=True)) / sum(weights)
    return float((tail * k_of(mean) + 5) / (tail + 10))


@pytest.mark.parametrize("scale", [0.5, 3, 100, 1000, 20_000])
def test_equals_the_formula_in_exact_numbers(scale):
    log_weights = scale * normal(60, 3, seed=7) - 5000
    expected = [exact_k(column, tail_length(60)) for column in log_weights.T.tolist()]
    assert pareto_k(log_weights, 60).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("spread", [1e-5, 3e-5, 1e-4, 1e-3])
def test_rounding_is_no_tail(spread):
    """Weights that would be equal but for float32, many of them equal: their largest do not stand out."""
    log_weights = (spread * normal(1000, 20, seed=1) - 150).float()
    assert len(log_weights.unique()) < 700
    assert (pareto_k(log_weights, 1000) < 0.5).all()


def test_too_few_or_equal_weights_have_none():
    assert pareto_k(normal(24, 3, seed=1), 24).isnan().all()
    assert pareto_k(normal(25, 3, seed=1), 25).isfinite().all()
    assert pareto_k(torch.zeros(100, 3), 100).isnan().all()
    assert pareto_k(torch.full((100, 3), -torch.inf), 100).isnan().all()


def test_zero_weights_below_the_tail_do_no_harm():
    log_weights = normal(100, 1, seed=1)
    order = log_weights[:, 0].argsort()
    log_weights[order[:50]] = -torch.inf
    assert pareto_k(log_weights, 100).isfinite().all()
