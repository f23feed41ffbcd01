import os
import signal
import threading

import pytest

from iafsweep.sweep.outcome import SweepOutcome
from iafsweep.sweep.signals import StopRequest
from iafsweep.sweep.state import replay
from iafsweep.sweep.stopping import SweepStopper
from tests.sweep.test_ledger import HEADER


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_is_noted_second_ends_at_once_and_handlers_come_back(signum, code):
    before = signal.getsignal(signum)
    stop = StopRequest()
    with stop.on_signals():
        assert stop.signal is None
        os.kill(os.getpid(), signum)
        assert stop.signal == signum
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signum)
    assert signal.getsignal(signum) is before
    assert SweepOutcome("interrupted", replay(HEADER, []), signal=stop.signal).exit_code == code


def test_other_outcomes_have_their_codes():
    state = replay(HEADER, [])
    assert [SweepOutcome(status, state).exit_code for status in ("completed", "exhausted", "aborted")] == [0, 0, 1]


def test_outside_the_main_thread_nothing_changes():
    seen = []

    def watch():
        with StopRequest().on_signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_any_reason_stops_the_sweep_and_none_a_trial():
    reasons = [False, False]
    stopper = SweepStopper(lambda: reasons[0], lambda: reasons[1])
    assert not stopper.stop_all()
    reasons[1] = True
    assert stopper.stop_all()
    assert not stopper("t", {})
