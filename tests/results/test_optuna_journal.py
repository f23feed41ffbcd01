import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from iafsweep.api.results import export
from iafsweep.errors import SweepError, UserError
from iafsweep.records import EpochMetrics
from iafsweep.sweep.storage.events import Finished, Proposed, Reopened, Started, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import open_ledger
from tests.sweep.tiny import DEPTH, RATE, tiny_space

TIME = "2026-01-01T00:00:00+00:00"


def proposed(number):
    values = {DEPTH: 0, RATE: 0.001 * number}
    return Proposed(trial=trial_name(number), number=number, parameters=values, seed=0, key=str(number), time=TIME)


def started(number):
    return Started(trial=trial_name(number), time=TIME)


def finished(number, status="completed", value=90.0):
    return Finished(
        trial=trial_name(number), status=status, epochs=4, value=value, best_epoch=3, best_value=value, seconds=2.0,
        gpu_seconds=0.0, time="2026-01-01T00:00:05+00:00", error="" if value else "Traceback\nValueError: x",
    )  # fmt: skip


def metrics(epoch):
    return EpochMetrics(
        epoch=epoch, kl_weight=1.0, learning_rate=0.1, train_loss=1.0, train_negative_elbo=1.0,
        train_reconstruction=1.0, train_kl=1.0, validation_negative_elbo=100.0 - epoch, images_per_second=1.0,
        seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    with open_ledger(tiny_space(), folder) as ledger:
        for row in (
            *(each for number in range(1, 6) for each in (proposed(number), started(number))),
            finished(1),
            finished(2, "stopped", 95.0),
            finished(3, "diverged", None),
            finished(4),
            Reopened(trial="t0004", time=TIME),
            finished(4, value=80.0),
        ):
            ledger.append(row)
    run = folder.trial("t0001")
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text("".join(f"{metrics(epoch).model_dump_json()}\n" for epoch in (1, 2)))
    return folder


def trials_of(path):
    """Read the journal as optuna-dashboard does."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    (study,) = storage.get_all_studies()
    return optuna.load_study(study_name=study.study_name, storage=storage).trials


def test_each_row_is_the_trial_of_its_number_as_the_ledger_has_it(folder, tmp_path):
    path = tmp_path / "optuna.journal"
    export(folder.path, optuna=path)
    export(folder.path, optuna=path)  # made again, not written on
    assert [(trial.number, trial.state.name, trial.value) for trial in trials_of(path)] == [
        (0, "FAIL", None),
        (1, "COMPLETE", 90.0),
        (2, "PRUNED", 95.0),
        (3, "FAIL", None),
        (4, "COMPLETE", 80.0),  # opened again: one row, as it ended in the end
        (5, "WAITING", None),  # nobody trains it
    ]
    _, first, _, third, *_ = trials_of(path)
    assert first.params == {DEPTH: 0, RATE: 0.001}
    assert first.intermediate_values == {1: 99.0, 2: 98.0}
    assert first.duration.total_seconds() == 5.0
    assert third.user_attrs["error"] == "ValueError: x"
    assert [path.name for path in tmp_path.iterdir() if "journal" in path.name] == [path.name]  # no locks are left


def test_a_trial_runs_while_a_driver_does(folder, tmp_path):
    with folder.lock():
        export(folder.path, optuna=tmp_path / "running.journal")
    assert trials_of(tmp_path / "running.journal")[5].state.name == "RUNNING"


def test_nothing_is_written_into_the_sweep(folder):
    with pytest.raises(SweepError, match="--optuna"):
        export(folder.path, optuna=folder.path / "trials.jsonl")


def test_a_place_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write .*name another place"):
        export(folder.path, optuna=tmp_path / "file" / "journal")
