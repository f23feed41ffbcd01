import io

from rich.console import Console

from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.callbacks.progress import LiveProgress, PlainProgress
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.trial_report import TrialReport
from tests.sweep.storage.test_ledger import HEADER, finished, proposed

PLAN = Plan(2, "CPU", 1, 0.0)
STATE = replay(HEADER, [proposed(1), proposed(2), finished(1, 95.5)])
REPORT = TrialReport(
    trial="t0002",
    status="running",
    epoch=3,
    epochs=10,
    validation_negative_elbo=101.25,
    best_epoch=2,
    best_value=100.5,
    seconds=4.0,
    gpus=0.0,
    device="cpu",
    parameters=1,
)


def drive(progress):
    progress.begin(PLAN, replay(HEADER, []), 8)
    progress.epoch(REPORT, STATE)
    progress.finished(STATE.finished[0].finished, STATE)
    progress.message("t0002 goes on after epoch [2]")
    progress.end()


def test_live_table_shows_running_and_ended_trials_and_the_best():
    screen = io.StringIO()
    drive(LiveProgress(Console(file=screen, force_terminal=True, width=120, color_system=None)))
    last = screen.getvalue()[screen.getvalue().rindex("trial ") :]
    assert "t0001" in last
    assert "t0002" in last
    assert "3/10" in last
    assert "101.25" in last
    assert "1 of 8 trials done, best t0001 95.50 nats; 2 trials at a time, limited by CPU" in last
    assert "goes on after epoch [2]" in screen.getvalue()


def test_plain_progress_is_a_line_a_trial():
    lines = []
    drive(PlainProgress(lines.append))
    assert lines[0] == "8 trials, 0 done; 2 trials at a time, limited by CPU (1 CPU, 0 GPU a trial)"
    assert lines[1].startswith("[1/8] t0001 completed after 4 epochs, best bound 95.50 nats at epoch 4, 1.5 s, about ")
    assert lines[2:] == ["t0002 goes on after epoch [2]"]


def test_no_progress_says_nothing(capsys):
    drive(SweepCallback())
    assert capsys.readouterr().out == ""
