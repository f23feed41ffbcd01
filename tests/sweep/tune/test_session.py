"""A driver without Ray: faults that Tune passes on, and a sweep with nothing left to train."""

import logging
from types import SimpleNamespace

import pytest

from iafsweep.errors import SweepError
from iafsweep.results.status import status_of
from iafsweep.sweep.callbacks.base import StopReason, SweepCallback
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.events import Began, Ended
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import open_ledger, read_sweep
from iafsweep.sweep.tune.driver import Session, launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.sweep.tune.searcher import LedgerSearcher
from tests.sweep.storage.test_ledger import finished, proposed
from tests.sweep.tiny import tiny_images, tiny_space

pytestmark = pytest.mark.faults


@pytest.fixture
def session(tmp_path):
    space, folder = tiny_space(sampler="random"), SweepFolder(tmp_path / "sweep")
    folder.create()
    with open_ledger(space, folder) as ledger:
        log = logging.Logger("test")
        yield Session(space, folder, None, None, None, None, ledger, log, None, StopReason())


def test_a_proposal_that_cannot_be_written_is_one_message_that_tells_what_to_do(session, monkeypatch):
    searcher = LedgerSearcher(
        session.space, session.ledger, make_proposer(session.space), None, 0.0, lambda: "", [], session.stop
    )

    def full(*arguments):
        raise OSError(28, "No space left on device")

    def fit():
        try:
            searcher.suggest("a1b2")
        except SweepError as error:
            raise RuntimeError(f"as Tune says it: {error}") from None

    monkeypatch.setattr("iafsweep.sweep.storage.ledger.os.write", full)
    with pytest.raises(SweepError, match=r"cannot write .*trials.jsonl.*No space left.*, then continue: .* resume "):
        session._fit(SimpleNamespace(fit=fit))
    assert session.ledger.state.trials == ()


def test_a_driver_killed_behind_its_last_trial_is_given_its_end(tmp_path, monkeypatch):
    """Else `status` would speak of a killed driver for ever, of a sweep with nothing left to do."""
    monkeypatch.setattr(LaunchOptions, "ray", None)  # nothing is there to start it for
    space, folder = tiny_space(trials=1), SweepFolder(tmp_path / "sweep")
    folder.create()
    with open_ledger(space, folder) as ledger:
        for row in (Began(at_a_time=1, time="t"), proposed(1), finished(1)):
            ledger.append(row)
    assert status_of(read_sweep(folder)).was_killed
    outcome = launch_sweep(space, folder, tiny_images(), LaunchOptions(), SweepCallback())
    assert (outcome.status, outcome.state) == ("completed", read_ledger(folder.ledger))
    assert not status_of(read_sweep(folder)).was_killed
    assert status_of(read_sweep(folder)).ended_as.outcome == "completed"
    launch_sweep(space, folder, tiny_images(), LaunchOptions(), SweepCallback())
    assert [type(session) for session in read_ledger(folder.ledger).sessions] == [Began, Ended]
