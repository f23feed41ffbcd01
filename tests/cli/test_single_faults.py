"""`run_single.py` on a folder in use, without memory, on a full disk, and where it may not write."""

import io
import os
import pty
import re
import subprocess
import sys
import time

import pytest
import torch
from rich.console import Console

from iafsweep.api.shown import progress
from iafsweep.api.shown.progress import TrainingProgress
from iafsweep.limits import Share
from iafsweep.records import EpochMetrics
from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder
from iafsweep.training import device as memory
from tests.cli.tiny_run import ROOT, command, main, run
from tests.faults.conftest import small_disk  # noqa: F401 - a fixture


@pytest.mark.slow
def test_a_folder_in_use_is_refused_and_after_a_kill_it_is_free(config, tmp_path):
    folder = RunFolder(tmp_path / "run")
    words = (config, "--run", folder.path)
    first = subprocess.Popen(command(*words, "--set", "training.epochs=100000"), stdout=subprocess.DEVNULL)
    try:
        while not (folder.metrics.exists() and folder.metrics.read_text().count("\n") >= 2):
            assert first.poll() is None
            time.sleep(0.01)
        for more in (["--resume"], ["--evaluate-only"], []):
            refused = run(*words, "--set", "training.epochs=100000", *more, code=2)
            assert len(refused.stderr.splitlines()) == 1
            assert "run is in use by another process that trains or scores it" in refused.stderr
    finally:
        first.kill()
        first.wait()
    epochs = [row.epoch for row in read(folder.metrics)]
    assert epochs == list(range(1, len(epochs) + 1))
    run("--run", folder.path, "--resume", "--set", f"training.epochs={len(epochs) + 1}")
    assert [row.epoch for row in read(folder.metrics)] == [*epochs, len(epochs) + 1]
    assert not folder.lock.exists()


def test_no_memory_while_scoring_is_one_message(config, tmp_path, monkeypatch, capsys):
    import torch

    from iafsweep.evaluation import scoring

    def fail(*arguments):
        torch.empty(2**60)

    monkeypatch.setattr(scoring, "_noise", fail)
    assert main(monkeypatch, config, "--run", tmp_path / "run", "--threads", "1") == 2
    shown = capsys.readouterr().err
    assert "out of memory while scoring on cpu" in shown
    assert "lower evaluation.hais.chains" in shown
    assert RunFolder(tmp_path / "run").read_state().status == "completed"


def test_chains_beyond_memory_are_refused_before_training(config, tmp_path, monkeypatch, capsys):
    words = ("--set", "evaluation.hais.enabled=true", "--set", "evaluation.hais.chains=2000000000")
    assert main(monkeypatch, config, "--run", tmp_path / "run", *words) == 2
    assert re.search(r"evaluation\.hais\.chains = 2,000,000,000 needs at least .* GiB", capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_no_memory_in_the_first_step_leaves_no_folder(config, tmp_path, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(memory, "device_memory", lambda device: None)  # a machine that does not tell
    monkeypatch.setattr(torch.Tensor, "backward", lambda self: torch.empty(2**60))
    assert main(monkeypatch, config, "--run", tmp_path / "made" / "run") == 2
    shown = capsys.readouterr().err
    assert "out of memory while training with a batch of 500 images on cpu" in shown
    assert "lower model.latent_size" in shown
    assert sorted(tmp_path.iterdir()) == [config]


def test_a_disk_that_is_full_is_one_message_and_nothing_is_lost(config, tmp_path, monkeypatch, capsys, small_disk):  # noqa: F811
    folder = RunFolder(small_disk.path / "run")
    assert main(monkeypatch, config, "--run", folder.path, "--threads", "1") == 0
    small_disk.fill(leave=4096)
    assert main(monkeypatch, "--run", folder.path, "--resume", "--set", "training.epochs=6", "--threads", "1") == 2
    shown = capsys.readouterr().err
    assert "cannot continue with" in shown
    assert " --resume" in shown
    assert "Traceback" not in shown
    small_disk.free()
    assert main(monkeypatch, "--run", folder.path, "--resume", "--set", "training.epochs=6", "--threads", "1") == 0
    assert [row.epoch for row in read(folder.metrics)] == [1, 2, 3, 4, 5, 6]


def test_completion_knows_configurations_and_fields():
    def complete(words):
        environment = {**os.environ, "_IAFSWEEP_RUN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        call = "import sys; sys.argv = ['iafsweep-run']; from iafsweep.cli.entry import run_single; run_single()"
        done = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, cwd=ROOT)
        return done.stdout.split()

    assert "model.latent_size=" in complete("iafsweep-run --set model.lat")
    assert "--evaluate-only" in complete("iafsweep-run reference --eval")


def test_completion_can_be_shown_for_a_shell():
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    call = [sys.executable, "run_single.py", "--show-completion", "bash"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    # A script is called through python, and no shell completes by what stands behind that.
    assert "_IAFSWEEP_RUN_COMPLETE=complete_bash" in done.stdout
    assert done.stdout.rstrip().endswith(" iafsweep-run")
    assert "iafsweep-run" in done.stderr


def epoch(number):
    return EpochMetrics(
        epoch=number, kl_weight=1.0, learning_rate=1e-3, train_loss=1.0, train_negative_elbo=101.0,
        train_reconstruction=1.0, train_kl=1.0, validation_negative_elbo=102.0, images_per_second=50.0, seconds=1.0,
    )  # fmt: skip


def test_training_prints_plain_lines_with_the_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = Console(force_terminal=False, record=True, width=200, file=io.StringIO())
    shown = TrainingProgress(console, epochs=4, done=1, batches=10)
    for seconds in (100, *[0.5] * 9):  # the first batch compiles, which no other does
        now[0] += seconds
        shown.batch_done(100)
    shown.epoch_done(epoch(2))
    now[0] += 10
    shown.epoch_done(epoch(3))
    now[0] += 10
    shown.batch_done(100)  # within the fourth epoch, the figures are still the third's
    shown.epoch_done(epoch(4))
    figures = "train 101.00  validation 102.00 nats  50 images/s"
    assert console.export_text().splitlines() == [
        "epoch 2/4  time left unknown",
        f"epoch 3/4  {figures}  about 8 s left",
        f"epoch 4/4  after epoch 3:  {figures}  about 11 s left",
        f"epoch 4/4  {figures}",
    ]


def on_a_terminal(*words, **variables):
    """What a command prints on a real terminal, with NO_COLOR or without."""
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TTY_COMPATIBLE")}
    process = subprocess.Popen(
        [*map(str, words)], stdout=slave, stderr=slave, cwd=ROOT,
        env={**environment, "TERM": "xterm-256color", **variables},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        shown += part
    os.close(master)
    return process.wait(), shown


@pytest.mark.slow
@pytest.mark.parametrize(("variables", "plain"), [({"NO_COLOR": "1"}, True), ({}, False)])
def test_no_color_is_honoured_on_a_terminal(config, tmp_path, variables, plain):
    """The same on a real terminal: with NO_COLOR not one escape sequence, without it colours."""
    code, shown = on_a_terminal(*command(config, "--run", tmp_path / "run"), **variables)
    assert code == 0
    assert b"epoch" in shown
    assert (b"\x1b" not in shown) is plain


def test_help_and_mistakes_are_plain_with_no_color():
    code, shown = on_a_terminal(sys.executable, "run_sweep.py", "lunch", NO_COLOR="1")
    assert code == 2
    assert b"No such command" in shown
    assert b"\x1b" not in shown


@pytest.mark.parametrize(("given", "taken"), [([], [3]), (["--threads", "5"], [5])])
def test_no_more_threads_than_the_process_may_keep_busy(config, tmp_path, monkeypatch, given, taken):
    """A container with a quota sees all of the machine's cores."""
    set_to = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr("iafsweep.api.scoring.score.usable_cpus", lambda: Share(3, "a quota"))
    assert main(monkeypatch, config, "--run", tmp_path / "run", "--data-root", tmp_path, "--evaluate-only", *given) == 2
    assert set_to == []  # there is no run yet
    (tmp_path / "run").write_text("a file")
    assert main(monkeypatch, config, "--run", tmp_path / "run", *given) == 2
    assert set_to == [*taken, 64]  # and back
