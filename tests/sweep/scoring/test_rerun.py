"""Scoring by a pool of processes: the figures are those of a single process, and nothing is done twice."""

import pandas as pd
import pytest
import torch

from iafsweep.config import EvaluationConfig
from iafsweep.data.fingerprint import fingerprint
from iafsweep.evaluation.evaluate import evaluate
from iafsweep.records import Figure
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.scoring.rerun import plan_finalist, score_finalists
from iafsweep.sweep.storage.folder import SweepFolder
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


def score(folder, processes, trials=("t0001", "t0002"), evaluation=EVALUATION, told=None):
    finalists = [plan_finalist(trial, folder, evaluation, {"test": fingerprint(TEST)}) for trial in trials]
    heard = []
    told = [] if told is None else told
    plan = Plan(at_a_time=processes, limited_by="CPU", cpus=1, gpus=0.0)
    outcome = score_finalists(finalists, folder, TEST, plan, heard.append, told.append)
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


@pytest.mark.slow
def test_the_leaderboard_shows_the_gap_and_what_errors_there_are(ray_cluster, folder):
    from iafsweep.results.leaderboard_rows import _test_figures

    (found,), _ = score(folder, 1, ["t0001"])
    figures = _test_figures(found)
    sampled, hais = found.estimates[1], found.estimates[-1]
    bound = next(each for each in found.estimates if (each.method, each.split) == ("negative_elbo", "test"))
    assert figures["test_negative_elbo"] == Figure.of(bound)
    assert bound.standard_error > 0
    gap = found.sandwiches[0]
    assert figures["hais_gap"] == Figure(value=gap.gap, error=gap.gap_error, images=10, settings=gap.hais_settings)
    assert figures["nll_importance_sampling"] == Figure.of(sampled)
    assert figures["nll_importance_sampling"].samples == sampled.samples
    assert figures["nll_importance_sampling"].estimator_error == sampled.estimator_error
    assert figures["nll_hais"].untrusted == hais.untrusted_share


@pytest.mark.slow
def test_a_poorer_rerun_only_adds(ray_cluster, folder):
    run = RunFolder(folder.trial("t0002"))
    first = EVALUATION.model_copy(update={"until_error": EvaluationConfig().until_error})
    (before,), _ = score(folder, 1, ["t0002"], first)
    assert before.device == "cpu (1 thread)"  # as of a single run
    values = first.model_dump() | {"importance_sampling": {"samples": 2, "images": 60}}
    values["hais"]["enabled"] = values["sandwich"]["enabled"] = False
    poorer, said = EvaluationConfig.model_validate(values), []
    (after,), _ = score(folder, 1, ["t0002"], poorer, said)
    assert said == []
    assert after.sandwiches == before.sandwiches
    assert after.estimates[-1] == before.estimates[-1]
    assert [(each.method, each.images, each.settings) for each in after.estimates] == [
        ("negative_elbo", 30, "1 sample"),
        ("importance_sampling", 60, "2 samples"),
        ("importance_sampling", 120, "50 samples"),
        ("importance_sampling", 20, "50 samples"),
        ("importance_sampling", 20, "2 samples"),
        ("hais", 20, "posterior 3x2x4"),
    ]
    images = pd.read_parquet(run.per_image)
    for each in after.estimates:
        rows = images[(images.method == each.method) & (images.image < each.images)]
        rows = rows[rows.settings == each.settings]
        assert len(rows) == each.images * len(each.binarisation_seeds)
        assert -rows.log_likelihood.mean() == pytest.approx(each.nll)
    assert len(pd.read_parquet(run.simulated)) == 10
    (again,), _ = score(folder, 1, ["t0002"], poorer, said)
    assert (again, said) == (after, [])

    run.write_evaluation(after.model_copy(update={"checkpoint_digest": "0" * 16}))
    (alone,), _ = score(folder, 1, ["t0002"], poorer, said)
    assert alone.device == "cpu"  # all was done by earlier reruns, and nothing tells where
    assert {each.method for each in alone.estimates} == {"negative_elbo", "importance_sampling"}
    assert said == [
        "t0002: HAIS posterior 3x2x4 on 20 test images is not kept: it was computed from another checkpoint",
        "t0002: sandwich from the posterior 3x2x4 on 10 simulated images (seed 0) is not kept: "
        "it was computed from another checkpoint",
    ]
    assert set(pd.read_parquet(run.per_image).method) == {"negative_elbo", "importance_sampling"}
    assert not run.simulated.exists()
