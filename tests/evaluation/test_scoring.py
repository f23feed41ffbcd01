import pytest
import torch

from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.data import fixed_binarisation
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.evaluate import evaluate, plan_jobs
from iafsweep.evaluation.scoring import noise_blocks, score_shard, tune_on_test_images
from iafsweep.evaluation.shards import Shard, plan_shards
from iafsweep.evaluation.summary import beside_hais, per_image_table, settings_text, summarise
from iafsweep.seeds import generator
from tests.evaluation.small import FLOWS, GREY, run_config, small_model

SETTINGS = EvaluationConfig.model_validate(
    {
        "importance_sampling": {"samples": 60},
        "hais": {"enabled": True, "chains": 4, "temperatures": 5, "leapfrog_steps": 2, "images": 7, "pilot_images": 3},
    }
)


@pytest.fixture(scope="module")
def model():
    return small_model()


def score(model, method, first, count, settings=SETTINGS, step_size=None, **changes):
    samples = {
        "negative_elbo": 1,
        "importance_sampling": settings.importance_sampling.samples,
        "hais": settings.hais.chains,
    }[method]
    given = {"method": method, "split": "test", "binarisation_seed": 0, "samples": samples} | changes
    shard = Shard(first=first, count=count, **given)
    return score_shard(model, GREY[first : first + count], shard, RunConfig(evaluation=settings), step_size)


@pytest.mark.parametrize(
    ("method", "step_size"), [("negative_elbo", None), ("importance_sampling", None), ("hais", 0.2)]
)
def test_the_borders_of_shards_change_no_figure(model, method, step_size):
    whole = score(model, method, 0, 12, step_size=step_size)
    parts = [score(model, method, first, 4, step_size=step_size) for first in (0, 4, 8)]
    together = torch.tensor([value for part in parts for value in part.log_likelihood])
    assert torch.allclose(together, torch.tensor(whole.log_likelihood), atol=1e-4)


@pytest.mark.parametrize("method", ["negative_elbo", "importance_sampling"])
def test_the_bound_is_importance_sampling_with_one_sample(model, method):
    """Both are log p(x, z) - log q(z|x) of one posterior sample, each of the noise of its own name."""
    one = EvaluationConfig.model_validate({"importance_sampling": {"samples": 1}})
    scored = score(model, method, 0, 12, one)
    x = fixed_binarisation(GREY, "test", 0)
    parameters = encode(model, x)
    noise = torch.stack(
        [torch.randn(50, 3, generator=generator("cpu", 0, method, "test", 0, i, 0))[0] for i in range(12)]
    )
    z, log_det = model.transform_noise(noise, parameters)
    log_q = torch.distributions.Normal(0, 1).log_prob(noise).sum(-1) - log_det
    expected = model.log_joint(x, z) - log_q
    assert torch.allclose(torch.tensor(scored.log_likelihood), expected, atol=1e-4)
    assert scored.network_evaluations == 1


@pytest.mark.parametrize("flow", FLOWS)
def test_one_temperature_from_the_posterior_is_importance_sampling_draw_for_draw(flow):
    model = small_model(flow)
    one = SETTINGS.model_copy(update={"hais": SETTINGS.hais.model_copy(update={"temperatures": 1, "chains": 60})})
    x = fixed_binarisation(GREY, "test", 0)
    hais = score(model, "hais", 0, 12, one, step_size=0.1)
    assert (hais.acceptance_rate, hais.gradient_evaluations) == (None, 60)
    bridge = BRIDGES["posterior"](model, x, encode(model, x))
    noise = bridge.draw(60, noise_blocks(0, "hais", "test", 0, range(12)).open())
    log_start, log_target = bridge.log_densities(noise)
    expected = (log_target - log_start).double().logsumexp(0) - torch.tensor(60.0).log()
    assert torch.allclose(torch.tensor(hais.log_likelihood, dtype=torch.float64), expected, atol=1e-4)


def integrated(model, images):
    """Log p(x) of the first test images by a sum over a grid of all three latent variables: the truth."""
    axis = torch.linspace(-5.5, 5.5, 67)
    z = torch.cartesian_prod(axis, axis, axis)[:, None].expand(-1, images, -1)
    x = fixed_binarisation(GREY[:images], "test", 0)
    volume = (axis[1] - axis[0]).log() * 3
    with torch.no_grad():
        return torch.cat([model.log_joint(x, part).double() for part in z.split(20_000)]).logsumexp(0) + volume


@pytest.mark.parametrize("start", ["posterior", "prior", "base"])
def test_every_start_finds_the_integral(model, start):
    settings = EvaluationConfig.model_validate(
        {"hais": {"start": start, "chains": 300, "temperatures": 40, "leapfrog_steps": 3, "schedule": "linear"}}
    )
    annealed = score(model, "hais", 0, 3, settings, step_size=0.25)
    difference = torch.tensor(annealed.log_likelihood, dtype=torch.float64) - integrated(model, 3)
    error = torch.tensor(annealed.standard_error, dtype=torch.float64)
    assert bool((error < 0.3).all())
    assert bool((difference.abs() < 4 * error + 1e-3).all()), (difference, error)


def test_seeds_change_figures_and_repeat_them(model):
    other = SETTINGS.model_copy(update={"seed": 5})
    first, again = score(model, "importance_sampling", 0, 4), score(model, "importance_sampling", 0, 4)
    assert first.log_likelihood == again.log_likelihood
    assert first.log_likelihood != score(model, "importance_sampling", 0, 4, other).log_likelihood


def test_hais_without_a_step_size_and_a_wrong_number_of_images_are_errors(model):
    with pytest.raises(ValueError, match="needs a frozen step size"):
        score(model, "hais", 0, 4)
    shard = Shard(method="hais", split="test", binarisation_seed=0, first=0, count=5, samples=4)
    with pytest.raises(ValueError, match="the shard has 5 images, got 4"):
        score_shard(model, GREY[:4], shard, RunConfig(evaluation=SETTINGS), 0.1)


def test_the_pilot_freezes_a_step_size_in_its_range(model):
    frozen = tune_on_test_images(model, GREY, RunConfig(evaluation=SETTINGS), 0)
    assert SETTINGS.hais.minimum_step_size <= frozen.step_size <= SETTINGS.hais.resolved().maximum_step_size
    assert frozen.step_size == tune_on_test_images(model, GREY, RunConfig(evaluation=SETTINGS), 0).step_size


def test_the_run_that_counts_knows_only_the_step_size_of_its_pilot(model):
    """Longer pilots on more images draw more noise; where the step size may not move, that leaves no trace."""

    def annealed(passes, images, **limits):
        hais = SETTINGS.hais.model_dump() | {"pilot_passes": passes, "pilot_images": images} | limits
        asked = run_config(importance_sampling={"samples": 1}, hais=hais)
        return next(each for each in evaluate(model, {"test": GREY}, asked).shards if each.shard.method == "hais")

    fixed = {"minimum_step_size": 0.2, "initial_step_size": 0.2, "maximum_step_size": 0.2}
    assert annealed(1, 2, **fixed).log_likelihood == annealed(3, 3, **fixed).log_likelihood
    assert annealed(1, 2).log_likelihood != annealed(3, 3).log_likelihood


def config():
    from iafsweep.config import RunConfig

    return RunConfig.model_validate({"data": {"source": "mnist_mini"}, "evaluation": SETTINGS.model_dump()})


def test_an_evaluation_has_every_figure_asked_for(model):
    told = []
    splits = {"train": GREY[:8], "validation": GREY[:0], "test": GREY}
    scores = evaluate(model, splits, config(), lambda *what: told.append(what))
    estimates = scores.estimates
    names = [(each.method, each.split, each.images) for each in estimates]
    assert names == [
        ("negative_elbo", "train", 8),
        ("negative_elbo", "test", 12),
        ("importance_sampling", "test", 12),
        ("importance_sampling", "test", 7),
        ("hais", "test", 7),
    ]
    hais = estimates[-1]
    assert hais.settings == "posterior 5x2x4"
    assert hais.gradient_evaluations == hais.network_evaluations == 4 * (1 + 4 * 2)
    assert hais.step_size is not None
    chain = 1 + 4 * 2
    annealed, samples = 3 * 4 * 3 * chain + 7 * 4 * chain, SETTINGS.importance_sampling.samples
    evaluations = 8 + 12 + 12 * samples + annealed  # of all figures, so that the time left is of all
    assert told[-1] == ("hais test", evaluations, evaluations)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert {total for *_, total in told} == {evaluations}
    table = scores.images
    assert len(table) == 8 + 12 + 12 + 7
    assert set(table[table.method == "hais"].settings) == {hais.settings}
    assert set(table.seed) == {hais.seed}
    sampled = table[(table.method == "importance_sampling") & (table.image < 7)]
    assert -sampled.log_likelihood.mean() == pytest.approx(estimates[3].nll, abs=1e-12)


def test_figures_do_not_depend_on_the_order_of_shards(model):
    shards = [score(model, "importance_sampling", first, 4) for first in (0, 4, 8)]
    one, other = summarise(shards, SETTINGS), summarise(shards[::-1], SETTINGS)
    assert one.model_dump(exclude={"seconds"}) == other.model_dump(exclude={"seconds"})
    with pytest.raises(ValueError, match="begins at image 4, got 8"):
        summarise([shards[0], shards[2]], SETTINGS)
    with pytest.raises(ValueError, match="shards of one method"):
        summarise([shards[0], score(model, "negative_elbo", 4, 4)], SETTINGS)


def test_importance_sampling_beside_hais_is_what_those_images_alone_give(model):
    shards = [score(model, "importance_sampling", first, 4) for first in (0, 4, 8)]
    hais = summarise([score(model, "hais", 0, 8, step_size=0.2)], SETTINGS)
    estimates = (summarise(shards, SETTINGS), hais)
    table = per_image_table(shards, SETTINGS).sample(frac=1, random_state=0)  # its rows may stand in any order
    (beside,) = beside_hais(estimates, table)
    alone = summarise(shards[:2], SETTINGS)
    assert beside.model_dump(exclude={"seconds"}) == alone.model_dump(exclude={"seconds"})
    assert beside.seconds is None  # nobody measured those of a part
    assert beside_hais((*estimates, beside), table) == []
    assert beside_hais(estimates, table[table.image != 3]) == []
    assert beside_hais((estimates[0], hais.model_copy(update={"binarisation_seeds": (7,)})), table) == []


def test_plans():
    assert [(shard.first, shard.count) for shard in plan_shards("hais", "test", 250, 4, 0)] == [
        (0, 100),
        (100, 100),
        (200, 50),
    ]
    jobs = plan_jobs(config(), {"train": 9_000, "validation": 0, "test": 1_000})
    assert [(job.method, job.split, job.images) for job in jobs] == [
        ("negative_elbo", "train", 9_000),
        ("negative_elbo", "test", 1_000),
        ("importance_sampling", "test", 1_000),
        ("hais", "test", 7),
    ]
    assert settings_text("importance_sampling", SETTINGS, 60) == "60 samples"
