import logging

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from iafsweep.sweep.callbacks.optuna_journal import JournalMirror
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Reopened, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.trial_report import TrialReport
from tests.sweep.tiny import DEPTH, RATE, tiny_space

PLAN = Plan(at_a_time=1, limited_by="CPU", cpus=1, gpus=0.0)
HEADER = Header(sweep="0123456789abcdef", created="t", seed=0, space="s")
SPACE = tiny_space()


def proposed(number):
    values = {DEPTH: 0, RATE: 0.001 * number}
    return Proposed(trial=trial_name(number), number=number, parameters=values, seed=0, key=str(number), time="t")


def finished(number, status="completed", value=90.0):
    return Finished(
        trial=trial_name(number), status=status, epochs=4, value=value, best_epoch=3, best_value=value, seconds=2.0,
        gpu_seconds=0.0, time="t", error="" if value else "Traceback\nValueError: x",
    )  # fmt: skip


def report(number, epoch):
    return TrialReport(
        trial=trial_name(number), status="running", epoch=epoch, epochs=4, validation_negative_elbo=100.0 - epoch,
        best_epoch=epoch, best_value=100.0 - epoch, seconds=1.0, gpus=0.0, device="cpu", parameters=1,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    return folder


@pytest.fixture
def mirror(folder):
    return JournalMirror(SPACE, folder, logging.Logger("test"))


def trials_of(folder):
    """Read the journal as optuna-dashboard does."""
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    (study,) = storage.get_all_studies()
    return optuna.load_study(study_name=study.study_name, storage=storage).trials


def test_trials_can_be_read_while_the_sweep_runs(folder, mirror):
    rows = [proposed(1), proposed(2)]
    mirror.begin(PLAN, replay(HEADER, []), 4)
    mirror.epoch(report(1, 1), replay(HEADER, rows))
    mirror.epoch(report(1, 2), replay(HEADER, rows))
    (running,) = trials_of(folder)
    assert running.state.name == "RUNNING"
    assert running.params == {DEPTH: 0, RATE: 0.001}
    assert running.intermediate_values == {1: 99.0, 2: 98.0}

    ends = [finished(1), finished(2, "diverged", None)]
    for count, end in enumerate(ends, start=1):
        mirror.finished(end, replay(HEADER, [*rows, *ends[:count]]))
    first, second = trials_of(folder)
    assert (first.state.name, first.value) == ("COMPLETE", 90.0)
    assert second.state.name == "FAIL"
    assert second.user_attrs["end"] == {"status": "diverged", "epochs": 4, "seconds": 2.0, "error": "ValueError: x"}


def test_a_new_driver_brings_it_up_to_the_ledger_without_doubles(folder, mirror):
    rows = [proposed(1), proposed(2), finished(1)]
    mirror.begin(PLAN, replay(HEADER, rows), 4)
    rows += [finished(2, "stopped", 95.0), proposed(3), Reopened(trial="t0001", time="t"), finished(1, value=80.0)]
    JournalMirror(SPACE, folder, logging.Logger("test")).begin(PLAN, replay(HEADER, rows), 4)
    found = [(trial.user_attrs["trial"], trial.state.name, trial.value) for trial in trials_of(folder)]
    assert found == [
        ("t0001", "COMPLETE", 90.0),
        ("t0002", "PRUNED", 95.0),
        ("t0001 again 1", "COMPLETE", 80.0),
        ("t0003", "RUNNING", None),
    ]


@pytest.mark.parametrize("damage", [b'{"op_code": 4, "wor', b"garbage\nmore\n"])
def test_a_damaged_journal_and_a_dead_lock_are_no_obstacle(folder, mirror, damage):
    rows = [proposed(1), finished(1)]
    mirror.begin(PLAN, replay(HEADER, rows), 4)
    with folder.journal.open("ab") as file:
        file.write(damage)
    folder.journal.with_name("optuna.journal.lock").symlink_to("nowhere")
    again = JournalMirror(SPACE, folder, logging.Logger("test"))
    again.begin(PLAN, replay(HEADER, [*rows, proposed(2), finished(2, value=85.0)]), 4)
    assert [trial.value for trial in trials_of(folder)] == [90.0, 85.0]


def test_a_journal_that_cannot_be_written_breaks_nothing(folder, mirror):
    folder.journal.mkdir()
    mirror.begin(PLAN, replay(HEADER, []), 4)
    mirror.epoch(report(1, 1), replay(HEADER, [proposed(1)]))
    mirror.finished(finished(1), replay(HEADER, [proposed(1), finished(1)]))
