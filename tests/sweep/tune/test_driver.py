"""Sweeps under Ray: whole, disturbed, resumed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch

from iafsweep.errors import SweepError
from iafsweep.search_space.candidate import candidate
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.callbacks.progress import PlainProgress
from iafsweep.sweep.callbacks.running import RunningTrials
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.storage.events import Finished, Proposed
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import reopen_trials
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from iafsweep.training import RunFolder, Trainer
from tests.sweep.tiny import (
    DEPTH,
    finite_space,
    open_fake,
    open_faulty,
    open_killed_once,
    open_slow_steps,
    tiny_images,
    tiny_space,
)
from tests.sweep.tune.test_trial_run import metrics_of

pytestmark = pytest.mark.faults
IMAGES = tiny_images()
NODE = Node("this machine", 2, 0)


@pytest.mark.slow
def test_killed_worker_and_nothing_left_to_do(ray_cluster, tmp_path):
    """A trial's process is killed with SIGKILL in the middle of an epoch; its metrics are those of a run left alone."""
    folder = SweepFolder(tmp_path / "sweep")
    space = tiny_space(trials=2)
    options = LaunchOptions(node=NODE, open_trainer=open_killed_once)
    lines = []
    outcome = launch_sweep(space, folder, IMAGES, options, PlainProgress(RunningTrials(space, folder), lines.append))
    assert (outcome.status, outcome.exit_code) == ("completed", 0)
    assert [trial.finished.status for trial in outcome.state.trials] == ["completed"] * 2
    first = outcome.state.trials[0]
    assert first.starts == 2
    assert any("t0001 lost its process and continues in a new one" in line for line in lines)
    assert any(line.startswith("t0001 continues after epoch 2") for line in lines)

    config = candidate(space, first.proposed.parameters).config
    alone = Trainer.start(config, IMAGES, RunFolder(tmp_path / "alone"), torch.device("cpu"))
    for _ in range(4):
        alone.run_epoch()
    alone.finish()
    assert metrics_of(folder.trial("t0001")) == metrics_of(tmp_path / "alone")
    assert first.finished.best_value == alone.best.validation_negative_elbo

    assert not folder.scratch.exists()
    assert launch_sweep(space, folder, IMAGES, options, SweepCallback()).state == read_ledger(folder.ledger)


@pytest.mark.slow
def test_a_running_trial_saves_after_the_current_step_when_the_sweep_is_told_to_end(ray_cluster, tmp_path):
    """By a signal to the driver, or by `stop`; Tune alone would kill it ten seconds later, within its epoch."""
    folder = SweepFolder(tmp_path / "sweep")
    space = tiny_space(trials=1, epochs=2)
    begun = folder.trials / "t0001.batches"

    def told_by(tell):
        def when_it_trains():
            wait_for(begun.exists)
            time.sleep(0.5)
            tell()

        begun.unlink(missing_ok=True)
        teller = threading.Thread(target=when_it_trains)
        teller.start()
        options = LaunchOptions(node=NODE, open_trainer=open_slow_steps)
        outcome = launch_sweep(space, folder, IMAGES, options, SweepCallback())
        teller.join()
        state = RunFolder(folder.trial("t0001")).read_state()
        assert (state.status, state.epochs, outcome.status) == ("interrupted", 0, "interrupted")
        return torch.load(folder.trial("t0001") / "step.pt", weights_only=True)["batches"]

    first = told_by(folder.stop_request.touch)
    second = told_by(lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert 1 <= first < second < 7
    outcome = launch_sweep(space, folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())
    assert outcome.status == "completed"
    log = (folder.trial("t0001") / "run.log").read_text()
    assert f"resumed after epoch 0 plus {second} of 7 batches of the next" in log
    config = candidate(space, outcome.state.trials[0].proposed.parameters).config
    alone = Trainer.start(config, IMAGES, RunFolder(tmp_path / "alone"), torch.device("cpu"))
    for _ in range(2):
        alone.run_epoch()
    alone.finish()
    assert metrics_of(folder.trial("t0001")) == metrics_of(tmp_path / "alone")


@pytest.mark.slow
def test_other_ends_are_rows_and_a_finite_space_is_exhausted(ray_cluster, tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    space = finite_space(trials=20, sampler="grid", max_concurrent=1)
    outcome = launch_sweep(space, folder, IMAGES, LaunchOptions(node=NODE, open_trainer=open_faulty), SweepCallback())
    assert outcome.status == "exhausted"
    ends = {trial.proposed.parameters[DEPTH]: trial.finished for trial in outcome.state.trials}
    assert {depth: end.status for depth, end in ends.items()} == {0: "completed", 1: "diverged", 2: "failed", 3: "oom"}
    assert "ZeroDivisionError" in ends[2].error
    assert all(trial.starts == 1 for trial in outcome.state.trials)  # none of them was tried again
    assert len(outcome.state.finished) == space.size
    again = launch_sweep(space, folder, IMAGES, LaunchOptions(node=NODE, open_trainer=open_fake), SweepCallback())
    assert (again.status, again.state) == ("exhausted", outcome.state)

    first = {trial.trial: trial for trial in outcome.state.trials}
    reopened = reopen_trials(folder, {"oom", "failed", "diverged"}, gpus=0.0)
    assert len(reopened) == 6
    retried = launch_sweep(space, folder, IMAGES, LaunchOptions(node=NODE, open_trainer=open_fake), SweepCallback())
    assert {trial.finished.status for trial in retried.state.trials} == {"completed"}
    for trial in retried.state.trials:
        before = first[trial.trial].finished.status
        assert trial.afresh == (before == "diverged")
        assert folder.trial(trial.trial).with_name(f"{trial.trial}.old-1").exists() == (before == "diverged")
        assert trial.starts == 1 + (before != "completed")

    with pytest.raises(SweepError, match="holds a sweep of another search space"):
        launch_sweep(tiny_space(), folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())
    with folder.lock(), pytest.raises(SweepError, match="in use by another driver"):
        launch_sweep(space, folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"gpus_per_trial": 4.0},
            "asks for 1 CPU, 4 GPU and 1 GiB of memory on one node, but there is only this machine: 2 CPU, 0",
        ),
        (
            {"gpu_hours": 1.0},
            "sweep.gpu_hours limits GPU-hours, but trials use no GPU; leave it out, and limit --hours instead",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path, monkeypatch, settings, message):
    monkeypatch.setattr(LaunchOptions, "ray", None)  # nor is Ray started
    folder = SweepFolder(tmp_path / "sweep")
    with pytest.raises(SweepError, match=message):
        launch_sweep(tiny_space(**settings), folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())
    assert not folder.path.exists()


DRIVER = """
import sys
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.tune.driver import launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions
from tests.sweep.tiny import tiny_images, tiny_space

space = tiny_space(trials=5, epochs=12, scheduler="asha", grace_epochs=3, reduction_factor=2)
options = LaunchOptions(node=Node("m", 2, 0))
outcome = launch_sweep(space, SweepFolder(sys.argv[1]), tiny_images(), options, SweepCallback())
sys.exit(outcome.exit_code)
"""


def start_driver(folder, tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(DRIVER))
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    return subprocess.Popen([sys.executable, str(script), str(folder.path)], env=environment)


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def what_counts(state):
    """Proposals and ends in their order, without clocks."""
    rows = [event for event in state.events if isinstance(event, Proposed | Finished)]
    return [row.model_dump(exclude={"time", "seconds", "gpu_seconds"}) for row in rows]


@pytest.mark.slow
def test_killed_driver_and_signals_change_nothing(tmp_path):
    """SIGKILL, SIGTERM and SIGINT, one after the other, against a sweep that nobody disturbs."""
    whole = SweepFolder(tmp_path / "whole")
    assert start_driver(whole, tmp_path).wait(200) == 0

    folder = SweepFolder(tmp_path / "disturbed")
    for number, (signum, code) in enumerate(
        [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143), (signal.SIGINT, 130)], start=1
    ):
        driver = start_driver(folder, tmp_path)
        running = folder.trial(f"t{number:04d}") / "metrics.jsonl"
        wait_for(lambda running=running: running.exists() and running.read_text().count("\n") >= 2)
        driver.send_signal(signum)
        assert driver.wait(60) == code
    with folder.ledger.open("ab") as file:
        file.write(b'{"row":"rung","tri')  # as a kill in the middle of a line leaves it
    assert start_driver(folder, tmp_path).wait(200) == 0

    assert what_counts(read_ledger(folder.ledger)) == what_counts(read_ledger(whole.ledger))
    for trial in read_ledger(whole.ledger).trials:
        assert metrics_of(folder.trial(trial.trial)) == metrics_of(whole.trial(trial.trial))
    statuses = {trial.finished.status for trial in read_ledger(whole.ledger).trials}
    assert statuses == {"completed", "stopped"}
    lines = [json.loads(line) for line in folder.ledger.read_text().splitlines()]
    assert sum(line["row"] == "started" for line in lines) > 5
