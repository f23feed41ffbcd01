"""Whatever a tracker does, the run goes on: it raises, it hangs, it is slow, it is not installed."""

import threading
import time

import pytest

from iafsweep.errors import UserError
from iafsweep.training.tracking import Mirror, RunToTrack, make_mirror
from iafsweep.training.tracking import mirror as mirror_module
from iafsweep.training.tracking.mirror import figures_of
from tests.finished import BASE, figures, finish_run
from tests.tracking.fakes import FakeRun, FakeTracker


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return finish_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(folder):
    return RunToTrack("key", "run", "", BASE, folder)


@pytest.fixture
def log():
    """What the tracker heard: pairs of a run's key and what was said of it."""
    return []


def wait_until(happened):
    """Wait for what the mirror's thread does."""
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_everything_in_the_folder_is_sent_once_and_in_order(run, log):
    tracker = FakeTracker(log)
    mirror = Mirror("fake", lambda: tracker)
    mirror.news(run)
    mirror.news(run, "completed")
    assert mirror.close(print) == ""
    assert log == [("key", what) for what in (run, 1, 2, "samples", "reconstructions", "completed")]
    assert tracker.closed


def test_what_the_tracker_has_is_not_sent_again(run, log):
    mirror = Mirror("fake", lambda: FakeTracker(log, epochs_sent=1))
    mirror.news(run)
    assert mirror.close(print) == ""
    assert log == [("key", run), ("key", 2)]


def test_figures_are_sent_when_they_come_also_after_the_end(run, log):
    mirror = Mirror("fake", lambda: FakeTracker(log, epochs_sent=2))
    mirror.news(run, "completed")
    wait_until(lambda: ("key", "completed") in log)
    try:
        run.folder.write_evaluation(figures(2))
        mirror.news(run, "completed")
        assert mirror.close(print) == ""
    finally:
        run.folder.evaluation.unlink()
    sent = [what for _, what in log if isinstance(what, dict)]
    assert sent == [figures_of(figures(2))]
    assert sent[0]["test/importance_sampling/nll"] == 98.25
    assert sent[0]["test/importance_sampling/untrusted_share"] == 0.97


def broken(*_):
    raise ConnectionError("no route to tracker\nand more")


class BrokenEpoch(FakeRun):
    epoch = broken


@pytest.mark.parametrize(
    "make", [broken, lambda: FakeTracker([], make_run=broken), lambda: FakeTracker([], make_run=BrokenEpoch)]
)
def test_a_tracker_that_raises_is_given_up_and_said_once(run, make):
    mirror = Mirror("fake", make)
    mirror.news(run)
    mirror._thread.join(10)
    said = mirror.trouble()
    assert said.startswith("--tracker fake failed (ConnectionError: no route to tracker); the run continues")
    mirror.news(run, "completed")
    assert (mirror.trouble(), mirror.close(print)) == ("", "")


def test_a_tracker_that_hangs_holds_up_nothing(run):
    released = threading.Event()

    class Hanging(FakeRun):
        def epoch(self, metrics):
            released.wait(20)

    mirror = Mirror("fake", lambda: FakeTracker([], make_run=Hanging), hang_seconds=0.05, close_seconds=0.2)
    started = time.monotonic()
    for _ in range(1000):
        mirror.news(run)
    assert time.monotonic() - started < 10  # of the 20 s it would have waited
    assert len(mirror._news) <= 1  # nothing piles up
    while not (said := mirror.trouble()):
        assert time.monotonic() - started < 10
        time.sleep(0.01)
    assert "has not answered for" in said
    ended = time.monotonic()
    assert mirror.close(print) == ""  # said before
    assert time.monotonic() - ended < 10
    assert mirror._thread.is_alive()
    assert mirror._thread.daemon
    released.set()
    mirror._thread.join(10)


def test_a_look_at_the_disk_that_hangs_holds_up_nothing(run, monkeypatch):
    looking, released, log, read = threading.Event(), threading.Event(), [], mirror_module.metrics_file.read

    def hang(path):
        looking.set()
        released.wait(20)
        return read(path)

    monkeypatch.setattr(mirror_module.metrics_file, "read", hang)
    mirror = Mirror("fake", lambda: FakeTracker(log))
    mirror.news(run)
    assert looking.wait(10)
    started = time.monotonic()
    mirror.news(run, "completed")
    assert mirror.trouble() == ""
    assert time.monotonic() - started < 10  # of the 20 s it would have waited
    released.set()
    assert mirror.close(print) == ""
    assert log[-1] == ("key", "completed")


def test_the_end_of_a_command_waits_for_a_limited_time(run):
    released = threading.Event()

    class Slow(FakeRun):
        def epoch(self, metrics):
            released.wait(20)

    mirror = Mirror("fake", lambda: FakeTracker([], make_run=Slow), close_seconds=0.1)
    mirror.news(run)
    said = []
    assert "did not receive everything within" in mirror.close(said.append)
    assert said == ["Waiting up to 0 seconds for fake to receive the remaining data"]
    released.set()
    mirror._thread.join(10)


def test_a_run_without_a_folder_yet_is_sent_too(tmp_path, run, log):
    mirror = Mirror("fake", lambda: FakeTracker(log))
    other = RunToTrack("other", "run", "", BASE, type(run.folder)(tmp_path / "none"))
    mirror.news(other, "failed")
    assert mirror.close(print) == ""
    assert log == [("other", other), ("other", "failed")]


def test_a_package_that_is_missing_is_said_before_the_start(monkeypatch):
    monkeypatch.setattr("iafsweep.training.tracking._is_installed", lambda name: False)
    for name in ("mlflow", "wandb"):
        with pytest.raises(UserError, match=rf"package {name} is not installed.* -m pip install .*\[{name}\]"):
            make_mirror(name)
    with pytest.raises(UserError, match="choose one of mlflow, wandb"):
        make_mirror("comet")
