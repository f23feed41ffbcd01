"""Rounds of tasks: binarisations, searches for a small error, and that they can be taken up again."""

import math

import pytest
import torch

from iafsweep.config import evaluation as evaluation_module
from iafsweep.data import fixed_binarisation
from iafsweep.evaluation.evaluate import evaluate
from iafsweep.evaluation.jobs import Job, SandwichJob, measure
from iafsweep.evaluation.tasks import perform, read_result
from tests.evaluation.small import GREY, run_config, small_model

HAIS = {"enabled": True, "chains": 4, "temperatures": 2, "leapfrog_steps": 2, "pilot_images": 3, "pilot_passes": 1}
IS, ANNEALED = Job("importance_sampling", "test", 12), Job("hais", "test", 12)


@pytest.fixture(scope="module")
def model():
    return small_model()


def carry(model, job, config, kept=None, limit=None):
    """Carry a measurement through, keeping each result as JSON; stops (None) when so many were made."""
    kept = {} if kept is None else kept
    measurement, made = measure(job, config), []
    while tasks := measurement.tasks():
        for task in tasks:
            if task.name not in kept:
                if limit is not None and len(made) == limit:
                    return None, made
                needed = None if task.needs is None else read_result_of_pilot(kept[task.needs])
                kept[task.name] = perform(model, {"test": GREY}, task, needed).model_dump_json()
                made.append(task.name)
        measurement.take({task.name: read_result(task, kept[task.name]) for task in tasks})
    return measurement.scored, made


def read_result_of_pilot(text):
    from iafsweep.evaluation.scoring import FrozenStepSize

    return FrozenStepSize.model_validate_json(text)


def test_a_search_adds_samples_until_both_errors_are_small(model):
    config = run_config(until_error={"target": 0.05}, importance_sampling={"samples": 60})
    scored, made = carry(model, IS, config)
    found = scored.figure.until_error
    assert found.stopped_by == "target"
    assert found.rounds[0].effort == 100  # whole blocks of noise
    assert len(found.rounds) == len(made) > 2
    last = found.rounds[-1]
    assert last.estimator_error < 0.05
    assert abs(last.nll - last.half_nll) < 0.05
    assert (last.nll, last.half_nll, last.estimator_error) == (
        scored.figure.nll,
        scored.figure.half_nll,
        scored.figure.estimator_error,
    )
    assert scored.figure.samples == last.effort == found.network_evaluations  # none was made twice
    at_once, _ = carry(model, IS, run_config(importance_sampling={"samples": last.effort}))
    assert scored.figure.nll == pytest.approx(at_once.figure.nll, abs=1e-5)
    assert scored.figure.half_nll == pytest.approx(at_once.figure.half_nll, abs=1e-5)
    assert scored.figure.settings == f"{last.effort} samples"


def test_a_search_doubles_temperatures(model):
    config = run_config(until_error={"target": 0.15}, hais=HAIS | {"start": "prior"})
    scored, _ = carry(model, ANNEALED, config)
    found = scored.figure.until_error
    assert found.stopped_by == "target"
    assert len(found.rounds) > 1
    assert [each.effort for each in found.rounds] == [2 * 2**index for index in range(len(found.rounds))]
    assert found.rounds[0].half_nll is None
    # Half of the effort is half of the temperatures: that of half of the chains would move with twice as many again.
    assert [each.half_nll for each in found.rounds[1:]] == [each.nll for each in found.rounds[:-1]]
    assert abs(found.rounds[-1].nll - found.rounds[-2].nll) < 0.15
    assert scored.figure.settings == f"prior {found.rounds[-1].effort}x2x4"
    assert found.network_evaluations == sum(4 * (1 + 2 * (each.effort - 1)) for each in found.rounds)


@pytest.mark.parametrize(("job", "rounds"), [(IS, 3), (ANNEALED, 3)])
def test_the_budget_of_evaluations_ends_a_search(model, job, rounds):
    budget = {IS: 400, ANNEALED: 4 * (3 + 7 + 15)}[job]
    config = run_config(
        until_error={"target": 1e-6, "budget_evaluations": budget}, importance_sampling={"samples": 100}, hais=HAIS
    )
    found = carry(model, job, config)[0].figure.until_error
    assert (found.stopped_by, len(found.rounds), found.network_evaluations) == ("budget", rounds, budget)


def test_the_budget_of_seconds_ends_a_search(model):
    config = run_config(until_error={"target": 1e-6, "budget_seconds": 1e-9})
    found = carry(model, IS, config)[0].figure.until_error
    assert (found.stopped_by, len(found.rounds)) == ("budget", 1)


@pytest.mark.parametrize("job", [IS, ANNEALED])
def test_a_search_that_was_killed_goes_on(model, job):
    config = run_config(until_error={"target": 0.02, "budget_evaluations": 800}, hais=HAIS)
    whole, everything = carry(model, job, config)
    kept = {}
    nothing, before = carry(model, job, config, kept, limit=3)
    assert nothing is None
    again, after = carry(model, job, config, kept)
    assert before + after == everything
    assert again.figure.model_dump(exclude={"seconds"}) == whole.figure.model_dump(exclude={"seconds"})


def test_names_change_with_all_that_changes_a_result(model):
    def names(**evaluation):
        return [task.name for task in measure(ANNEALED, run_config(**{"hais": HAIS} | evaluation)).tasks()]

    assert names() == names()
    assert names() == names(bound_images=3, importance_sampling={"samples": 7})
    for change in ({"seed": 1}, {"binarisations": 2}, {"hais": HAIS | {"pilot_passes": 2}}):
        assert not set(names()) & set(names(**change)) or change == {"binarisations": 2}
    assert len(names(binarisations=2)) == len(names()) + 1


def first_tasks(job, **evaluation):
    """The first round's tasks: a pilot, then its shards."""
    pilot, *shards = measure(job, run_config(**evaluation)).tasks()
    return pilot, shards


@pytest.mark.parametrize("job", [ANNEALED, SandwichJob("posterior", 12)])
def test_names_change_with_what_a_default_stands_for_and_not_with_writing_it_out(job, monkeypatch):
    def names(**hais):
        pilot, shards = first_tasks(job, hais={"enabled": True} | hais)
        return [task.name for task in (pilot, *shards)]

    defaults = evaluation_module._FROM_POSTERIOR
    resolved = run_config().evaluation.hais.resolved()._asdict()
    assert names(**resolved) == names()
    for name in ("chains", "temperatures", "leapfrog_steps", "target_acceptance", "initial_step_size"):
        before, value = set(names()), resolved[name]
        with monkeypatch.context() as patch:
            other = defaults._replace(**{name: value + 1 if isinstance(value, int) else value / 2})
            patch.setattr(evaluation_module, "_FROM_POSTERIOR", other)
            assert not before & set(names()), name


def test_the_start_of_hais_names_no_sandwich_from_another():
    job = SandwichJob("prior", 12)
    one, other = (first_tasks(job, hais=HAIS | {"start": start}) for start in ("posterior", "base"))
    assert one[0].name == other[0].name
    assert [task.name for task in one[1]] == [task.name for task in other[1]]


@pytest.mark.parametrize(
    "job", [lambda images: Job("hais", "test", images), lambda images: SandwichJob("prior", images)]
)
def test_more_images_keep_the_pilot_and_the_shards_there_are(job):
    fewer, more = (first_tasks(job(images), hais=HAIS) for images in (100, 200))
    assert fewer[0].name == more[0].name
    assert [task.name for task in more[1]][:1] == [task.name for task in fewer[1]]
    assert len(more[1]) == 2
    smaller, _ = first_tasks(job(2), hais=HAIS)
    assert smaller.work.images == 2
    assert smaller.name != fewer[0].name


@pytest.mark.parametrize("start", ["posterior", "prior", "base"])
def test_announced_evaluations_are_those_that_are_made(start):
    """Forward and reverse chains with the defaults of the sandwich's start, whatever that of HAIS."""
    pilot, shards = first_tasks(SandwichJob(start, 120), hais={"pilot_images": 3, "pilot_passes": 2})
    chains, chain = (8, 1 + 79 * 3) if start == "posterior" else (16, 1 + 498 * 10)
    assert pilot.evaluations == 3 * chains * 2 * chain
    assert sum(task.evaluations for task in shards) == 2 * 120 * chains * chain


def test_figures_are_means_over_binarisations(model):
    one, three = (carry(model, IS, run_config(binarisations=count))[0] for count in (1, 3))
    assert one.figure.binarisation_seeds == (0,)
    assert three.figure.binarisation_seeds == (0, 1, 2)
    of_seed = [torch.tensor(result.log_likelihood, dtype=torch.float64) for result in three.results]
    assert torch.equal(of_seed[0], torch.tensor(one.results[0].log_likelihood, dtype=torch.float64))
    of_image = torch.stack(of_seed).mean(0)
    assert three.figure.nll == pytest.approx(-of_image.mean().item(), abs=1e-12)
    assert three.figure.standard_error == pytest.approx(of_image.std().item() / math.sqrt(12))
    errors = torch.tensor([result.standard_error for result in three.results], dtype=torch.float64)
    assert three.figure.estimator_error == pytest.approx(errors.square().sum().sqrt().item() / (3 * 12))
    assert three.figure.network_evaluations == 3 * 60
    bits = [fixed_binarisation(GREY, "test", seed) for seed in (0, 1)]
    assert not torch.equal(*bits)


def test_only_test_images_are_binarised_several_times(model):
    scores = evaluate(model, {"train": GREY[:4], "test": GREY}, run_config(binarisations=2))
    assert [(each.split, each.binarisation_seeds) for each in scores.estimates] == [
        ("train", (0,)),
        ("test", (0, 1)),
        ("test", (0, 1)),
    ]


def test_an_estimate_reports_half_of_the_effort(model):
    scores = evaluate(model, {"test": GREY}, run_config(hais=HAIS))
    bound, sampled, annealed = scores.estimates
    assert (bound.half_nll, bound.estimator_error) == (None, None)
    assert sampled.half_nll > sampled.nll
    assert annealed.half_nll > annealed.nll
    assert sampled.pareto_k is not None
    assert annealed.pareto_k is None  # four chains tell nothing of a tail


def test_one_round_of_annealing_never_shows_a_small_error(model):
    """However near all chains are to half of them: they are as biased, for want of temperatures."""
    config = run_config(until_error={"target": 1e3, "budget_evaluations": 1}, hais=HAIS)
    found = carry(model, ANNEALED, config)[0].figure.until_error
    assert (found.stopped_by, len(found.rounds)) == ("budget", 1)
    assert found.rounds[0].half_nll is None
