"""Flows beside independent implementations, with the same numbers: z' and log|det| agree."""

import math

import pytest
import torch
import torch.nn.functional as F
from model_cases import CONTEXT_SIZE, LATENT_SIZE, make_flow, normal, settled
from nflows.transforms.orthogonal import HouseholderSequence
from pythae.models.normalizing_flows.planar_flow import PlanarFlow, PlanarFlowConfig
from zuko.transforms import DependentTransform, MonotonicRQSTransform

ROWS = 3
TOLERANCE = 1e-5


def step_of(name):
    step = settled(make_flow(name)).steps[0]
    return step, normal(ROWS, LATENT_SIZE), normal(ROWS, CONTEXT_SIZE, seed=7)


def push_of(step, c):
    """w, b, v and 1 + v.w of each row."""
    return step.of_context(c, torch.float64)


def test_planar_step_is_that_of_pythae():
    """Which takes v as it is given, invertible or not, and adds 1e-4 to the determinant."""
    step, z, c = step_of("planar")
    moved, log_det = step(z, c)
    push = push_of(step, c)
    for row in range(ROWS):
        peer = PlanarFlow(PlanarFlowConfig(input_dim=(LATENT_SIZE,), activation="tanh")).double()
        peer.w.data, peer.u.data, peer.b.data = push.direction[row, None], push.push[row, None], push.offset[row, None]
        found = peer(z[row, None])
        assert torch.allclose(moved[row], found.out[0], atol=TOLERANCE)
        assert torch.allclose(log_det[row].exp(), found.log_abs_det_jac.exp() - 1e-4, atol=TOLERANCE)


def test_planar_step_is_that_of_normflows():
    """Which keeps it invertible in the same way, with u = 0 elsewhere: ours moved along w."""
    normflows = pytest.importorskip("normflows")
    step, z, c = step_of("planar")
    moved, log_det = step(z, c)
    push = push_of(step, c)
    inner = push.slope.expm1().log()
    squared = push.direction.square().sum(-1)
    u = push.push - ((push.slope - 1 - inner) / squared)[:, None] * push.direction
    for row in range(ROWS):
        peer = normflows.flows.Planar((LATENT_SIZE,), u=u[row, None], w=push.direction[row, None], b=push.offset[row])
        found, found_log_det = peer(z[row, None])
        assert torch.allclose(moved[row], found[0], atol=TOLERANCE)
        assert torch.allclose(log_det[row], found_log_det[0], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["sylvester_orthogonal", "sylvester_householder"])
def test_columns_are_those_of_nflows_reflections(name):
    step, _, c = step_of(name)
    columns = step.of_context(c, torch.float64).columns
    vectors = step.frame(c)[:, : step.reflections * LATENT_SIZE].unflatten(-1, (step.reflections, LATENT_SIZE))
    for row in range(ROWS):
        peer = HouseholderSequence(LATENT_SIZE, step.reflections).double()
        peer.q_vectors.data = vectors[row]
        # Row i of what it makes of the unit vectors is its product of reflections applied to one, ours in reverse.
        expected, _ = peer.inverse(torch.eye(LATENT_SIZE, dtype=torch.float64))
        assert torch.allclose(columns[row], expected.T[:, : step.size], atol=TOLERANCE)
        assert torch.allclose(columns[row].T @ columns[row], torch.eye(step.size).double(), atol=1e-14)


@pytest.mark.parametrize("name", ["sylvester_orthogonal", "sylvester_householder", "sylvester_triangular"])
def test_sylvester_step_by_the_formula_of_the_paper(name):
    step, z, c = step_of(name)
    moved, log_det = step(z, c)
    numbers = step.of_context(c, torch.float64)
    for row in range(ROWS):
        q, r, s, b = (each[row] for each in numbers)
        assert torch.equal(r, r.triu())
        assert torch.equal(s, s.triu())
        inside = s @ q.T @ z[row] + b
        assert torch.allclose(moved[row], z[row] + q @ r @ inside.tanh(), atol=1e-12)
        jacobian = torch.eye(LATENT_SIZE).double() + q @ r @ torch.diag(1 - inside.tanh() ** 2) @ s @ q.T
        assert torch.allclose(log_det[row], torch.linalg.slogdet(jacobian).logabsdet, atol=1e-12)


def test_every_second_triangular_step_has_its_columns_reversed():
    first, second = settled(make_flow("sylvester_triangular")).steps
    c = normal(ROWS, CONTEXT_SIZE)
    eye = torch.eye(LATENT_SIZE).double().expand(ROWS, -1, -1)
    assert torch.equal(first.of_context(c, torch.float64).columns, eye)
    assert torch.equal(second.of_context(c, torch.float64).columns, eye.flip(-1))


def test_spline_step_is_that_of_zuko():
    step, z, c = step_of("spline")
    moved, log_det = step(z, c)
    (numbers,) = step.made(z, step.made.embed(c))
    widths, heights, derivatives = numbers.split([4, 4, 3], -1)
    peer = MonotonicRQSTransform(widths, heights, derivatives, bound=step.bound)
    shares = [1e-3 + (1 - 4e-3) * raw.softmax(-1) for raw in (widths, heights)]
    peer.horizontal, peer.vertical = (step.bound * (2 * F.pad(each.cumsum(-1), (1, 0)) - 1) for each in shares)
    peer.derivatives = F.pad(1e-3 + F.softplus(derivatives + math.log(math.expm1(1 - 1e-3))), (1, 1), value=1.0)
    found, found_log_det = DependentTransform(peer, 1).call_and_ladj(z)
    assert torch.allclose(moved, found, atol=TOLERANCE)
    assert torch.allclose(log_det, found_log_det, atol=TOLERANCE)


def test_neural_step_is_that_of_pyro():
    transforms = pytest.importorskip("pyro.distributions.transforms")
    step, z, c = step_of("naf")
    moved, log_det = step(z, c)
    (numbers,) = step.made(z, step.made.embed(c))
    slopes, offsets, weights = (each.movedim(-1, -2) for each in numbers.chunk(3, -1))
    raw = (1e-3 + F.softplus(slopes + math.log(math.expm1(1 - 1e-3)))).expm1().log()
    peer = transforms.NeuralAutoregressive(lambda z: (raw, weights, offsets), hidden_units=3)
    assert torch.allclose(moved, peer(z), atol=TOLERANCE)
    assert torch.allclose(log_det, peer.log_abs_det_jacobian(z, peer(z)), atol=TOLERANCE)
