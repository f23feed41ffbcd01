import io

import pytest
from rich.console import Console

from iafsweep.records import RunState
from iafsweep.sweep.callbacks import running
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.callbacks.progress import LiveProgress, PlainProgress
from iafsweep.sweep.callbacks.running import RunningTrials
from iafsweep.sweep.callbacks.time_left import Pace, time_left
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Proposed, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.trial_report import TrialReport
from tests.sweep.storage.test_ledger import HEADER, finished
from tests.sweep.tiny import DEPTH, RATE, tiny_space


def proposed(number):
    values = {DEPTH: 0, RATE: 0.001 * number}
    return Proposed(trial=trial_name(number), number=number, parameters=values, seed=0, key=str(number), time="t")


PLAN = Plan(2, "CPU", 1, 0.0)
SPACE = tiny_space()
PATHS = [parameter.path for parameter in SPACE.parameters]
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


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(running.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(tmp_path / "sweep")


def drive(progress):
    progress.begin(PLAN, replay(HEADER, []), 8)
    progress.started("t0001", STATE)
    progress.started("t0002", STATE)
    progress.epoch(REPORT, STATE)
    progress.finished(STATE.finished[0].finished, STATE)
    progress.message("t0002 continues after epoch [2]")
    progress.end()


def screen(width=120):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=24, color_system=None, _environ={})


def table(progress, console):
    other = screen(console.width)
    other.print(progress._draw())
    return other.file.getvalue()


def test_live_table_shows_running_and_ended_trials_and_the_best(folder):
    console = screen()
    drive(LiveProgress(RunningTrials(SPACE, folder), PATHS, console))
    text = console.file.getvalue()
    last = text[text.rindex("trial ") :]
    assert "t0001" in last
    assert "t0002" in last
    assert "3/10" in last
    assert "101.25" in last
    assert "1 of 8 trials done, best t0001 95.50 nats, " in last
    assert "2 trials at a time, limited by CPU" in last
    assert "continues after epoch [2]" in text


def test_a_trial_is_shown_from_its_start(folder, clock):
    state, console = replay(HEADER, [proposed(1)]), screen()
    progress = LiveProgress(RunningTrials(SPACE, folder), PATHS, console)
    progress._live.auto_refresh = False  # its thread looks into the folder too, and looks are a second apart
    progress.begin(PLAN, replay(HEADER, []), 8)
    assert "Waiting for a process" in table(progress, console)
    progress.started("t0001", state)
    clock[0] = 7.0
    assert table(progress, console).splitlines()[1].split()[:4] == ["t0001", "starting", "0/4", "7"]
    run = folder.trial("t0001") / "state.json"
    run.parent.mkdir(parents=True)
    for seconds, compile_seconds, doing in ((9.0, 0.0, "compiling"), (20.0, 8.0, "training")):
        saved = RunState(status="running", epochs=0, best=None, seconds=0.0, parameters=1, compiled=True,
                         compile_seconds=compile_seconds)  # fmt: skip
        run.write_text(saved.model_dump_json())
        clock[0] = seconds
        assert table(progress, console).splitlines()[1].split()[1] == doing
    assert "time left unknown" in table(progress, console)
    progress.end()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_columns_without_room_are_left_out_whole_and_named(folder, width):
    console = screen(width)
    progress = LiveProgress(RunningTrials(SPACE, folder), [*PATHS, "model.encoder.mlp.hidden_sizes"], console)
    drive(progress)
    lines = table(progress, console).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "…" not in "".join(lines)
    assert ("Columns left out: " in lines[-1]) == (width < 120)


def test_plain_progress_is_a_line_a_start_and_an_end(folder):
    lines = []
    drive(PlainProgress(RunningTrials(SPACE, folder), lines.append))
    assert lines[0] == "8 trials, 0 done; 2 trials at a time, limited by CPU (1 CPU, 0 GPU per trial)"
    assert lines[1].startswith("t0001 starts: ")
    assert lines[3].startswith("[1/8] t0001 completed after 4 epochs, best bound 95.50 nats at epoch 4, 1.5 s, ")
    assert lines[3].endswith(" left")
    assert lines[4:] == ["t0002 continues after epoch [2]"]


def test_the_time_left_is_a_span_that_holds_the_truth_and_narrows():
    """Trials of 100 s, two at a time, 15 in all: asked after each end, and in the middle of the first."""
    early = time_left([], [Pace(30.0, 70.0), Pace(30.0, 90.0)], 13, 2)
    late = time_left([100.0] * 12, [Pace(50.0, 50.0)] * 2, 1, 2)
    for (low, high), truth in ((early, 770.0), (late, 150.0)):
        assert low < truth < high
    assert early[1] / early[0] > 2 * late[1] / late[0] / 1.5
    assert time_left([], [Pace(30.0)], 13, 2) is None


def test_trials_that_run_are_waited_for_however_few_are_left():
    low, high = time_left([10.0, 10.0], [Pace(0.0, 600.0)], 0, 8)
    assert low < 600.0 < high


def test_no_progress_says_nothing(capsys):
    drive(SweepCallback())
    assert capsys.readouterr().out == ""
