import logging
from types import SimpleNamespace

import pytest

from iafsweep.sweep.callbacks.base import StopReason
from iafsweep.sweep.callbacks.progress import PlainProgress
from iafsweep.sweep.callbacks.running import RunningTrials
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Rung, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.trial_report import TrialReport
from iafsweep.sweep.tune.ledger_callback import Recorder, where
from iafsweep.sweep.tune.scheduler import StallWatch
from tests.sweep.tiny import tiny_space

pytestmark = pytest.mark.faults

FIRST = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\nValueError: 1 is too much'
OTHER = 'Traceback (most recent call last):\n  File "b.py", line 3, in f\nValueError: 1 is too much'


def tunes(name, error_file=None):
    return SimpleNamespace(config={"trial": name}, error_file=error_file, status="RUNNING")


def result(name, epoch=1, status="running", done=False, **changes):
    report = TrialReport(
        trial=name,
        status=status,
        epoch=epoch,
        epochs=4,
        validation_negative_elbo=90.0,
        best_epoch=1,
        best_value=90.0,
        seconds=2.0,
        gpus=0.5,
        device="cpu",
        parameters=10,
        **changes,
    )
    return {**report.result(), **({"done": True} if done else {})}


@pytest.fixture
def ledger(tmp_path):
    with Ledger.create(tmp_path / "l", Header(sweep="a", created="t", seed=0, space="s")) as ledger:
        for number in range(1, 9):
            name = trial_name(number)
            ledger.append(Proposed(trial=name, number=number, parameters={}, seed=0, key=name, time="t"))
        yield ledger


@pytest.fixture
def lines():
    return []


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    return folder


@pytest.fixture
def stop():
    return StopReason()


@pytest.fixture
def recorder(folder, ledger, lines, stop):
    return Recorder(
        folder,
        ledger,
        (2,),
        PlainProgress(RunningTrials(tiny_space(), folder), lines.append),
        logging.Logger("test"),
        StallWatch(),
        stop,
    )


def last(ledger):
    return ledger.state.events[-1]


def test_rungs_are_kept_other_epochs_are_not(recorder, ledger):
    before = len(ledger.state.events)
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", 1))
    assert len(ledger.state.events) == before
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", 2))
    assert isinstance(last(ledger), Rung)
    assert last(ledger).value == 90.0
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", 2))  # as after a kill at the rung
    assert len(ledger.state.events) == before + 1


def test_end_by_the_scheduler_is_one_row(recorder, ledger, lines):
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", 2, done=True))
    row = last(ledger)
    assert (row.status, row.epochs, row.value, row.gpu_seconds) == ("stopped", 2, 90.0, 1.0)
    assert not any(isinstance(event, Rung) for event in ledger.state.events)
    assert lines[-1].startswith("[1/0] t0001 stopped after 2 epochs, best bound 90.00 nats at epoch 1, 2.0 s")


def test_end_of_its_own_keeps_its_status(recorder, ledger):
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", 4, "completed"))
    assert last(ledger).status == "completed"


def test_a_member_that_waits_is_stopped_if_somebody_asked_for_it(recorder, folder, ledger):
    """Of a member's last epoch in a generation, perhaps its only one, Tune does not ask the scheduler."""
    folder.trial_stop_request("t0001").touch()
    for name in ("t0001", "t0002"):
        recorder.on_trial_result(0, [], tunes(name), result(name, 2, "waiting"))
    stopped, waits = ledger.state.trials[:2]
    assert (stopped.finished.status, stopped.finished.epochs, stopped.finished.value) == ("stopped", 2, 90.0)
    assert (waits.finished, waits.rungs[-1].epoch) == (None, 2)


def test_a_wish_to_stop_goes_with_its_trial(recorder, folder):
    """Left behind, it would stop the trial after its first epoch when it is tried again."""
    folder.trial_stop_request("t0001").touch()
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", status="oom"))
    assert not folder.trial_stop_request("t0001").exists()


def test_messages_are_passed_on(recorder, lines):
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", note="starts from scratch"))
    assert lines == ["t0001 starts from scratch"]


def test_three_failures_in_the_same_place_end_the_sweep(recorder, stop):
    for number, error in enumerate([FIRST, OTHER, FIRST, FIRST], start=1):
        name = trial_name(number)
        recorder.on_trial_result(0, [], tunes(name), result(name, status="failed", error=error))
        assert not stop.error
    recorder.on_trial_result(
        0, [], tunes("t0005"), result("t0005", status="failed", error=FIRST.replace("1 is", "2 is"))
    )
    assert "2 is too much" in stop.error


def test_a_success_between_starts_the_count_again(recorder, stop):
    for number, status in enumerate(["failed", "failed", "completed", "failed", "failed"], start=1):
        name = trial_name(number)
        recorder.on_trial_result(0, [], tunes(name), result(name, status=status, error=FIRST))
    assert not stop.error


def test_lost_process_is_a_failed_trial_with_what_was_known(recorder, ledger, tmp_path):
    error_file = tmp_path / "error.txt"
    error_file.write_text(
        "Failure # 1 (occurred at x)\nfirst\nFailure # 2 (occurred at x)\nRayActorError: the worker died\n"
    )
    recorder.on_trial_result(0, [], tunes("t0001"), result("t0001", 3))
    recorder.on_trial_error(0, [], tunes("t0001", str(error_file)))
    row = last(ledger)
    assert isinstance(row, Finished)
    assert (row.status, row.epochs, row.best_value) == ("failed", 3, 90.0)
    assert row.error.endswith("RayActorError: the worker died")
    recorder.on_trial_error(0, [], tunes("t0002"))
    assert (last(ledger).status, last(ledger).epochs) == ("failed", 0)


def test_place_of_an_error_without_a_traceback_is_its_text():
    assert where("no GPU") == "no GPU"
    assert where(FIRST) != where(OTHER)


def test_stall_is_noticed_only_while_trials_wait_and_none_runs():
    waiting, running = SimpleNamespace(status="PENDING"), SimpleNamespace(status="RUNNING")
    watch = StallWatch(limit=-1.0)
    for trials, stalled in [([], True), ([waiting], True)]:
        watch.look(trials)
        assert watch.stalled == stalled
    watch = StallWatch(limit=60.0)
    watch._moved -= 100
    watch.look([waiting, running])
    assert not watch.stalled
    watch._moved -= 100
    watch.look([waiting])
    assert watch.stalled
