import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console

from iafsweep import shown_command
from iafsweep.api.launch import wanted_trials
from iafsweep.api.scoring.asked import Asked
from iafsweep.cli.commands.reading.logs import show_logs
from iafsweep.cli.commands.reading.status import show_status
from iafsweep.cli.commands.running.rerun import rerun_best
from iafsweep.cli.commands.running.stop import stop_sweep
from iafsweep.cli.options.ray import Machine
from iafsweep.errors import SweepError, UserError
from iafsweep.records import Best, RunState
from iafsweep.results.status import status_of
from iafsweep.search_space.files import dump_space
from iafsweep.sweep.storage.events import Began, Ended, Started
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, read_sweep, space_hash
from iafsweep.sweep.tune.options import LaunchOptions
from tests.sweep.storage.test_ledger import HEADER, finished, proposed
from tests.sweep.tiny import tiny_space


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    folder.space.write_text(dump_space(tiny_space(trials=4)))
    header = HEADER.model_copy(update={"space": space_hash(load_sweep_space(folder))})
    with Ledger.create(folder.ledger, header) as ledger:
        ledger.append(Began(at_a_time=2, time="2026-01-01T00:00:00+00:00"))
        for number in (1, 2, 3):
            ledger.append(proposed(number))
            ledger.append(Started(trial=f"t000{number}", time="2026-01-01T00:00:00+00:00"))
        for row in (finished(1, 91.25), finished(2, 80.0, "stopped")):
            ledger.append(row.model_copy(update={"time": "2026-01-01T00:01:00+00:00"}))
    folder.trial("t0003").mkdir()
    best = Best(epoch=2, validation_negative_elbo=88.0)
    state = RunState(status="running", epochs=3, best=best, seconds=1.0, parameters=1)
    (folder.trial("t0003") / "state.json").write_text(state.model_dump_json())
    return folder


@pytest.fixture
def console():
    return Console(record=True, width=200, highlight=False)


def test_a_rerun_answers_ctrl_c_and_says_how_to_go_on(folder, console, monkeypatch, tmp_path):
    def interrupted(*given):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr("iafsweep.api.rerun.rerun", interrupted)
    code = rerun_best(folder.path, {}, Asked(), Machine(tmp_path, LaunchOptions()), console)
    assert code == 130
    _, stopping, *_, interrupted, command = console.export_text().splitlines()
    assert stopping.startswith("Stopping: nothing has been created yet; ")
    assert (interrupted, command.strip()) == ("Interrupted. To go on:", shown_command.this_command())


def test_status_of_a_killed_sweep(folder, console, capsys):
    show_status(folder.path, console)
    text = console.export_text()
    assert "not running" in text
    assert "2 of 4 trials ended: 1 completed, 1 stopped" in text
    assert "best: t0001, 91.25 nats at epoch 4" in text
    assert "t0003: training, epoch 3, best bound 88.00 nats" in text
    assert "the last driver was killed" in text
    assert shlex.join([*shown_command.program("sweep"), "resume", str(folder.path)]) in text


def test_status_of_a_running_sweep_names_its_process_and_the_time_left(folder):
    from datetime import UTC, datetime

    with folder.lock():
        now = status_of(read_sweep(folder), datetime(2026, 1, 1, 0, 2, tzinfo=UTC))
    assert now.driver.startswith("process ")
    assert now.left is not None
    low, high = now.left
    assert low < high
    assert not now.was_killed


def test_status_tells_how_the_last_driver_ended(folder, console, capsys):
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(Ended(outcome="stopped", reason="the 2 hours are used up", time="t"))
    show_status(folder.path, console)
    assert "training ended as stopped: the 2 hours are used up" in console.export_text()


def test_status_of_an_exhausted_sweep_does_not_advise_to_go_on(folder, console, capsys):
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(Ended(outcome="exhausted", reason="", time="t"))
    show_status(folder.path, console)
    text = console.export_text()
    assert "ended as exhausted" in text
    assert "to go on" not in text


def test_status_imports_neither_ray_nor_torch():
    code = (
        "import sys; import iafsweep.cli.commands.reading.status, iafsweep.cli.sweep; "
        "sys.exit(any(name in sys.modules for name in ('ray', 'torch', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_stop_needs_a_running_driver_and_an_unfinished_trial(folder, console, capsys):
    with pytest.raises(SweepError, match="no driver runs"):
        stop_sweep(folder.path, None, console)
    with folder.lock():
        with pytest.raises(UserError, match="unfinished are: t0003"):
            stop_sweep(folder.path, "t0001", console)
        with pytest.raises(UserError, match="is not an unfinished trial"):
            stop_sweep(folder.path, "../../x", console)
        stop_sweep(folder.path, "t0003", console)
        stop_sweep(folder.path, None, console)
    assert folder.trial_stop_request("t0003").exists()
    assert folder.stop_request.exists()


def test_logs_show_the_end_of_a_log_and_the_error(folder, console, capsys):
    folder.log.write_text("\n".join(f"line {number}" for number in range(9)))
    show_logs(folder.path, None, 2, console)
    assert console.export_text() == "line 7\nline 8\n"
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(finished(3, None, "failed").model_copy(update={"error": "Traceback\nValueError: x"}))
    (folder.trial("t0003") / "run.log").write_text("epoch 3")
    show_logs(folder.path, "t0003", 5, console)
    assert console.export_text().endswith("epoch 3\nt0003 failed after 4 epochs\nTraceback\nValueError: x\n")
    with pytest.raises(SweepError, match="is not the name of a trial"):
        show_logs(folder.path, "../t0003", 5, console)


@pytest.mark.parametrize(("text", "wanted"), [("+50", 66), ("150", 150), ("+0", 16)])
def test_trials_are_more_or_in_all(text, wanted):
    assert wanted_trials(text, 16) == wanted


@pytest.mark.parametrize("text", ["", "-5", "5.5", "+", "x"])
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match=r"write \+50 for fifty more"):
        wanted_trials(text, 16)
