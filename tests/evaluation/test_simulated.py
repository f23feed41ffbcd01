import copy
import math

import pytest
import torch

from iafsweep.config import EvaluationConfig, ImageFormat
from iafsweep.evaluation.bridges import encode
from iafsweep.evaluation.evaluate import evaluate, write_images
from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.simulated import (
    SandwichResult,
    SimulatedShard,
    posterior_start,
    simulate,
    summarise_sandwich,
)
from iafsweep.models import build_model
from iafsweep.training import RunFolder
from tests.evaluation.small import FLOWS, GREY, MODEL, run_config, small_model

HAIS = {"enabled": True, "chains": 8, "temperatures": 15, "leapfrog_steps": 4, "images": 5}


@pytest.fixture(scope="module")
def model():
    return small_model()


def test_images_are_draws_from_the_model(model):
    images = simulate(model, 0, range(2000))
    assert set(images.x.unique().tolist()) == {0.0, 1.0}
    assert images.z.mean(0).abs().max() < 4 / 2000**0.5
    probabilities = model.decode(images.z).sigmoid()
    error = (probabilities * (1 - probabilities)).mean(0).div(2000).sqrt()
    assert ((images.x - probabilities).mean(0).abs() < 4.5 * error).all()


def test_each_image_is_its_own_draw(model):
    whole, part = simulate(model, 3, range(10)), simulate(model, 3, range(4, 7))
    assert torch.equal(whole.x[4:7], part.x)
    assert torch.equal(whole.z[4:7], part.z)
    assert not torch.equal(simulate(model, 4, range(10)).x, whole.x)


@pytest.mark.parametrize("flow", FLOWS)
def test_the_posterior_start_is_the_noise_of_the_latent(flow):
    model = small_model(flow)
    images = simulate(model, 0, range(20))
    noise = posterior_start(model, images, "posterior")
    assert noise.dtype == torch.float32
    z, _ = model.transform_noise(noise, encode(model, images.x))
    assert torch.allclose(z, images.z, atol=1e-4)
    assert torch.equal(posterior_start(model, images, "prior"), images.z)
    assert torch.equal(posterior_start(model, images, "base"), images.z)
    assert next(model.parameters()).dtype == torch.float32


def test_the_sandwich_holds_for_every_start(model):
    config = run_config(hais=HAIS, sandwich={"enabled": True, "images": 60, "starts": ["posterior", "prior", "base"]})
    scores = evaluate(model, {"test": GREY}, config)
    assert [each.start for each in scores.sandwiches] == ["posterior", "prior", "base"]
    for each in scores.sandwiches:
        assert each.gap == pytest.approx(each.upper - each.lower)
        assert each.gap > -3 * each.gap_error
        assert 0.4 < each.acceptance_rate < 1
        assert (each.settings, each.images) == ("15x4x8", 60)
        assert each.gradient_evaluations == 8 * (1 + 14 * 4)
    # The images are the same whatever the start, so that any lower bound is below any upper one. The posterior of a
    # network that was never trained is far off: only the prior comes close so soon.
    assert max(each.lower for each in scores.sandwiches) < min(each.upper for each in scores.sandwiches)
    posterior, prior, _ = scores.sandwiches
    assert prior.gap + 3 * prior.gap_error < posterior.gap
    assert (prior.gap < 0.4, prior.untrusted_share < posterior.untrusted_share) == (True, True)


@pytest.mark.parametrize(("chains", "share"), [(1, 1.0), (4, 0.5), (8, 0.0)])
def test_bounds_are_judged_by_the_upper_limit_of_their_variances(chains, share):
    config = EvaluationConfig.model_validate({"hais": {"chains": chains}, "sandwich": {"enabled": True}})
    variance = (0.1, 0.1, 0.2, 0.5) if chains > 1 else (math.nan,) * 4
    result = SandwichResult(
        shard=SimulatedShard(start="posterior", first=0, count=4),
        lower=(-100.0,) * 4,
        upper=(-99.0,) * 4,
        lower_log_weight_variance=variance,
        upper_log_weight_variance=tuple(reversed(variance)),
        acceptance_rate=0.8,
        gradient_evaluations=8,
        seconds=1.0,
    )
    pilot = FrozenStepSize(step_size=0.1, acceptance_rate=0.8, gradient_evaluations=1, seconds=0.0)
    assert summarise_sandwich([result], config, pilot).untrusted_share == share


def test_more_temperatures_close_the_sandwich(model):
    gaps = []
    for temperatures in (1, 8):
        config = run_config(hais=HAIS | {"temperatures": temperatures}, sandwich={"enabled": True, "images": 30})
        gaps.append(evaluate(model, {"test": GREY}, config).sandwiches[0].gap)
    assert gaps[0] > 2 * gaps[1]


def test_a_flow_that_cannot_be_inverted_widens_the_sandwich():
    model = build_model(MODEL, ImageFormat((1, 8, 8)), seed=0).eval().requires_grad_(requires_grad=False)
    for step in model.flow.steps:
        for name, bias in step.made.named_parameters():
            if name.endswith("bias"):
                bias.fill_(-80.0)  # gates of e^-80: what goes in is lost
    images = simulate(model, 0, range(4))
    assert posterior_start(model, images, "posterior").isnan().any()
    config = run_config(hais=HAIS, sandwich={"enabled": True, "images": 4})
    (figure,) = evaluate(model, {"test": GREY}, config).sandwiches
    assert figure.gap == math.inf
    assert figure.untrusted_share > 0


def test_figures_of_each_image_are_kept(model, tmp_path):
    import pandas as pd

    folder = RunFolder(tmp_path)
    scores = evaluate(model, {"test": GREY}, run_config(hais=HAIS, sandwich={"enabled": True, "images": 7}))
    write_images(folder, scores)
    table = pd.read_parquet(folder.simulated)
    assert len(table) == 7
    assert (table.upper - table.lower).mean() == pytest.approx(scores.sandwiches[0].gap)
    write_images(folder, evaluate(copy.deepcopy(model), {"test": GREY}, run_config()))
    assert not folder.simulated.exists()  # they were figures of another evaluation
    images = pd.read_parquet(folder.per_image)
    assert {"method", "split", "binarisation_seed", "image", "samples", "log_likelihood", "pareto_k"} <= set(images)
