"""A driver's training, without Ray: what it makes of the faults that Tune passes on."""

import logging
from types import SimpleNamespace

import pytest

from iafsweep.errors import SweepError
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.proposals import make_proposer
from iafsweep.sweep.searcher import LedgerSearcher
from iafsweep.sweep.session import Session
from iafsweep.sweep.stored import open_ledger
from tests.sweep.tiny import tiny_space

pytestmark = pytest.mark.faults


@pytest.fixture
def session(tmp_path):
    space, folder = tiny_space(sampler="random"), SweepFolder(tmp_path / "sweep")
    folder.create()
    with open_ledger(space, folder) as ledger:
        log = logging.Logger("test")
        yield Session(space, folder, None, None, None, None, ledger, log, None)


def test_a_proposal_that_cannot_be_written_is_one_message_that_tells_what_to_do(session, monkeypatch):
    searcher = LedgerSearcher(session.space, session.ledger, make_proposer(session.space), 0.0, lambda: "", [])

    def full(*arguments):
        raise OSError(28, "No space left on device")

    def fit():
        try:
            searcher.suggest("a1b2")
        except Exception as error:
            raise RuntimeError(f"as Tune says it: {error}") from None

    monkeypatch.setattr("iafsweep.sweep.ledger.os.write", full)
    with pytest.raises(SweepError, match=r"cannot write .*trials.jsonl.*No space left.*so mend that and resume"):
        session._fit(SimpleNamespace(fit=fit), SimpleNamespace(out_of_room=""))
    assert session.ledger.state.trials == ()
