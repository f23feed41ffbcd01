"""The step computes the same bound however it computes: eager, compiled, in fewer bits."""

import contextlib
import copy
import functools
import gc
import weakref

import pytest
import torch

from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.models import PosteriorParameters, build_model
from iafsweep.models.made import MaskedLayer
from iafsweep.seeds import generator
from iafsweep.training import step as steps
from iafsweep.training.batches import Batch, EpochBatches
from iafsweep.training.computing import Computing
from iafsweep.training.device import flushing_denormals
from iafsweep.training.gradient import mean_terms
from iafsweep.training.objective import ValidationSet
from iafsweep.training.step import TrainingStep

SMALL = {
    "latent_size": 4,
    "posterior_offset": -1.0,
    "batch_norm_momentum": 0.1,
    "encoder": {"mlp": {"hidden_sizes": [16]}, "resnet": {"maps": 4, "hidden_size": 8}, "gated_conv": {"maps": 4}},
    "decoder": {"mlp": {"hidden_sizes": [16]}, "resnet": {"maps": 4}, "gated_conv": {"maps": 4}},
    "flow": {"depth": 2, "made": {"width": 8, "hidden_layers": 1}},
}
EAGER = Computing("float32", compiled=False)
LOWERED = Computing("bfloat16", compiled=False)
COMPILED = Computing("float32", compiled=True)


FLOWS = {
    "iaf": {},
    "planar": {},
    "sylvester": {"sylvester": {"columns": 3}},
    "naf": {"naf": {"units": 3}},
    "spline": {"spline": {"bins": 4}},
}


def model_of(kind, depth=2, flow="iaf", **more):
    values = SMALL | {"flow": SMALL["flow"] | {"depth": depth, "kind": flow} | FLOWS[flow]} | more
    for side in ("encoder", "decoder"):
        values[side] = values[side] | {"kind": kind}
    return build_model(ModelConfig.model_validate(values), ImageFormat((1, 8, 8)), seed=0)


def batches(count=3, size=20):
    grey = torch.randint(0, 256, (count * size, 1, 8, 8), generator=generator("cpu", 3), dtype=torch.uint8)
    return list(EpochBatches(grey, size, 4, 0, 0))


def step_of(model, computing, learning_rate=1e-3):
    return TrainingStep(model, torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True), computing)


def trained(kind, computing, **arguments):
    model = model_of(kind, **arguments)
    step = step_of(model, computing)
    return torch.stack([step(batch, 0.7) for batch in batches()]), model, step


@pytest.mark.parametrize("kind", ["discretised_logistic", "discretised_logistic_mixture"])
def test_the_step_of_levels_and_colours_is_one_graph(kind):
    """Without it nothing could be compiled; what a compiler makes of the graph is not looked at here."""
    values = {side: SMALL[side] | {"kind": "mlp"} for side in ("encoder", "decoder")} | {"likelihood": {"kind": kind}}
    model = build_model(ModelConfig.model_validate(SMALL | values), ImageFormat((3, 6, 5), 256), seed=0).eval()
    x = torch.randint(256, (10, 3, 6, 5), generator=generator("cpu", 1)).float()
    noise = torch.randn(10, 4, generator=generator("cpu", 2))
    terms = mean_terms(model, EAGER)
    traced = torch.compile(terms, dynamic=False, fullgraph=True, backend="eager")
    assert [each.item() for each in traced(x, noise)] == [each.item() for each in terms(x, noise)]
    torch.compiler.reset()


NETWORKS = [("mlp", "iaf"), ("resnet", "iaf"), ("gated_conv", "iaf")]
OTHER_FLOWS = [("mlp", flow) for flow in FLOWS if flow != "iaf"]


@pytest.mark.parametrize(("kind", "flow"), NETWORKS + OTHER_FLOWS)
def test_bfloat16_is_near_and_densities_are_float32(kind, flow):
    batch = batches()[0]
    terms = {}
    for computing in (EAGER, LOWERED):
        model = model_of(kind, flow=flow)
        reconstruction, kl = mean_terms(model, computing)(batch.x, batch.noise)
        assert reconstruction.dtype == kl.dtype == torch.float32
        (reconstruction + kl).backward()
        assert {each.grad.dtype for each in model.parameters()} == {torch.float32}
        assert {each.dtype for each in model.buffers() if each.is_floating_point()} == {torch.float32}
        terms[computing] = (reconstruction.item(), kl.item())
    # bfloat16 keeps 8 bits: a relative error of 0.004 a product, of many that average out.
    assert terms[LOWERED] != terms[EAGER]
    assert terms[LOWERED] == pytest.approx(terms[EAGER], rel=0.01)


@pytest.mark.parametrize("flow", FLOWS)
def test_the_log_determinant_is_that_of_the_lowered_map(flow):
    """In bfloat16 the networks round, but z and its log-determinant agree with each other to float32."""
    model = model_of("mlp", flow=flow).eval()
    batch = batches(1, 2)[0]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        parameters = model.encode(batch.x)
        with kept_outputs(model.flow) as outputs:
            z, log_det = model.transform_noise(batch.noise, parameters)
    assert (z.dtype, log_det.dtype, parameters.log_std.dtype) == (torch.float32,) * 3
    assert {output.dtype for output in outputs} == {torch.bfloat16}
    # The same numbers from the networks, and all that follows in float64.
    double = copy.deepcopy(model).double()
    with kept_outputs(double.flow, [output.double() for output in outputs]), torch.no_grad():
        exact = double.transform_noise(
            batch.noise.double(), PosteriorParameters(*(each.double() for each in parameters))
        )
    assert torch.allclose(z.double(), exact[0], atol=1e-5)
    assert torch.allclose(log_det.double(), exact[1], atol=1e-5)


@contextlib.contextmanager
def kept_outputs(flow, given=None):
    """Yield what linear and masked layers inside return, in order; or let them return what is given."""
    kept = [] if given is None else list(given)

    def hook(module, inputs, output):
        return kept.append(output) if given is None else kept.pop(0)

    layers = [each for each in flow.modules() if isinstance(each, torch.nn.Linear | MaskedLayer)]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    yield kept
    for handle in handles:
        handle.remove()


def convolution_precision():
    return torch.backends.cudnn.conv.fp32_precision


@pytest.mark.parametrize("computing", [EAGER, LOWERED], ids=lambda each: each.precision)
def test_float32_is_no_tf32_forward_and_backward(computing):
    model, seen = model_of("resnet"), []
    model.decoder.register_forward_hook(lambda *_: seen.append(convolution_precision()))
    next(model.decoder.parameters()).register_hook(lambda _: seen.append(convolution_precision()))
    outside = convolution_precision()
    step_of(model, computing)(batches(1)[0], 0.7)
    assert seen == (["ieee"] * 2 if computing is EAGER else [outside] * 2)
    assert convolution_precision() == outside != "ieee"


def test_the_validation_bound_is_full_float32():
    model, seen = model_of("mlp"), []
    model.decoder.register_forward_hook(lambda *_: seen.append(convolution_precision()))
    outside = convolution_precision()
    images = ValidationSet(*batches(1)[0][:2])
    bound = images.bound(model)
    with torch.autocast("cpu", torch.bfloat16):
        assert images.bound(model) == bound
    assert seen == ["ieee"] * 2
    assert convolution_precision() == outside


@pytest.mark.parametrize("kind", ["mlp", "resnet", "gated_conv"])
@pytest.mark.parametrize("computing", [EAGER, LOWERED], ids=lambda each: each.precision)
def test_the_step_is_one_graph(kind, computing):
    batch = batches()[0]
    found = torch._dynamo.explain(mean_terms(model_of(kind), computing))(batch.x, batch.noise)
    assert (found.graph_count, found.graph_break_count) == (1, 0)
    torch.compiler.reset()


HEAD = {"autoregressive": {"kind": "pixelcnn", "pixelcnn": {"layers": 2, "maps": 4, "kernel": 3, "features": 2}}}
PARTS = {
    "pixelcnn": {"decoder": SMALL["decoder"] | HEAD},
    "pixelcnn, weight_norm": {"decoder": SMALL["decoder"] | HEAD, "normalisation": "weight_norm"},
    "weight_norm": {"normalisation": "weight_norm"},
    "none": {"normalisation": "none"},
    "autoregressive": {"prior": {"kind": "autoregressive", "autoregressive": {"width": 6}}},
    "spline_coupling": {"prior": {"kind": "spline_coupling", "spline_coupling": {"width": 6, "depth": 2}}},
    "vamp": {"prior": {"kind": "vamp", "vamp": {"components": 3}}, "normalisation": "weight_norm", "depth": 0},
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("computing", [EAGER, LOWERED], ids=lambda each: each.precision)
def test_with_every_prior_head_and_normalisation_densities_are_float32(part, computing):
    batch, model = batches()[0], model_of("mlp", **PARTS[part])
    means = mean_terms(model, computing)(batch.x, batch.noise)
    assert {each.dtype for each in means} == {torch.float32}
    sum(means).backward()
    assert all(each.grad.isfinite().all() for each in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_with_every_prior_head_and_normalisation_the_step_is_one_graph(part):
    batch = batches()[0]
    found = torch._dynamo.explain(mean_terms(model_of("mlp", **PARTS[part]), EAGER))(batch.x, batch.noise)
    assert (found.graph_count, found.graph_break_count) == (1, 0)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_with_every_prior_head_and_normalisation_a_captured_step_equals_the_eager_one(monkeypatch, part):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    compare_compiled("mlp", "float32", 1e-5, **PARTS[part])
    torch.compiler.reset()


def compare_compiled(kind, precision, tolerance, **arguments):
    eager, one, _ = trained(kind, Computing(precision, compiled=False), **arguments)
    compiled, other, step = trained(kind, Computing(precision, compiled=True), **arguments)
    assert step.computing.compiled
    assert step.compile_seconds > 0
    assert torch.allclose(compiled, eager, rtol=tolerance)
    for name, value in one.state_dict().items():
        assert other.state_dict()[name].dtype == value.dtype
        # Three updates of at most the learning rate each, whatever the rounding.
        assert torch.allclose(other.state_dict()[name].float(), value.float(), rtol=0.02, atol=6.5e-3), name


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    yield tmp_path / "compiled"
    torch.compiler.reset()


def test_a_captured_step_equals_the_eager_one(monkeypatch):
    """Forward and backward as PyTorch captures them, run without the code generator, which takes most of a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    compare_compiled("mlp", "float32", 1e-5, depth=0)
    torch.compiler.reset()


@pytest.mark.slow
def test_a_compiled_step_equals_the_eager_one(cache):
    compare_compiled("mlp", "float32", 1e-5, depth=0)
    assert any(cache.rglob("*.so"))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "flow"), NETWORKS + OTHER_FLOWS)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.01)])
def test_every_compiled_step_equals_the_eager_one(cache, kind, flow, precision, tolerance):
    compare_compiled(kind, precision, tolerance, flow=flow)


def test_one_process_compiles_trial_after_trial(monkeypatch):
    """PyTorch stops compiling a function after eight versions of it; a process trains more trials than that."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    batch = batches()[0]
    for _ in range(10):
        step = step_of(model_of("mlp", depth=0), COMPILED)
        step(batch, 1.0)
        assert step.computing.compiled
    torch.compiler.reset()


def test_nothing_compiled_is_left_when_a_step_is_closed(monkeypatch):
    """On a GPU it would hold the memory of a whole step, which nobody else could have."""
    made = weakref.WeakSet()

    def backend(graph, inputs):
        def compiled(*arguments):
            return graph.forward(*arguments)

        made.add(compiled)
        return compiled

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    model = model_of("mlp", depth=0)
    step, batch = step_of(model, COMPILED), batches(1)[0]
    step(batch, 1.0)
    assert len(made) == 1
    step.close()
    gc.collect()
    assert not made
    assert step(batch, 1.0).isfinite().all()  # not compiled


def test_another_weight_or_learning_rate_compiles_nothing(monkeypatch):
    made = []

    def backend(graph, inputs):
        made.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    model = model_of("mlp", depth=1)
    step = step_of(model, COMPILED)
    for number, batch in enumerate(batches(5)):
        step._optimiser.param_groups[0]["lr"] = 1e-3 / (1 + number)
        step(batch, 0.1 * number)
    assert len(made) == 1
    torch.compiler.reset()


def failing(message):
    def compiled(means, *, replays):
        def call(x, noise):
            means(x, noise)  # moves the averages of batch norm, as a backward that cannot be compiled would
            raise torch._dynamo.exc.TorchDynamoException(message)

        return call

    return compiled


def test_a_step_that_cannot_be_compiled_trains_without_and_says_so(monkeypatch):
    monkeypatch.setattr(steps, "_compiled", failing("no such header"))
    eager, one, _ = trained("mlp", EAGER)
    fallen_back, other, step = trained("mlp", COMPILED)
    assert not step.computing.compiled
    assert "no such header" in step.computing.note
    assert torch.equal(eager, fallen_back)
    assert all(torch.equal(other.state_dict()[name], value) for name, value in one.state_dict().items())


def test_the_steps_that_record_on_a_gpu_count_as_compiling(monkeypatch):
    monkeypatch.setattr(steps, "_compiled", lambda means, *, replays: means)
    step = step_of(model_of("mlp", depth=0), COMPILED)
    step._steps_to_compile = steps._STEPS_TO_RECORD
    seconds = []
    for batch in batches(4):
        step(batch, 1.0)
        seconds.append(step.compile_seconds)
    assert 0 < seconds[0] < seconds[1] == seconds[2] == seconds[3]


def test_a_fault_that_is_not_the_compilers_is_raised(monkeypatch):
    def compiled(means, *, replays):
        def call(x, noise):
            raise RuntimeError("out of order")

        return call

    monkeypatch.setattr(steps, "_compiled", compiled)
    with pytest.raises(RuntimeError, match="out of order"):
        trained("mlp", COMPILED)


def test_the_cache_is_shared_unless_one_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(steps.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    assert steps.share_compile_cache() == tmp_path / "iafsweep" / "compiled"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    assert steps.share_compile_cache() == tmp_path / "mine"


def tenth_of_the_smallest():
    return float(torch.tensor(1e-38) * 0.1)


def test_a_step_takes_denormal_numbers_for_zero_and_nothing_after_it_does(monkeypatch):
    model = model_of("mlp")
    step, found = step_of(model, EAGER), []
    model.decoder.register_forward_hook(lambda *_: found.append(tenth_of_the_smallest()))
    monkeypatch.setattr(step._optimiser, "step", lambda: found.append(tenth_of_the_smallest()))
    step(batches()[0], 1.0)
    assert found == [0.0, 0.0]
    assert tenth_of_the_smallest() > 0

    monkeypatch.setattr(step._optimiser, "step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        step(batches()[0], 1.0)
    assert tenth_of_the_smallest() > 0

    with flushing_denormals():
        step = step_of(model, EAGER)
        step(batches()[0], 1.0)
        assert tenth_of_the_smallest() == 0


def test_a_batch_is_bits_and_noise_of_its_own():
    x, noise, *_ = Batch(*batches()[0])
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert noise.shape == (20, 4)
    assert not torch.equal(noise, batches()[1].noise)
