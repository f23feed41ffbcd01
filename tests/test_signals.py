import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from iafsweep.signals import HungUp, SignalCount, StopRequest, Terminated, told_at_once
from iafsweep.sweep.callbacks.base import StopReason
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.tune.driver import SweepOutcome
from iafsweep.sweep.tune.scheduler import SweepStopper
from tests.sweep.storage.test_ledger import HEADER

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("signum", "code", "raised"),
    [(signal.SIGINT, 130, KeyboardInterrupt), (signal.SIGTERM, 143, Terminated), (signal.SIGHUP, 129, HungUp)],
)
def test_first_signal_is_noted_second_ends_at_once_and_handlers_come_back(signum, code, raised, monkeypatch):
    before = signal.getsignal(signum)
    stop = StopRequest()
    monkeypatch.setattr("iafsweep.signals.REPEAT_SECONDS", 600.0)  # however long this takes
    with stop.on_signals():
        assert stop.signal is None
        os.kill(os.getpid(), signum)
        assert stop.signal == signum
        os.kill(os.getpid(), signum)  # GNU timeout's second, which goes to the group
        assert stop.signal == signum
        monkeypatch.setattr("iafsweep.signals.REPEAT_SECONDS", 0.0)  # they have passed
        with pytest.raises(raised):
            os.kill(os.getpid(), signum)
    assert signal.getsignal(signum) is before
    assert SweepOutcome("interrupted", replay(HEADER, []), signal=stop.signal).exit_code == code


@pytest.mark.parametrize(
    ("signals", "seconds"),
    [
        pytest.param([signal.SIGTERM, signal.SIGTERM, signal.SIGTERM], [0.0, 1.9, 2.1], id="later"),
        pytest.param([signal.SIGTERM, signal.SIGTERM, signal.SIGINT], [0.0, 0.1, 0.2], id="another"),
    ],
)
def test_only_the_last_of_these_is_a_second_wish(signals, seconds):
    times = iter(seconds)
    count = SignalCount(lambda: next(times))
    assert [count.is_second(number) for number in signals] == [False, False, True]
    assert count.first == signal.SIGTERM


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
    stop = StopReason()
    stopper = SweepStopper(lambda: stop.ends_running)
    stop.give("stopped", "no room for another", ends_running=False)
    assert not stopper.stop_all()
    stop.give("interrupted", "a user asked it to stop")
    assert stopper.stop_all()
    assert not stopper("t", {})


def test_of_several_reasons_the_one_that_counts_for_most_is_given():
    stop = StopReason()
    stop.give("stalled")
    stop.give("stopped", "the first budget")
    stop.give("stopped", "the second")
    assert (stop.cause, stop.text) == ("stopped", "the first budget")
    stop.give("aborted", "alike", error="Traceback")
    stop.give("stopped", "the third")
    assert (stop.cause, stop.text, stop.error) == ("aborted", "alike", "Traceback")


def test_a_stall_is_forgotten_when_tune_begins_anew_and_nothing_else_is():
    stop = StopReason()
    stop.give("stalled")
    stop.exhausted = True
    stop.begin()
    assert (stop.cause, stop.ends_running, stop.exhausted) == (None, False, False)
    stop.give("stopped", "a budget")
    stop.begin()
    assert (stop.cause, stop.ends_running) == ("stopped", True)


ACKNOWLEDGED = """
import os, signal, threading
from iafsweep.signals import StopRequest, told_at_once

may_send, (reading, writing) = threading.Event(), os.pipe()

def send():
    may_send.wait()
    print("sent", flush=True)
    os.kill(os.getpid(), signal.SIGINT)

def tell():
    print("told", flush=True)
    os.write(writing, b"x")

stop = StopRequest()
with told_at_once(tell), stop.on_signals():
    threading.Thread(target=send).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # else the signal itself would end the wait
    may_send.set()
    os.read(reading, 1)
    print("back", flush=True)
print("noted", stop.signal == signal.SIGINT)
"""


def test_a_signal_is_told_before_the_main_thread_comes_back_to_python():
    """Its handler runs after a call of C alone; here one that ends when it was told."""
    done = subprocess.run([sys.executable, "-c", ACKNOWLEDGED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["sent", "told", "back", "noted True"]


def test_it_is_told_once_and_nothing_is_left_behind():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    told = []
    with told_at_once(lambda: told.append(True)), StopRequest().on_signals():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 60
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
    assert told == [True]
    assert signal.set_wakeup_fd(before) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]
