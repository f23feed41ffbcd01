"""What is said of trials that have not ended, and of figures that are not a trial's own."""

import csv

import pytest

import iafsweep
from iafsweep.errors import SweepError, UserError
from iafsweep.records import sandwich_beside
from iafsweep.report.verdict import verdict_of_trial
from iafsweep.results.leaderboard_rows import settling_at
from iafsweep.results.publish import publish
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.training import RunFolder
from tests.finished import SPACE
from tests.report.sweeps import SweepMaker, contents_of, driver_at_work, evaluation


def statuses(folder):
    """Of every trial, as each way to read a sweep has them: they are the same."""
    loaded = iafsweep.load_sweep(folder.path)
    publish(read_sweep(folder))
    exported = list(csv.DictReader(folder.leaderboard_csv.read_text().splitlines()))
    found = [
        {row.trial: row.status for row in contents_of(folder).trials},
        {row["trial"]: row["status"] for row in exported},
        dict(zip(loaded.leaderboard["trial"], loaded.leaderboard["status"], strict=True)),
    ]
    assert found[0] == found[1] == found[2]
    return list(dict(sorted(found[0].items())).values())


def test_a_trial_runs_while_a_driver_trains_whoever_asks(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add().add("running")
    with driver_at_work(maker.folder):
        assert statuses(maker.folder) == ["completed", "running"]
    assert statuses(maker.folder) == ["completed", "interrupted"]
    maker.ended("stopped", "1 hour is used up")
    with driver_at_work(maker.folder):  # it scores, and trains no more
        assert statuses(maker.folder) == ["completed", "interrupted"]


def test_what_a_trial_has_done_so_far_is_on_every_leaderboard(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add("running", count=2)
    (maker.folder.trial("t0002") / "metrics.jsonl").write_text("damaged\n")
    loaded = iafsweep.load_sweep(maker.folder.path)
    first, second = sorted(loaded.rows, key=lambda row: row.trial)
    assert (first.epochs, first.best_epoch, first.training.seconds, first.rank) == (3, 3, 3 * 4.0, None)  # 4 s an epoch
    assert (first.validation_negative_elbo is not None, first.validation_images) == (True, 1000)
    assert (second.epochs, second.validation_negative_elbo) == (0, None)
    assert [problem.partition(": ")[0] for problem in loaded.problems] == ["the epochs of t0002 are left out"]


def test_no_best_trial_yet_is_no_reason_to_resume_a_sweep_that_runs(tmp_path):
    folder = SweepMaker(tmp_path / "s").began().add("running").folder
    with driver_at_work(folder):
        running = iafsweep.load_sweep(folder.path)
    with pytest.raises(SweepError, match=r"load the sweep again later: a driver is at work") as caught:
        running.best()
    assert "resume" not in str(caught.value)
    with pytest.raises(SweepError, match=r"continue the sweep: \S*iafsweep-sweep resume "):
        iafsweep.load_sweep(folder.path).best()


def test_figures_of_another_epoch_or_checkpoint_stand_beside_no_bound(tmp_path):
    """A trial that was trained further by hand and scored, or scored from its other checkpoint."""
    maker = SweepMaker(tmp_path / "s", trials=4).began().add(count=4).ended().score("t0001", "t0002", "t0003", "t0004")
    for trial, change in (("t0002", {"epoch": 20}), ("t0003", {"checkpoint": "last"})):
        run = RunFolder(maker.folder.trial(trial))
        run.write_evaluation(run.read_evaluation().model_copy(update=change))
    loaded = iafsweep.load_sweep(maker.folder.path)
    assert {row.trial for row in loaded.rows if row.nll_importance_sampling is not None} == {"t0001", "t0004"}
    assert {trial for trial, *_ in contents_of(maker.folder).diagnostics.rows} == {"t0001", "t0004"}
    first, second = loaded.problems
    assert first.startswith(
        "the test figures of t0002 are left out: they are from best.pt at epoch 20, but the trial's row is from"
    )
    assert second.startswith(
        "the test figures of t0003 are left out: they are from last.pt at epoch 10, but the trial's row is from"
    )


def test_figures_of_a_trial_that_has_not_ended_are_no_test_figures_yet(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add("running").score("t0001")
    loaded = iafsweep.load_sweep(maker.folder.path)
    assert loaded.rows[0].nll_importance_sampling is None
    assert loaded.problems == ("the test figures of t0001 are left out: the trial has not ended",)


def bounded(settings, *bounds):
    """Figures with HAIS of these settings, and sandwiches of these starts and settings."""
    whole = evaluation(0.02)
    (bound,) = whole.sandwiches
    hais = whole.estimates[-1].model_copy(update={"settings": settings})
    sandwiches = tuple(bound.model_copy(update={"start": start, "settings": each}) for start, each in bounds)
    return whole.model_copy(update={"estimates": (*whole.estimates[:-1], hais), "sandwiches": sandwiches})


def test_the_gap_outlives_other_settings_of_hais_and_says_its_own(tmp_path):
    maker = SweepMaker(tmp_path / "s").began().add().score("t0001").ended()
    run = RunFolder(maker.folder.trial("t0001"))
    run.write_evaluation(bounded("posterior 40x4x16", ("prior", "9x1x2"), ("posterior", "10x4x16")))
    (row,) = iafsweep.load_sweep(maker.folder.path).rows
    assert (row.hais_gap.value, row.hais_gap.settings) == (0.2, "posterior 10x4x16")
    assert row.nll_hais.settings == "posterior 40x4x16"
    text = verdict_of_trial(run.read_evaluation()).text
    assert "by HAIS (posterior 10x4x16, not the figure's posterior 40x4x16) are 0.20 ± 0.05 nats apart" in text


def rescored(folder, trial):
    """A trial that was scored again with weaker settings after its good figures were made."""
    run = RunFolder(folder.trial(trial))
    found = run.read_evaluation()
    weaker = [
        each.model_copy(update={"nll": each.nll + 3, "settings": settings, "samples": 8})
        for each in found.estimates
        if (settings := {"importance_sampling": "8 samples", "hais": "prior 4x2x2"}.get(each.method))
    ]
    run.write_evaluation(found.model_copy(update={"estimates": (*weaker, *found.estimates)}))


def test_the_leaderboard_shows_the_lower_figure_on_most_images_or_the_one_asked_for(tmp_path):
    folder = SweepMaker(tmp_path / "s").began().add(count=2).score("t0001", "t0002").ended().folder
    rescored(folder, "t0001")
    rows = {row.trial: row for row in iafsweep.load_sweep(folder.path).rows}
    assert (rows["t0001"].nll_hais, rows["t0001"].nll_importance_sampling) == (
        rows["t0002"].nll_hais,
        rows["t0002"].nll_importance_sampling,
    )
    asked = {row.trial: row for row in iafsweep.load_sweep(folder.path, show="prior 4x2x2").rows}
    assert asked["t0001"].nll_hais.value == rows["t0001"].nll_hais.value + 3
    assert asked["t0001"].nll_importance_sampling == rows["t0001"].nll_importance_sampling
    assert asked["t0002"].nll_hais is None  # it has none of these settings
    publish(read_sweep(folder), show=["8 samples", "prior:4x2x2"])
    (exported,) = (
        row for row in csv.DictReader(folder.leaderboard_csv.read_text().splitlines()) if row["trial"] == "t0001"
    )
    assert (exported["nll_hais_settings"], exported["nll_importance_sampling_samples"]) == ("prior 4x2x2", "8")
    found = contents_of(folder, "prior 4x2x2")
    assert {settings for _, method, settings, *_ in found.diagnostics.rows if "HAIS" in method} == {
        "posterior 20x4x16",
        "prior 4x2x2",
    }
    assert any("prior 4x2x2" in tile.foot for tile in found.tiles)
    with pytest.raises(
        UserError,
        match=r"--show '9 samples': no test figure was measured with these settings; available: 1,000 samples",
    ):
        iafsweep.load_sweep(folder.path, show="9 samples")


@pytest.mark.parametrize(
    ("hais", "bounds", "shown"),
    [
        ("base 8x2x4", [("prior", "9x2x4"), ("base", "8x2x4")], "base 8x2x4"),  # its own
        ("base 8x2x4", [("prior", "9x2x4"), ("posterior", "8x2x4")], "prior 9x2x4"),  # the latest
    ],
)
def test_of_several_sandwiches_that_of_the_figure_is_shown(hais, bounds, shown):
    found = bounded(hais, *bounds)
    beside = sandwich_beside(found.estimates[-1], found.sandwiches)
    assert beside is not None
    assert beside.hais_settings == shown
    assert sandwich_beside(None, found.sandwiches) == found.sandwiches[0]
    assert sandwich_beside(None, ()) is None


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ({}, True),
        ({"model.normalisation": "weight_norm"}, False),
        ({"model.normalisation": "none"}, False),
        ({"training.weight_average": 0.99}, False),
        ({"model.encoder.kind": "gated_conv", "model.decoder.kind": "gated_conv", "model.flow.depth": 0}, False),
        ({"model.encoder.kind": "gated_conv", "model.decoder.kind": "gated_conv", "model.flow.depth": 1}, True),
        ({"model.encoder.kind": "gated_conv", "model.flow.depth": 0}, True),
    ],
)
def test_moving_averages_count_where_there_is_batch_norm(values, counts):
    assert (settling_at(SPACE, values, 3) is not None) is counts
    assert settling_at(SPACE, values, None) is None
