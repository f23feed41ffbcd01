"""Rational-quadratic splines: slopes by autograd, inverses, tails, and the formula on paper."""

import pytest
import torch
from model_cases import normal

from iafsweep.models.splines import inverse_spline, parameters_of_a_spline, spline

BOUND, BINS = 3.0, 5
X = torch.linspace(-4.0, 4.0, 801, dtype=torch.float64)


def numbers(spread, rows=801):
    return spread * normal(parameters_of_a_spline(BINS), seed=3).expand(rows, -1)


@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_slope_is_autograd_s_and_the_inverse_undoes(spread):
    x = X.clone().requires_grad_()
    y, log_slope = spline(x, numbers(spread), BOUND)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(slope.log(), log_slope, atol=1e-9)
    assert (y.diff() > 0).all()
    assert (inverse_spline(y, numbers(spread), BOUND) - X).abs().max() < 1e-9


def test_zeros_are_the_identity_and_tails_are_linear():
    y, log_slope = spline(X, numbers(0.0), BOUND)
    assert (y - X).abs().max() < 1e-12
    assert log_slope.abs().max() < 1e-12
    y, log_slope = spline(X, numbers(3.0), BOUND)
    outside = X.abs() > BOUND
    assert torch.equal(y[outside], X[outside])
    assert (log_slope[outside] == 0).all()
    ends = torch.tensor([-BOUND, BOUND], dtype=torch.float64)
    inside = ends * (1 - 1e-9)
    moved, slope = spline(inside, numbers(3.0, 2), BOUND)
    assert torch.allclose(moved, ends, atol=1e-6)  # continuous, and smooth
    assert slope.abs().max() < 1e-4


def test_two_bins_by_hand():
    """Widths 1/4 and 3/4 of [-1, 1], heights 1/2 each, slope 2 at the inner knot, all but what bins have at least."""
    quarter = torch.tensor([0.25, 0.75]).double().log()
    free = torch.cat([quarter, torch.zeros(2), torch.tensor([2.0 - 1e-3]).double().expm1().log()])
    inner = 1e-3 + torch.nn.functional.softplus(free[-1] + torch.log(torch.expm1(torch.tensor(1 - 1e-3).double())))
    left, knot = -1.0, -1 + 2 * (1e-3 + (1 - 2e-3) * 0.25)
    x = torch.tensor([-0.9], dtype=torch.float64)
    t, steep = (x - left) / (knot - left), 1.0 / (knot - left)
    expected = -1 + (steep * t**2 + t * (1 - t)) / (steep + (inner + 1 - 2 * steep) * t * (1 - t))
    assert torch.allclose(spline(x, free[None], 1.0)[0], expected, atol=1e-12)


def test_float32_is_close_to_float64_and_gradients_are_finite_at_knots_and_beyond():
    x = torch.cat([X, torch.tensor([-BOUND, BOUND, -1e6, 1e6]).double()])
    free = numbers(3.0, len(x)).clone().requires_grad_()
    y, log_slope = spline(x, free, BOUND)
    (y.sum() + log_slope.sum()).backward()
    assert free.grad.isfinite().all()
    low = spline(x.float(), free.detach().float(), BOUND)
    assert torch.allclose(low[0].double(), y, atol=1e-4)
    assert torch.allclose(low[1].double(), log_slope, atol=1e-2)
    assert inverse_spline(low[0], free.detach().float(), BOUND).isfinite().all()
