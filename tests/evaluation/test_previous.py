"""Figures of one checkpoint measured again with other settings: they stand side by side, and none replaces another."""

import pytest

from iafsweep.evaluation.evaluate import evaluate, write_images
from iafsweep.evaluation.previous import read_earlier, with_earlier
from iafsweep.records import Evaluation, shown_figures
from iafsweep.training import RunFolder
from tests.evaluation.small import GREY, run_config, small_model

GOOD = {"enabled": True, "chains": 4, "temperatures": 6, "leapfrog_steps": 2, "images": 8, "pilot_images": 3}
POOR = GOOD | {"start": "prior", "temperatures": 2, "leapfrog_steps": 1, "chains": 2}
SANDWICH = {"enabled": True, "images": 4}


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


def rerun(model, run, **settings):
    """Score as a rerun does, beside what the run folder has; returns what it then has."""
    scores = evaluate(model, {"test": GREY}, run_config(**settings))
    if (earlier := read_earlier(run)) is not None:
        scores = with_earlier(scores, earlier)
    found = Evaluation(
        checkpoint="best", epoch=1, parameters=1, device="cpu", estimates=scores.estimates, sandwiches=scores.sandwiches
    )
    write_images(run, scores)
    run.write_evaluation(found)
    return found


def named(found):
    return {(each.method, each.settings, each.images) for each in found.estimates}


def test_weaker_settings_replace_no_figure(model, run):
    first = rerun(model, run, importance_sampling={"samples": 60}, hais=GOOD, sandwich=SANDWICH)
    second = rerun(model, run, importance_sampling={"samples": 4}, hais=POOR, sandwich=SANDWICH)
    assert {each.made_with for each in first.estimates} < {each.made_with for each in second.estimates}
    assert {"60 samples", "4 samples", "1 sample", "posterior 6x2x4", "prior 2x1x2"} == {
        each.settings for each in second.estimates
    }
    assert {(each.start, each.settings) for each in second.sandwiches} == {("posterior", "6x2x4"), ("prior", "2x1x2")}
    kept = read_earlier(run)
    for each in second.estimates:
        rows = kept.images[(kept.images.settings == each.settings) & (kept.images.image < each.images)]
        rows = rows[rows.method == each.method]
        assert len(rows) == each.images
        assert -rows.log_likelihood.mean() == pytest.approx(each.nll, abs=1e-12)
    assert kept.simulated.groupby(["start", "settings"]).size().to_dict() == {
        ("posterior", "6x2x4"): 4,
        ("prior", "2x1x2"): 4,
    }
    assert kept.methods == {"negative_elbo", "importance_sampling", "hais"}


def test_the_same_again_adds_nothing_and_fewer_images_are_a_figure_of_their_own(model, run):
    first = rerun(model, run, importance_sampling={"samples": 60}, hais=GOOD)
    again = rerun(model, run, importance_sampling={"samples": 60}, hais=GOOD)
    assert named(again) == named(first)
    assert len(again.estimates) == len(first.estimates)
    fewer = rerun(model, run, importance_sampling={"samples": 60, "images": 5})
    assert named(fewer) == named(first) | {("importance_sampling", "60 samples", 5)}
    assert read_earlier(run).images.duplicated(["method", "settings", "binarisation_seed", "image"]).sum() == 0


def test_settings_that_differ_in_more_than_their_numbers_are_told_apart(model, run):
    rerun(model, run, hais=GOOD)
    found = rerun(model, run, hais=GOOD | {"schedule": "sigmoid"})
    settings = [each.settings for each in found.estimates if each.method == "hais"]
    assert sorted(settings) == ["posterior 6x2x4", "posterior 6x2x4 schedule=sigmoid"]
    passes = rerun(model, run, hais=GOOD | {"pilot_passes": 1})  # of another step size
    assert sum(each.settings == "posterior 6x2x4" for each in passes.estimates) == 2


def test_importance_sampling_stands_beside_hais_that_was_measured_at_another_time(model, run):
    rerun(model, run, importance_sampling={"samples": 60})
    found = rerun(model, run, importance_sampling={"samples": 4, "images": 8}, hais=GOOD)
    assert ("importance_sampling", "60 samples", 8) in named(found)


def test_most_images_then_the_lower_figure_is_shown_whatever_order_they_were_made_in(model, run):
    rerun(model, run, importance_sampling={"samples": 4}, hais=GOOD)
    found = rerun(model, run, importance_sampling={"samples": 60, "images": 5}, hais=POOR)
    for estimates in (found.estimates, found.estimates[::-1]):
        shown = shown_figures(estimates)
        assert shown["importance_sampling", "test"].settings == "4 samples"  # on 12 images
        both = {each.settings: each.nll for each in estimates if each.method == "hais"}
        assert shown["hais", "test"].nll == min(both.values())
        asked = shown_figures(estimates, ["60 samples", "prior:2x1x2"])
        assert asked["importance_sampling", "test"].images == 5
        assert asked["hais", "test"].settings == "prior 2x1x2"
        assert asked["negative_elbo", "test"] == shown["negative_elbo", "test"]
        assert shown_figures(estimates, ["60 samples on 5 images"])["importance_sampling", "test"].images == 5
        assert ("hais", "test") not in shown_figures(estimates, ["base 1x1x1"])


def test_simulated_images_of_earlier_versions_are_kept(model, run):
    first = rerun(model, run, sandwich=SANDWICH | {"starts": ["posterior", "prior"]}, hais=GOOD | {"enabled": False})
    table = read_earlier(run).simulated.drop(columns=["settings", "seed"])
    table.to_parquet(run.simulated)
    again = rerun(model, run, sandwich=SANDWICH | {"starts": ["prior"]}, hais=POOR | {"enabled": False})
    assert {each.made_with for each in first.sandwiches} < {each.made_with for each in again.sandwiches}
    assert len(read_earlier(run).simulated) == 3 * 4
