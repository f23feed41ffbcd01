"""Increasing maps of one variable inside flows, and the search for their roots: exact arithmetic and peers."""

import math

import mpmath
import pytest
import torch
from model_cases import normal
from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline
from zuko.transforms import MonotonicRQSTransform

from iafsweep.models.flows.naf import deep_sigmoid, inverse_deep_sigmoid
from iafsweep.models.flows.steps import positive
from iafsweep.models.roots import MOST_STEPS, increasing_root
from iafsweep.models.splines import inverse_spline, spline

BOUND, BINS, UNITS, SMALLEST = 3.0, 5, 4, 1e-3


def raw_of(count, spread=2.0):
    return spread * normal(count, 3 * BINS - 1, seed=1)


def test_positive_is_one_at_zero_and_never_below_its_least():
    assert positive(torch.zeros(1, dtype=torch.float64)).item() == pytest.approx(1, abs=1e-15)
    for dtype in (torch.float32, torch.float64):
        assert positive(torch.tensor([-1e4], dtype=dtype)).item() == pytest.approx(1e-3)


def test_splines_are_those_of_nflows():
    x, raw = 2 * normal(300), raw_of(300)
    y, log_slope = spline(x, raw, BOUND)
    widths, heights, derivatives = raw.split((BINS, BINS, BINS - 1), -1)
    constant = math.log(math.expm1(1 - 1e-3))
    expected = unconstrained_rational_quadratic_spline(
        x, widths, heights, derivatives + constant, tail_bound=BOUND, min_bin_width=SMALLEST
    )
    assert ((x.abs() < BOUND).any(), (x.abs() > BOUND).any()) == (True, True)
    assert torch.allclose(y, expected[0], atol=1e-10)
    assert torch.allclose(log_slope, expected[1], atol=1e-10)


def test_splines_are_those_of_zuko():
    x, raw = 2 * normal(300), raw_of(300)
    peer = MonotonicRQSTransform(*raw.split((BINS, BINS, BINS - 1), -1), bound=BOUND)
    # It makes knots and slopes of its numbers in a way of its own: numbers that give the same ones.
    widths, heights = (_logits(knots / (2 * BOUND)) for knots in (peer.horizontal.diff(), peer.vertical.diff()))
    derivatives = (peer.derivatives[..., 1:-1] - 1e-3).expm1().log() - math.log(math.expm1(1 - 1e-3))
    y, log_slope = spline(x, torch.cat((widths, heights, derivatives), -1), BOUND)
    expected = peer.call_and_ladj(x)
    assert torch.allclose(y, expected[0], atol=1e-5)
    assert torch.allclose(log_slope, expected[1], atol=1e-5)


def _logits(shares):
    return ((shares - SMALLEST) / (1 - SMALLEST * BINS)).log()


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
def test_spline_comes_back_at_knots_ends_and_far_outside(spread):
    x = torch.tensor([-1e6, -BOUND - 1e-9, -BOUND, -BOUND + 1e-9, 0.0, 1.0, BOUND - 1e-9, BOUND, 50.0]).double()
    raw = raw_of(len(x), spread)
    y, log_slope = spline(x, raw, BOUND)
    assert (inverse_spline(y, raw, BOUND) - x).abs().max() < 1e-8
    assert (log_slope[[0, 1, 2, 7, 8]] == 0).all()
    assert (spread > 0) or ((y - x).abs().max() < 1e-14 and log_slope.abs().max() < 1e-14)


@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_deep_sigmoid_by_exact_arithmetic(spread):
    x, numbers = 3 * normal(20), spread * normal(20, 3 * UNITS, seed=1)
    y, log_slope = deep_sigmoid(x, numbers)
    with mpmath.workdps(60):
        for i in range(len(x)):
            a, b, w = numbers[i].chunk(3)
            slopes = [mpmath.mpf(value) for value in positive(a).tolist()]
            weights = [mpmath.exp(value) for value in w.tolist()]

            def exact(at, slopes=slopes, b=b, weights=weights):
                sigmoids = [1 / (1 + mpmath.exp(-(s * at + o))) for s, o in zip(slopes, b.tolist(), strict=True)]
                share = mpmath.fdot(weights, sigmoids) / mpmath.fsum(weights)
                return mpmath.log(share / (1 - share))

            assert float(exact(mpmath.mpf(x[i].item()))) == pytest.approx(y[i].item(), rel=1e-12, abs=1e-12)
            slope = mpmath.diff(exact, mpmath.mpf(x[i].item()))
            assert float(mpmath.log(slope)) == pytest.approx(log_slope[i].item(), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_deep_sigmoid_comes_back_and_does_not_saturate(dtype):
    x = (1e3 * normal(2000)).to(dtype)
    numbers = (5 * normal(2000, 3 * UNITS, seed=1)).to(dtype)
    y, log_slope = deep_sigmoid(x, numbers)
    assert log_slope.isfinite().all()
    again, _ = deep_sigmoid(inverse_deep_sigmoid(y, numbers), numbers)
    assert torch.allclose(again, y, rtol=1e3 * torch.finfo(dtype).eps)
    same = deep_sigmoid(x, torch.zeros_like(numbers))
    assert torch.allclose(same[0], x, rtol=16 * torch.finfo(dtype).eps, atol=64 * torch.finfo(dtype).eps)
    assert same[1].abs().max() < 1e-3 if dtype == torch.float32 else same[1].abs().max() < 1e-11


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("steep", lambda x: (torch.tanh(50 * x) + 1e-9 * x, 50 / torch.cosh(50 * x).square() + 1e-9)),
        ("flat at its root", lambda x: (x**3, 3 * x**2)),
        ("of two slopes", lambda x: (torch.where(x > 0, 1e6 * x, 1e-6 * x), torch.where(x > 0, 1e6, 1e-6))),
        ("of wrong slope", lambda x: (x, torch.full_like(x, 1e-30))),
    ],
)
def test_roots_are_found_in_wide_brackets(name, function):
    roots = 10 * normal(500)
    calls = []

    def shifted(x):
        calls.append(1)
        value, slope = function(x - roots)
        return value, slope.to(x.dtype)

    found = increasing_root(shifted, roots - 1e6 * torch.rand(500).double(), roots + 1e7)
    assert (found - roots).abs().max() < 1e-12
    assert len(calls) < MOST_STEPS


def test_a_root_at_the_end_of_its_bracket_is_found():
    low = torch.tensor([2.0, -1.0, 5.0]).double()
    high = torch.tensor([4.0, 2.0, 5.0]).double()
    roots = torch.tensor([2.0, 2.0, 5.0]).double()
    assert torch.allclose(increasing_root(lambda x: (x - roots, torch.ones_like(x)), low, high), roots, atol=1e-14)
