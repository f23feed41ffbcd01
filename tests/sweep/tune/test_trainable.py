"""Trials in one process, as Tune drives them."""

import pytest
from ray.tune.schedulers import TrialScheduler

from iafsweep.records import METRIC
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.trainable import SweepTrial
from iafsweep.sweep.tune.trial_run import TrialSettings, open_trainer
from tests.sweep.tiny import open_fake
from tests.sweep.tune.test_trial_run import IMAGES, config_of, kill, metrics_of

pytestmark = pytest.mark.faults


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    return folder


@pytest.fixture
def make_process(folder):
    """Makes processes of trials as Tune would, without Ray."""
    made = []

    def make(opener=open_fake, milestones=(), **changes):
        process = SweepTrial.__new__(SweepTrial)
        settings = TrialSettings(folder.path, 1, milestones, opener)
        process.setup(config_of(**changes), IMAGES.training.numpy(), IMAGES.validation.numpy(), settings)
        made.append(process)
        return process

    yield make
    for process in made:
        kill(process._run)


def test_process_takes_another_trial_and_puts_the_first_away(make_process, folder):
    trial = make_process(open_trainer, milestones=(1,))
    trial.step()
    first = trial._run.trainer
    assert trial.reset_config(config_of("t0002", depth=1))
    assert trial.step()["trial"] == "t0002"
    assert first.folder.read_state().status == "interrupted"
    fresh = make_process(open_trainer, trial="t0003", depth=1)
    trial.step()
    fresh.step(), fresh.step()
    assert metrics_of(folder.trial("t0002")) == metrics_of(folder.trial("t0003"))


def test_fault_in_putting_a_trial_away_is_not_the_next_ones(make_process):
    trial = make_process()
    trial.step()

    def finish(status):
        raise ValueError("no picture")

    trial._run.trainer.finish = finish
    trial.reset_config(config_of("t0002"))
    result = trial.step()
    assert result["status"] == "running"
    assert "could not be closed: ValueError('no picture')" in result["note"]


def test_tunes_checkpoint_holds_nothing_but_a_name(make_process, tmp_path):
    trial = make_process()
    trial.step()
    assert trial.save_checkpoint(str(tmp_path)) is None
    assert (tmp_path / "trial.txt").read_text() == "t0001"
    trial.load_checkpoint(str(tmp_path))


def test_scheduler_keeps_our_names_and_stops_who_is_asked_to(folder):
    from types import SimpleNamespace

    from iafsweep.sweep.schedulers.asha import Rungs
    from iafsweep.sweep.tune.scheduler import RuledScheduler

    scheduler = RuledScheduler(Rungs(1, 2, 8), folder)

    def decide(name, value):
        tunes = SimpleNamespace(trial_id="a1b2", config={"trial": name})
        return scheduler.on_trial_result(None, tunes, {"epoch": 1, METRIC: value})

    assert [decide("t0001", 5.0), decide("t0002", 6.0), decide("t0002", 6.0)] == [
        TrialScheduler.CONTINUE,
        TrialScheduler.STOP,
        TrialScheduler.CONTINUE,
    ]
    folder.trial_stop_request("t0009").touch()  # at a rung: what it reached there counts, as after a resume
    assert decide("t0009", 4.0) == TrialScheduler.STOP
    assert decide("t0004", 5.2) == TrialScheduler.STOP

    tunes = SimpleNamespace(config={"trial": "t0003"})
    alone = RuledScheduler(None, folder)
    folder.trial_stop_request("t0003").touch()
    assert alone.on_trial_result(None, tunes, {}) == TrialScheduler.STOP
    assert alone.on_trial_result(None, tunes, {}) == TrialScheduler.CONTINUE
