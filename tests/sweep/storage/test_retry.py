import pytest

from iafsweep.errors import SweepError
from iafsweep.results.leaderboard_rows import leaderboard_row
from iafsweep.search_space.candidate import candidate
from iafsweep.sweep.schedulers.asha import Rungs
from iafsweep.sweep.storage.events import Began, Ended, Finished, Proposed, Reopened, Rung, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.stored_sweep import reopen_trials
from tests.sweep.storage.test_ledger import EVENTS, HEADER, finished
from tests.sweep.tiny import DEPTH, RATE, tiny_space

pytestmark = pytest.mark.faults


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    space = tiny_space()
    with Ledger.create(folder.ledger, HEADER) as ledger:
        for number, status in enumerate(["completed", "oom", "diverged", "failed", "oom"], start=1):
            values = {DEPTH: 0, RATE: 0.001 * (number + 1)}
            found = candidate(space, values)
            seed = found.config.training.seed
            name = trial_name(number)
            ledger.append(Proposed(trial=name, number=number, parameters=values, seed=seed, key=found.key, time="t"))
            end = finished(number, 90.0 if status == "completed" else None, status)
            ledger.append(end.model_copy(update={"gpu_seconds": 3.0}))
            folder.trial(name).mkdir()
    return folder


def test_only_those_asked_for_are_opened_again_with_their_gpus(folder):
    assert reopen_trials(folder, {"oom"}, 1.0) == ("t0002", "t0005")
    state = read_ledger(folder.ledger)
    assert [(trial.trial, trial.gpus, trial.afresh) for trial in state.unfinished] == [
        ("t0002", 1.0, 0),
        ("t0005", 1.0, 0),
    ]
    assert folder.trial("t0002").exists()
    assert state.problems == ()


def test_a_diverged_trial_begins_afresh_with_another_seed_and_its_old_folder_is_kept(folder):
    (folder.trial("t0003") / "metrics.jsonl").write_text("old")
    reopen_trials(folder, {"diverged"}, None)
    assert not folder.trial("t0003").exists()
    assert (folder.trials / "t0003.old-1" / "metrics.jsonl").read_text() == "old"
    trial = read_ledger(folder.ledger).unfinished[0]
    row = leaderboard_row(trial, tiny_space())
    again = candidate(tiny_space(), trial.proposed.parameters, afresh=1)
    assert row.seed == again.config.training.seed != trial.proposed.seed
    assert again.key == trial.proposed.key
    assert trial.spent_gpu_seconds == 3.0
    assert read_ledger(folder.ledger).gpu_seconds == 15.0


def test_a_wish_to_stop_of_before_it_ended_is_forgotten(folder):
    folder.trial_stop_request("t0002").touch()
    reopen_trials(folder, {"oom"}, None)
    assert not folder.trial_stop_request("t0002").exists()


def test_a_second_time_gives_another_seed_again(folder):
    reopen_trials(folder, {"diverged"}, None)
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(finished(3, None, "diverged"))
    folder.trial("t0003").mkdir()
    reopen_trials(folder, {"diverged"}, None)
    assert read_ledger(folder.ledger).unfinished[0].afresh == 2
    assert (folder.trials / "t0003.old-2").exists()


def test_nothing_to_retry_and_a_running_driver_are_said(folder):
    with folder.lock(), pytest.raises(SweepError, match="in use by another driver"):
        reopen_trials(folder, {"oom"}, None)
    reopen_trials(folder, {"oom"}, None)
    with pytest.raises(SweepError, match="no trial of .* ended as oom"):
        reopen_trials(folder, {"oom"}, None)


def test_a_trial_that_has_not_ended_cannot_be_opened_again():
    state = replay(HEADER, [*EVENTS[:2], Reopened(trial="t0001", time="t")])
    assert state.problems == ("reopened row of t0001 left out: the trial had not ended",)


def test_sessions_of_drivers_are_kept_apart_from_trials():
    began, ended = Began(at_a_time=2, time="t"), Ended(outcome="stopped", reason="r", time="t")
    state = replay(HEADER, [began, *EVENTS, ended])
    assert state.sessions == (began, ended)
    assert state.trials == replay(HEADER, EVENTS).trials


def test_rungs_forget_a_trial_that_begins_afresh():
    rows = [
        Rung(trial="t0001", epoch=1, value=10.0, time="t"),
        Finished(trial="t0001", status="diverged", epochs=2, seconds=1.0, gpu_seconds=0.0, time="t"),
        Reopened(trial="t0001", afresh=True, time="t"),
    ]
    rungs = Rungs(1, 2, 8)
    rungs.refill(rows)
    assert not rungs.record("t0002", 1, 99.0)  # nobody is there to be compared with
