"""Scoring by a pool of processes: the figures are those of a single process, and nothing is done twice."""

import pytest
import torch

from iafsweep.config import EvaluationConfig
from iafsweep.evaluation.report import evaluate
from iafsweep.sweep.cluster import Plan
from iafsweep.sweep.finalists import plan_finalist, score_finalists
from iafsweep.sweep.folder import SweepFolder
from iafsweep.training import RunFolder, Trainer, load_trained_model
from tests.sweep.tiny import BASE, tiny_images

CPU = torch.device("cpu")
EVALUATION = EvaluationConfig.model_validate(
    {
        "bound_images": 30,
        "binarisations": 2,
        "importance_sampling": {"samples": 50, "images": 120},
        "hais": {"enabled": True, "images": 20, "chains": 4, "temperatures": 3, "leapfrog_steps": 2, "pilot_passes": 1},
        "sandwich": {"enabled": True, "images": 10},
        "until_error": {"target": 0.5, "budget_evaluations": 400},
    }
)
IMAGES = tiny_images()
TEST = IMAGES.training[:150]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    sweep = SweepFolder(tmp_path_factory.mktemp("sweep"))
    sweep.create()
    for number in (1, 2):
        training = BASE.training.model_copy(update={"epochs": 2, "seed": number})
        config = BASE.model_copy(update={"training": training})
        trainer = Trainer.start(config, IMAGES, RunFolder(sweep.trial(f"t000{number}")), CPU)
        for _ in range(2):
            trainer.run_epoch()
        trainer.finish()
    return sweep


def score(folder, processes, trials=("t0001", "t0002")):
    finalists = [plan_finalist(trial, folder, EVALUATION, len(TEST)) for trial in trials]
    heard = []
    plan = Plan(at_a_time=processes, limited_by="CPU", cpus=1, gpus=0.0)
    outcome = score_finalists(finalists, folder, TEST, plan, heard.append)
    assert not outcome.errors
    return [run.read_evaluation() for run in (RunFolder(folder.trial(trial)) for trial in trials)], heard


@pytest.mark.slow
def test_a_pool_finds_what_one_process_finds(ray_cluster, folder):
    (first, second), heard = score(folder, processes=2)
    assert first.estimates[0].nll != second.estimates[0].nll
    for trial, found in (("t0001", first), ("t0002", second)):
        run = RunFolder(folder.trial(trial))
        trained = load_trained_model(run, "best", CPU)
        config = run.read_config().model_copy(update={"evaluation": EVALUATION})
        alone = evaluate(trained.model, {"test": TEST}, config)
        assert found.epoch == trained.epoch
        assert [each.method for each in found.estimates] == [each.method for each in alone.estimates]
        for theirs, ours in zip(found.estimates, alone.estimates, strict=True):
            assert theirs.nll == pytest.approx(ours.nll, abs=1e-4)
            assert theirs.settings == ours.settings
        assert found.sandwiches[0].gap == pytest.approx(alone.sandwiches[0].gap, abs=1e-4)
        assert run.per_image.exists()
        assert run.simulated.exists()
    # The searches went on after the first round, whose units are all of the others'.
    assert [entry.done for entry in heard if not entry.name][0] == 0
    assert len([entry for entry in heard if not entry.name]) > 1
    assert all(entry.cost_done <= entry.cost_total for entry in heard)
    assert heard[-1].cost_done == heard[-1].cost_total

    times = {path: path.stat().st_mtime_ns for path in folder.rerun.iterdir()}
    removed = sorted(times)[1]
    removed.unlink()
    again, heard = score(folder, processes=1)
    assert [entry.name for entry in heard if entry.name] == [removed.name]
    assert {path: path.stat().st_mtime_ns for path in times if path != removed} == {
        path: time for path, time in times.items() if path != removed
    }
    for before, after in zip((first, second), again, strict=True):
        clock = {"estimates": {"__all__": {"seconds"}}, "sandwiches": {"__all__": {"seconds"}}}
        assert before.model_dump(exclude=clock) == after.model_dump(exclude=clock)


def test_the_leaderboard_shows_the_gap_and_what_errors_there_are(ray_cluster, folder):
    from iafsweep.sweep.results import _test_figures

    (found,), _ = score(folder, 1, ["t0001"])
    figures = _test_figures(RunFolder(folder.trial("t0001")))
    sampled, hais = found.estimates[1], found.estimates[-1]
    assert figures["hais_gap"] == found.sandwiches[0].gap
    assert figures["hais_gap_error"] == found.sandwiches[0].gap_error
    assert figures["hais_gap_images"] == 10
    assert figures["nll_importance_sampling_samples"] == sampled.samples
    assert figures["nll_importance_sampling_estimator_error"] == sampled.estimator_error
    assert figures["nll_hais_untrusted"] == hais.untrusted_share
