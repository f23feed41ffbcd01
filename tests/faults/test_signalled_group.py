"""`run_sweep.py` whose whole process group is signalled, as a terminal, GNU timeout and batch queues do."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from tests.faults.test_command_line import resume_words, run_sweep, trained, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(600)]


def descendants(process):
    """Processes below this one; one that ends meanwhile has none."""
    try:
        below = [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []
    return below + [pid for child in below for pid in descendants(child)]


def is_agent(process):
    try:
        return b"Agent" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def runs(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_end(processes, seconds=30):
    deadline = time.monotonic() + seconds
    while any(runs(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(runs(process) for process in processes)


def test_a_signal_to_the_group_saves_and_prints_how_to_go_on(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    words = ["launch", "mnist_smoke", "--runs", tmp_path, "--name", "s", "--trials", "2", "--epochs", "400"]
    before = 0
    for signum, code in [(signal.SIGTERM, 143), (signal.SIGINT, 130)]:
        driver = run_sweep(*words, start_new_session=True)
        wait_for(trained(folder, "t0001", before + 2), driver)
        others = descendants(driver.pid)
        assert others
        os.kill(driver.pid, signum)
        os.killpg(driver.pid, signum)  # as GNU timeout: the child, then its group
        output = driver.communicate(timeout=90)[0]
        assert driver.returncode == code, output
        assert "Interrupted. To go on" in output
        words = resume_words(output)
        state = read_ledger(folder.ledger)
        assert state.sessions[-1].outcome == "interrupted"
        assert not state.finished
        assert state.problems == ()
        trial = folder.trial("t0001")
        assert '"interrupted"' in (trial / "state.json").read_text()
        before = (trial / "metrics.jsonl").read_text().count("\n")
        assert all_end(others)


def test_a_killed_driver_takes_its_trials_and_daemons_along(tmp_path):
    folder = SweepFolder(tmp_path / "s")
    words = ["launch", "mnist_smoke", "--runs", tmp_path, "--name", "s", "--trials", "2", "--epochs", "400"]
    driver = run_sweep(*words, start_new_session=True)
    wait_for(trained(folder, "t0001", 1), driver)
    others = descendants(driver.pid)
    assert len(others) > 2
    agents = [process for process in others if is_agent(process)]
    driver.kill()
    driver.communicate(timeout=60)
    assert all_end(set(others) - set(agents))
    for process in agents:  # Ray's own; they look for a GCS for a minute before they end
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
