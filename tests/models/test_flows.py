"""Flows against autograd: Jacobians, log-determinants, inverses, dependence on the context."""

import pytest
import torch
from model_cases import (
    CONTEXT_SIZE,
    FLOW_CASES,
    FLOW_CONFIGS,
    LATENT_SIZE,
    MOMENTUM,
    flow_config,
    generator,
    gradients_missing,
    influence_of_other_rows,
    make_flow,
    normal,
    settled,
)
from torch.autograd.functional import jacobian

from iafsweep.models.build import initialise
from iafsweep.models.context import AddContext
from iafsweep.models.flows import build_flow
from iafsweep.models.flows.iaf import IAFStep, iaf_outputs
from iafsweep.models.made import ConditionalMade, MaskedLayer

STEPPED = [name for name in FLOW_CASES if name != "identity"]
MASKED = [name for name, config in FLOW_CONFIGS.items() if config.has_made]
PUSHING = [name for name in FLOW_CASES if name.startswith(("identity", "planar", "sylvester"))]
ROWS = 3


def context(rows=ROWS):
    return normal(rows, CONTEXT_SIZE, seed=7)


def z_and_context(rows=ROWS):
    return normal(rows, LATENT_SIZE), context(rows)


@pytest.mark.parametrize("name", FLOW_CASES)
def test_log_det_is_that_of_the_jacobian(name):
    flow = settled(FLOW_CASES[name]())
    for z, c in zip(*z_and_context(), strict=True):
        matrix = jacobian(lambda z, c=c: flow(z[None], c[None])[0][0], z)
        _, log_det = flow(z[None], c[None])
        sign, expected = torch.linalg.slogdet(matrix)
        assert sign == 1
        assert abs(log_det.item() - expected.item()) < 1e-9


@pytest.mark.parametrize("name", MASKED)
def test_step_jacobians_are_triangular_and_full(name):
    flow = settled(FLOW_CASES[name]())
    z, c = z_and_context(1)
    ones = torch.ones(LATENT_SIZE, LATENT_SIZE, dtype=torch.bool)
    for k, step in enumerate(flow.steps):
        matrix = jacobian(lambda z, step=step: step(z[None], c)[0][0], z[0])
        dependent = ones.triu() if k % 2 else ones.tril()
        assert (matrix[~dependent] == 0).all()
        # Weights in general position: what the masks allow is really there.
        assert (matrix[dependent] != 0).all()


@pytest.mark.parametrize("name", STEPPED)
def test_context_reaches_every_output(name):
    flow = settled(FLOW_CASES[name]())
    z, c = z_and_context(1)
    matrix = jacobian(lambda c: flow(z, c[None])[0][0], c[0])
    reached = (matrix != 0).all(1)
    # With D - 1 units per layer no unit is free of latent variables; two steps of opposite order reach all the same.
    assert reached.all()


@pytest.mark.parametrize("name", [name for name in STEPPED if name != "gated_narrow"])
def test_context_reaches_every_output_of_every_step(name):
    flow = settled(FLOW_CASES[name]())
    z, c = z_and_context(1)
    for step in flow.steps:
        matrix = jacobian(lambda c, step=step: step(z, c[None])[0][0], c[0])
        assert (matrix != 0).any(1).all()


@pytest.mark.parametrize("name", FLOW_CASES)
def test_inverse_undoes_forward(name):
    flow = settled(FLOW_CASES[name]())
    z, c = normal(5, ROWS, LATENT_SIZE), context()
    moved, _ = flow(z, c)
    assert (flow.inverse(moved, c) - z).abs().max() < 1e-9
    assert (flow(flow.inverse(z, c), c)[0] - z).abs().max() < 1e-9


@pytest.mark.parametrize("name", PUSHING)
def test_numbers_of_any_size_leave_it_invertible(name):
    """However long the vectors that the context gives: the slope stays above 0, and the root in its bracket."""
    flow = settled(FLOW_CASES[name](), spread=1.0)
    for c in (0 * context(), 30 * context(), 1000 * context()):
        for step in flow.steps if name != "identity" else ():
            z = 30 * normal(5, ROWS, LATENT_SIZE)
            moved, log_det = step(z, c)
            assert log_det.isfinite().all()
            back = step.inverse(moved, c)
            # What rounding of z' loses where the step is nearly flat, nothing can give back.
            assert ((back - z).abs() <= 1e-12 * (moved - z).abs().clamp_min(1) * (-log_det).exp()[..., None]).all()


@pytest.mark.parametrize("name", FLOW_CASES)
def test_float32_is_near_float64(name):
    flow, z, c = settled(FLOW_CASES[name]()), normal(5, ROWS, LATENT_SIZE), context()
    exact, log_det = flow(z, c)
    source = flow.inverse(exact, c)
    flow = flow.float()
    for value, expected in zip((*flow(z.float(), c.float()), flow.inverse(exact.float(), c.float())),
                               (exact, log_det, source), strict=True):  # fmt: skip
        assert value.dtype == torch.float32
        assert torch.allclose(value.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in STEPPED if "shift" not in name])
def test_a_new_flow_is_near_the_identity(name):
    """Far nearer than one whose weights all start at the same size; shift-only IAF steps have no gate to keep shut."""
    flow = FLOW_CASES[name]().double()
    initialise(flow, generator())
    z, c = normal(200, ROWS, LATENT_SIZE), context()
    moved, log_det = flow.eval()(z, c)
    steps = len(flow.steps)
    assert (moved - z).square().mean().sqrt() < 0.2 * steps
    assert log_det.abs().mean() / LATENT_SIZE < 0.2 * steps
    assert not torch.equal(moved, z)


def test_which_flows_push_scores():
    assert {name for name in FLOW_CASES if make_flow(name).pushes_scores} == set(PUSHING)
    flow = settled(make_flow("gated"))
    with pytest.raises(NotImplementedError, match="IAFStep has no push_score, which `stl` and `dreg` need"):
        flow.push_score(*z_and_context(), normal(ROWS, LATENT_SIZE))


@pytest.mark.parametrize("name", PUSHING)
def test_the_score_behind_a_flow_is_that_of_its_density(name):
    """Against autograd through the inverse's Jacobian: ``J^-T (d log q/dz - d log|det J|/dz)``."""
    flow, c = settled(FLOW_CASES[name](), spread=0.5), context()
    z = normal(2, ROWS, LATENT_SIZE).requires_grad_()
    score = -z.detach()  # of N(0, I)
    _, log_det = flow(z, c)
    rest = score - (torch.autograd.grad(log_det.sum(), z)[0] if log_det.requires_grad else 0)
    pushed = flow.push_score(z.detach(), c, score)
    for s in range(2):
        for b in range(ROWS):
            matrix = jacobian(lambda z, b=b: flow(z[None], c[b : b + 1])[0][0], z.detach()[s, b])
            assert torch.allclose(pushed[s, b], torch.linalg.solve(matrix.T, rest[s, b]), atol=1e-9)


@pytest.mark.parametrize("name", FLOW_CASES)
def test_sample_dimensions_equal_a_loop(name):
    flow = settled(FLOW_CASES[name]())
    z, c = normal(2, 5, ROWS, LATENT_SIZE), context()
    moved, log_det = flow(z, c)
    assert moved.shape == z.shape
    assert log_det.shape == (2, 5, ROWS)
    for i in range(2):
        for j in range(5):
            one, one_log_det = flow(z[i, j], c)
            assert torch.allclose(moved[i, j], one, atol=1e-12)
            assert torch.allclose(log_det[i, j], one_log_det, atol=1e-12)


@pytest.mark.parametrize("name", STEPPED)
def test_gradient_reaches_every_parameter(name):
    flow = settled(FLOW_CASES[name]())
    moved, log_det = flow(*z_and_context())
    assert gradients_missing(flow, (moved * normal(*moved.shape, seed=1)).sum() + log_det.sum()) == []


@pytest.mark.parametrize("name", FLOW_CASES)
def test_rows_do_not_touch_in_eval_mode(name):
    flow = settled(FLOW_CASES[name]())
    z, c = z_and_context()
    assert influence_of_other_rows(lambda z: flow(z, c)[0], z) == 0.0
    if name != "identity":
        assert influence_of_other_rows(lambda c: flow(z, c)[0], c) == 0.0
        assert flow(z, c)[1].shape == (ROWS,)


@pytest.mark.parametrize("name", STEPPED)
def test_saved_and_loaded_flow_is_the_same(name, tmp_path):
    flow = settled(FLOW_CASES[name]())
    torch.save(flow.state_dict(), tmp_path / "flow.pt")
    other = settled(FLOW_CASES[name](), seed=1)
    assert not torch.equal(other(*z_and_context())[0], flow(*z_and_context())[0])
    other.load_state_dict(torch.load(tmp_path / "flow.pt", weights_only=True))
    assert torch.equal(other(*z_and_context())[0], flow(*z_and_context())[0])
    assert set(flow.state_dict()) >= {name for name, _ in flow.named_parameters()}
    assert not any("mask" in key or "triangle" in key for key in flow.state_dict())


def test_gated_step_by_hand():
    step = settled(make_flow("gated")).steps[0]
    z, c = z_and_context()
    m, s = step.made(z, step.made.embed(c))
    g = torch.sigmoid(s)
    moved, log_det = step(z, c)
    assert torch.allclose(moved, g * z + (1 - g) * m, atol=1e-12)
    assert torch.allclose(log_det, g.log().sum(-1), atol=1e-12)


def test_shift_only_has_no_gate_and_no_log_det():
    flow = settled(make_flow("shift"))
    z, c = z_and_context()
    step = flow.steps[0]
    (shift,) = step.made(z, step.made.embed(c))
    assert torch.equal(step(z, c)[0], z + shift)
    assert torch.equal(flow(z, c)[1], torch.zeros(ROWS, dtype=torch.float64))


def test_saturated_gates_stay_finite():
    step = settled(make_flow("gated_bias")).steps[0]
    step.made.gate.bias.data.fill_(-1000.0)
    moved, log_det = step(*z_and_context())
    assert moved.isfinite().all()
    assert (log_det < -3000).all()
    assert log_det.isfinite().all()


@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize("name", ["gated", "gated_bias", "gated_linear", "shift"])
def test_one_latent_variable(name, depth):
    settings = {
        "gated": flow_config(depth=depth, width=1),
        "gated_bias": flow_config(depth=depth, width=3, batch_norm=False),
        "gated_linear": flow_config(depth=depth, width=4, context_size=3, context_mode="linear"),
        "shift": flow_config(depth=depth, width=3, gated=False),
    }[name]
    flow = settled(build_flow(settings, 1, MOMENTUM))
    z, c = normal(ROWS, 1), normal(ROWS, settings.resolved_context_size, seed=1)
    moved, log_det = flow(z, c)
    slope = jacobian(lambda z: flow(z, c)[0].sum(), z)
    assert torch.allclose(log_det, slope[:, 0].log(), atol=1e-12)
    assert torch.allclose(flow.inverse(moved, c), z, atol=1e-12)


@pytest.mark.parametrize(("name", "start"), [("gated", 3.0), ("gated_bias", 2.0)])
def test_gates_start_nearly_open(name, start):
    for step in make_flow(name).steps:
        layers = [part for part in step.modules() if isinstance(part, MaskedLayer)]
        for layer in layers:
            shift = layer.bias if layer.norm is None else layer.norm.bias
            assert (layer.bias is None) == (name == "gated")
            assert (shift == (start if layer is step.made.gate else 0.0)).all()


def test_linear_context_is_mapped_once_an_image():
    flow = settled(make_flow("gated_linear"))
    rows = []
    for step in flow.steps:
        step.made.entry.linear.register_forward_hook(lambda module, inputs, output: rows.append(output.shape[0]))
    flow(normal(5, ROWS, LATENT_SIZE), context())
    assert rows == [ROWS, ROWS]


def test_errors_name_the_rule():
    with pytest.raises(ValueError, match=r"needs a context \[B, C\], got None"):
        make_flow("gated")(normal(ROWS, LATENT_SIZE).float(), None)
    with pytest.raises(ValueError, match="as wide as the hidden layer, got context size 5 and width 6"):
        AddContext(5, 6)
    with pytest.raises(ValueError, match="width 6 is too narrow for 8 latent variables"):
        make_flow("gated", latent_size=8)


def test_narrowest_masked_network_has_a_first_output_without_context():
    entry = AddContext(3, 3)
    outputs = iaf_outputs(gated=True, batch_norm=False)
    made = ConditionalMade(4, 3, 2, entry, outputs=outputs, batch_norm_momentum=None, reverse=False)
    step = settled(IAFStep(made))
    matrix = jacobian(lambda c: step(normal(1, 4), c[None])[0][0], normal(3))
    assert (matrix[0] == 0).all()
    assert (matrix[1:] != 0).any(1).all()
