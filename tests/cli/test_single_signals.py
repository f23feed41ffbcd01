"""Ctrl-C and SIGTERM at every stage of `run_single.py`."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from iafsweep.run_files import metrics_file
from iafsweep.run_files.metrics_file import read
from iafsweep.signals import Terminated, between_steps, keeping_handlers
from iafsweep.training import RunFolder
from iafsweep.training.step import TrainingStep
from tests.cli.tiny_run import ROOT, WITHOUT_HAIS, command, main

CLOCK = {"seconds", "images_per_second"}


def metrics(folder):
    return [row.model_dump(exclude=CLOCK) for row in read(folder.metrics)]


def ctrl_c_after(monkeypatch, epochs):
    """Send this process a real SIGINT when the line of an epoch is on disk."""
    append = metrics_file.append

    def append_and_interrupt(path, row):
        append(path, row)
        if row.epoch == epochs:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(metrics_file, "append", append_and_interrupt)


@pytest.mark.slow
def test_epochs_between_checkpoints_survive_ctrl_c(config, tmp_path, monkeypatch, capsys):
    often = ("--set", "training.checkpoint_every_epochs=100", "--set", "training.epochs=6", "--threads", "1")
    whole, folder = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    assert main(monkeypatch, config, "--run", whole.path, *often) == 0
    with monkeypatch.context() as interrupted:
        ctrl_c_after(interrupted, epochs=3)
        assert main(interrupted, config, "--run", folder.path, *often) == 130
    assert "To go on:" in capsys.readouterr().out
    state = folder.read_state()
    assert (state.status, state.epochs) == ("interrupted", 3)
    assert main(monkeypatch, "--run", folder.path, "--resume", "--threads", "1") == 0
    assert "resumed after epoch 3" in folder.log.read_text()
    assert metrics(folder) == metrics(whole)
    assert list(folder.path.glob(".*")) == []


TWO_EPOCHS = ("--set", "training.epochs=2", "--threads", "1")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two epochs that nobody disturbs."""
    home = tmp_path_factory.mktemp("home")
    (home / "tiny.toml").write_text(WITHOUT_HAIS)
    with pytest.MonkeyPatch.context() as patch, keeping_handlers():
        assert main(patch, home / "tiny.toml", "--run", home / "whole", *TWO_EPOCHS) == 0
    return RunFolder(home / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_in_a_step_costs_no_step(whole, config, tmp_path, monkeypatch, capsys, number, code):
    """A real signal in the middle of the third step of the second epoch."""
    folder, steps = RunFolder(tmp_path / "run"), []
    step = TrainingStep.__call__

    def counted(self, batch, weight):
        steps.append(batch)
        if len(steps) == batches + 3:
            os.kill(os.getpid(), number)
        return step(self, batch, weight)

    monkeypatch.setattr(TrainingStep, "__call__", counted)
    batches = 8000 // 500
    assert main(monkeypatch, config, "--run", folder.path, *TWO_EPOCHS) == code
    assert len(steps) == batches + 3
    assert "To go on:" in capsys.readouterr().out
    assert main(monkeypatch, "--run", folder.path, "--resume", "--threads", "1") == 0
    assert len(steps) == 2 * batches
    assert metrics(folder) == metrics(whole)
    for file in ("samples.png", "per_image.parquet"):
        assert (folder.path / file).read_bytes() == (whole.path / file).read_bytes()


def signalled(*numbers):
    """What was done before, between and after signals, and what they raised in the end."""
    done = []
    try:
        with between_steps() as check:
            for number in numbers:
                check()
                os.kill(os.getpid(), number)
                done.append(number)
                check()
                done.append("another step")
    except (KeyboardInterrupt, Terminated) as interrupt:
        return done, type(interrupt)
    return done, None


def test_the_first_signal_waits_for_the_end_of_the_step():
    assert signalled() == ([], None)
    assert signalled(signal.SIGINT) == ([signal.SIGINT], KeyboardInterrupt)
    assert signalled(signal.SIGTERM) == ([signal.SIGTERM], Terminated)


def test_a_second_signal_does_not_wait():
    done = []

    def impatient():
        with between_steps():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the first")
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the second")

    with pytest.raises(Terminated):
        impatient()
    assert done == ["the first"]


def test_an_echo_of_the_first_signal_waits_too(monkeypatch):
    monkeypatch.setattr("iafsweep.signals.REPEAT_SECONDS", 600.0)  # however long this takes
    done = []

    def patient():
        with between_steps():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the step")

    with pytest.raises(Terminated):
        patient()
    assert done == ["the step"]


def test_a_signal_that_nobody_asked_for_is_not_lost():
    def finish():
        with between_steps():
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated):
        finish()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
@pytest.mark.parametrize("place", ["iafsweep.cli.single._settings", "iafsweep.api.scoring.score.resolve_device"])
def test_a_signal_before_the_run_begins_is_a_line(config, tmp_path, monkeypatch, capsys, interrupt, code, place):
    def interrupted(*given, **named):
        raise interrupt

    monkeypatch.setattr(place, interrupted)
    assert main(monkeypatch, config, "--run", tmp_path / "run") == code
    shown = capsys.readouterr()
    assert (shown.out + shown.err).strip().startswith("Interrupted.")
    assert not (tmp_path / "run").exists()


def test_steps_outside_the_main_thread_hear_of_no_signal():
    """Where Python allows no handlers: training goes on there as well."""

    def steps():
        with between_steps() as check:
            check()
            return "done"

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(steps).result() == "done"


SIGNALLED_IN_AN_IMPORT = """
import os, runpy, sys

_, number, wanted, *sys.argv = sys.argv

class Signal:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Signal)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("number", "module"),
    [
        (signal.SIGINT, "torch.nn"),
        (signal.SIGTERM, "pydantic"),
        pytest.param(signal.SIGTERM, "torch", marks=pytest.mark.slow),
    ],
)
def test_a_signal_during_the_imports_is_no_traceback(config, tmp_path, number, module):
    """Sent when a module is asked for, so in the middle of the imports of another one."""
    words = command(config, "--run", tmp_path / "run")
    child = [words[0], "-c", SIGNALLED_IN_AN_IMPORT, str(int(number)), module, *words[1:]]
    done = subprocess.run(child, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr == "Interrupted before anything was written.\n"
    assert not (tmp_path / "run").exists()
